package scenarios

import (
	"errors"
	"strconv"
)

// Executors of a load, named as in k6.
const (
	ConstantArrivalRate = "constant-arrival-rate"
	RampingArrivalRate  = "ramping-arrival-rate"
	Search              = "search" // not of k6: the highest rate at which the thresholds hold
)

// LoadOperations are what is measured of a session, in the order in which it
// does them. `connect` is the opening of the connection, `login` begins with
// the password's sending.
var LoadOperations = []string{"connect", "login", "tempid", "beacon", "upload", "logout"}

// maxRate is the highest arrival rate, per second.
const maxRate = 1_000_000

func loadShape() *shape {
	stage := &shape{doc: "a stage: `duration` and `rate`", mapping: &mapping{fields: []field{
		{name: "duration", doc: "How long the stage lasts.", is: positiveWord(), required: true},
		{name: "rate", doc: "The arrivals per second at its end; the rate changes evenly from that of the stage before.", is: rateWord(), required: true},
	}}}
	generator := &shape{doc: "`lag` and `cpu`", mapping: &mapping{fields: []field{
		{name: "lag", doc: "The p99 of the schedule lag above which the run says nothing about the server.", is: positiveWord(), def: "10ms"},
		{name: "cpu", doc: "The share of all processors, used by the generator, above which the run says nothing about the server.", is: percentWord(), def: "80%"},
	}}}
	return &shape{doc: "a load: `executor`, `rate`, `duration` and `session` or `mix`", mapping: &mapping{fields: []field{
		{name: "executor", doc: "How arrivals are paced.", is: oneOf("an executor: ", ConstantArrivalRate, RampingArrivalRate, Search), required: true},
		{name: "phones", doc: "Who arrives, each when it is not busy; all phones unless written.", is: phonesWord()},
		{name: "rate", doc: "Arrivals per second, of constant-arrival-rate.", is: rateWord()},
		{name: "duration", doc: "How long arrivals go on, of constant-arrival-rate; of each step of search, without its warm-up.", is: positiveWord()},
		{name: "start_rate", doc: "Arrivals per second before the first stage, of ramping-arrival-rate; of the first step, and the lowest, of search.", is: rateOrZeroWord(), def: "0"},
		{name: "stages", doc: "How the rate goes on, of ramping-arrival-rate.", is: orList("a stage, or a list of stages", stage)},
		{name: "max_rate", doc: "The highest arrivals per second that are tried, of search.", is: rateWord()},
		{name: "resolution", doc: "How near the rate that holds and one that does not have to be, of search.", is: shareWord(minResolution, maxResolution), def: "5%"},
		{name: "confirm", doc: "How long the run at the found rate goes on, without its warm-up, of search.", is: positiveWord(), def: "30s"},
		{name: "confidence", doc: "The least confidence of a run that confirms, of search.", is: shareWord(minConfidence, maxConfidence), def: "95%"},
		{name: "warm_up", doc: "Arrivals before the figures begin, at the first rate; of search before each step, at its rate.", is: durationWord(), def: "0s"},
		{name: "graceful_stop", doc: "How long sessions may take to end after the last arrival.", is: durationWord(), def: "10s"},
		{name: "max_in_flight", doc: "The most sessions at a time; as many as there are phones unless written.", is: countWord()},
		{name: "timeout", doc: "How long an answer is waited for.", is: positiveWord(), def: "10s"},
		{name: "session", doc: "What one arrival does, one after the other.", is: loadCommandsWord()},
		{name: "mix", doc: "What one arrival does, one operation of a phone that is logged in, drawn by weight.", is: mixShape()},
		{name: "beacons", doc: "How many beacons a `Beacon` of a session sends.", is: whole("a whole number, 1 to 400", 1, 400), def: "1"},
		{name: "gap", doc: "Between two beacons of a session, and after the last.", is: durationWord(), def: "0s"},
		{name: "entries", doc: "How many entries an upload has.", is: whole("a whole number, 0 to 100000", 0, 100_000), def: "1"},
		{name: "expected", doc: "The expected response times, from which the due time of the next operation of a session counts; of one that is not written, the median of the warm-up.", is: expectedShape()},
		{name: "generator", doc: "What the generator itself may need.", is: generator},
	}}}
}

// rateWord is a number of arrivals per second, above zero.
func rateWord() *shape {
	s := degreeWord()
	s.doc = "a number above 0, per second"
	parse := s.scalar.parse
	s.scalar.parse = func(t string) (any, error) {
		n, err := parse(t)
		if err == nil && n.(float64) > maxRate {
			return nil, errors.New("the most is 1000000")
		}
		return n, err
	}
	return s
}

func rateOrZeroWord() *shape {
	return &shape{doc: "a whole number per second", scalar: &scalar{accepts: acceptsWhole, min: 0, max: maxRate, parse: func(t string) (any, error) {
		n, err := strconv.ParseUint(t, 10, 64)
		if err != nil {
			return nil, errExpected
		}
		if n > maxRate {
			return nil, errors.New("the most is 1000000")
		}
		return float64(n), nil
	}}}
}

func loadCommandsWord() *shape {
	return orList("a list of commands such as [login, Download_tempID, log out]", oneOf("a command: ", commands()...))
}

// mixShape has a weight for each operation.
func mixShape() *shape {
	return &shape{doc: "operations with their weights, such as {Download_tempID: 3, Beacon: 10}", mapping: &mapping{
		open: whole("a weight, 1 to 1000000", 1, 1_000_000), keyOf: mixable(),
		keyDoc: "one of " + backquoted(mixable()),
	}}
}

// mixable are the commands of a phone that stays logged in.
func mixable() []string {
	return []string{string(VerbDownload), string(VerbBeacon), string(VerbUpload)}
}

// awaited are the operations that a next one may wait for.
func awaited() []string { return []string{"connect", "login", "tempid", "upload"} }

func expectedShape() *shape {
	return &shape{doc: "operations with their expected response times, such as {login: 5ms}", mapping: &mapping{
		open: positiveWord(), keyOf: awaited(), keyDoc: "one of " + backquoted(awaited()),
	}}
}

// loadTrends are measured of every operation, and of all of them together.
func loadTrends() []Metric {
	return []Metric{
		{"response_time", true, "from when an operation was due to its answer"},
		{"service_time", true, "from when it was sent to its answer"},
		{"schedule_lag", true, "from when it was due, and what it waits for was there, to its sending"},
	}
}

// LoadMetrics are the metrics of a file with `load`; a trend's name may have an
// operation before it, as in login.response_time.
func LoadMetrics() []Metric {
	all := loadTrends()
	for _, o := range LoadOperations {
		for _, t := range loadTrends() {
			all = append(all, Metric{o + "." + t.Name, true, t.Doc})
		}
	}
	return append(all,
		Metric{"arrivals_dropped", false, "rate: arrivals that found no phone free, of all, 0 to 1; count: how many"},
		Metric{"operations_failed", false, "rate: operations that were answered otherwise, of all, 0 to 1; count: how many"},
		Metric{"operations_unknown", false, "rate: operations without an answer, of all, 0 to 1; count: how many"},
		Metric{"beacons_lost", false, "rate: beacons that nobody received, of those sent, 0 to 1; count: how many"},
	)
}
