package scenarios

import "slices"

// Name is a value that an expression may name, with what it counts.
type Name struct {
	Name string
	Doc  string
}

// Counters are the values of the whole run that `expect` and thresholds may
// name.
var Counters = slices.Concat(runCounters, faultCounters())

var runCounters = []Name{
	{"events", "events of the run"},
	{"beacons.sent", "beacons that phones sent"},
	{"beacons.delivered", "beacons that were judged by a receiver"},
	{"beacons.valid", "of those, judged valid"},
	{"beacons.invalid", "of those, judged invalid (a part out of turn counts as one)"},
	{"beacons.kept", "entries written to contact logs"},
	{"beacons.expired", "entries that reached their retention and went"},
	{"datagrams.sent", "UDP datagrams sent"},
	{"datagrams.delivered", "UDP datagrams that reached a phone"},
	{"datagrams.lost", "UDP datagrams that the network lost"},
	{"logins.welcomed", "logins answered with the welcome"},
	{"logins.wrong", "passwords answered as wrong, the third of a row included"},
	{"logins.blocked", "blocks that began"},
	{"logins.refused", "logins refused because of a block"},
	{"tempids.issued", "TempIDs that the server issued"},
	{"uploads.complete", "uploads that arrived whole"},
	{"uploads.broken", "uploads that broke off or were refused"},
	{"uploads.entries", "entries of the complete uploads"},
	{"uploads.resolved", "of those, entries whose TempID the server issued"},
	{"sessions.opened", "TCP connections that the server accepted"},
	{"sessions.closed", "TCP connections that ended"},
	{"adversaries.sent", "what adversaries did: beacons and floods sent, connections opened"},
	{"faults.applied", "single things that faults did"},
}

// faultCounters has one for each kind, such as faults.lose.
func faultCounters() (list []Name) {
	for _, k := range kindsOfFaults() {
		list = append(list, Name{"faults." + k, "of those, by " + k})
	}
	return list
}

// StepFields are the values of a named step.
var StepFields = []Name{
	{"at", "seconds from the start of the run to the moment"},
	{"entries", "entries of an upload"},
	{"resolved", "of those, resolved by the server"},
	{"delay", "seconds from the sending of the request to its answer"},
}

// PhoneFields are the values of a phone.
var PhoneFields = []Name{
	{"log", "entries in the contact log"},
	{"log.age_max", "seconds; the greatest age that an entry had after any event of the phone"},
	{"beacons.sent", "beacons that this phone sent"},
	{"beacons.valid", "beacons that this phone judged valid"},
	{"beacons.invalid", "beacons that this phone judged invalid"},
}

// Metric is what a threshold may be set on.
type Metric struct {
	Name  string
	Trend bool // avg, min, max, med, p(N) in milliseconds; else count and rate
	Doc   string
}

// Metrics lists them. Every counter is one as well: count is its value, rate
// its value per second of virtual time.
var Metrics = []Metric{
	{"beacon_delay", true, "from the sending of a beacon's first datagram to its verdict"},
	{"login_delay", true, "from the password's sending to the answer"},
	{"tempid_delay", true, "from Download_tempID to the TempID"},
	{"upload_delay", true, "from Upload_contact_log to the last answer"},
	{"logout_delay", true, "from log out to the end of the connection"},
	{"datagrams_lost", false, "rate: lost datagrams of all sent, 0 to 1; count: how many"},
	{"logins_failed", false, "rate: logins not welcomed, of all answered; count: how many"},
}
