package nodes

import (
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
)

// parts splits a beacon into its four datagrams.
func parts(beacon string) [4]string {
	return [4]string{beacon[:20], beacon[20:39], beacon[39:58], beacon[58:]}
}

// A beacon is valid at t when start <= t < expiry (PROTOCOL.md section 1).
func TestValidityBoundaries(t *testing.T) {
	const start, life = 10 * time.Second, 15 * time.Minute
	tests := []struct {
		at   time.Duration
		want error
	}{
		{0, protocol.ErrEarly},
		{start - 1, protocol.ErrEarly},
		{start, nil},
		{start + 1, nil},
		{start + life - 1, nil},
		{start + life, protocol.ErrExpired},
		{start + life + time.Hour, protocol.ErrExpired},
	}
	beacon := whole(utc(), someID, start, life)
	for _, e := range tests {
		t.Run(e.at.String(), func(t *testing.T) {
			single := newPhoneRig(t, nil).at(e.at)
			got := single.deliver(sender, beacon)
			equal(t, "single: verdicts", len(got), 1)
			equal(t, "single", got[0].Err, e.want)
			equal(t, "single: at", got[0].At, at(e.at))

			split := newPhoneRig(t, nil).at(e.at)
			for i, p := range parts(beacon) {
				got = split.deliver(sender, p)
				equal(t, "split: verdicts", len(got), i/3)
			}
			equal(t, "split", got[0].Err, e.want)
			for _, r := range []*phoneRig{single, split} {
				equal(t, "kept", r.p.Log().Len() == 1, e.want == nil)
			}
		})
	}
}

// The time of the verdict decides, not that of the first part.
func TestVerdictTimeOfASplitBeacon(t *testing.T) {
	beacon := parts(whole(utc(), someID, 0, time.Second))
	r := newPhoneRig(t, nil).at(time.Second - 1)
	for _, p := range beacon[:3] {
		r.deliver(sender, p)
	}
	got := r.at(time.Second).deliver(sender, beacon[3])
	equal(t, "expired meanwhile", got[0].Err, protocol.ErrExpired)
	equal(t, "first part", got[0].FirstPart, time.Second-1)
}

func TestAPartThatNeverComes(t *testing.T) {
	beacon := parts(whole(utc(), someID, 0, 15*time.Minute))
	r := newPhoneRig(t, nil)
	for i, p := range beacon[:3] {
		r.at(time.Duration(i)*time.Millisecond).deliver(sender, p)
	}
	equal(t, "due 250 ms after the third", r.next(), 252*time.Millisecond)
	r.at(252*time.Millisecond - 1).wake()
	equal(t, "a nanosecond before", len(r.judged), 0)
	r.at(252 * time.Millisecond).wake()
	equal(t, "judged", len(r.judged), 1)
	equal(t, "without a version", r.judged[0].HasVersion, false)
	equal(t, "valid", r.judged[0].Err, nil)
	equal(t, "received at the verdict", r.p.Log().At(0).Received, 252*time.Millisecond)

	r = newPhoneRig(t, nil)
	r.deliver(sender, beacon[0])
	equal(t, "nothing that can be seen is due", r.next(), -1)
	got := r.at(time.Second).deliver(sender, beacon[1])
	equal(t, "a late part is out of turn", len(got) == 1 && got[0].OutOfTurn && got[0].Err == protocol.ErrOutOfTurn,
		true)
}

func TestTwoSendersDoNotMix(t *testing.T) {
	a := parts(whole(utc(), "11111111111111111111", 0, 15*time.Minute))
	b := parts(whole(utc(), "22222222222222222222", 0, 15*time.Minute))
	r := newPhoneRig(t, nil)
	for i := range 4 {
		r.deliver(sender, a[i])
		r.deliver(sender2, b[i])
	}
	equal(t, "kept", r.p.Log().Len(), 2)
	equal(t, "first", r.p.Log().At(0).TempID.String(), "11111111111111111111")
	equal(t, "second", r.p.Log().At(1).TempID.String(), "22222222222222222222")
}

func TestInvalidBeaconsAreNeverKept(t *testing.T) {
	good := whole(utc(), someID, 0, 15*time.Minute)
	change := func(at int, to string) string { return good[:at] + to + good[at+len(to):] }
	tests := map[string]struct {
		beacon string
		want   error
	}{
		"TempID":           {change(5, "x"), protocol.ErrTempID},
		"start":            {change(20, "31/02"), protocol.ErrTime},
		"hour without 0":   {change(31, " "), protocol.ErrTime},
		"expiry":           {change(39, "0a"), protocol.ErrTime},
		"version":          {change(58, "2"), protocol.ErrVersion},
		"expiry is start":  {whole(utc(), someID, 0, 0), protocol.ErrNotAfter},
		"expiry is before": {whole(utc(), someID, 0, -time.Second), protocol.ErrNotAfter},
	}
	for title, e := range tests {
		t.Run(title, func(t *testing.T) {
			r := newPhoneRig(t, nil)
			got := r.deliver(sender, e.beacon)
			equal(t, title, got[0].Err, e.want)
			for _, p := range parts(e.beacon) {
				r.deliver(sender, p)
			}
			equal(t, title+": kept", r.p.Log().Len(), 0)
		})
	}
	r := newPhoneRig(t, nil)
	for _, bad := range []string{"", "1", good[:58], good + "1", good[:19]} {
		r.deliver(sender, bad)
	}
	equal(t, "wrong lengths: kept", r.p.Log().Len(), 0)
}

// An entry received at r is in the log while t < r + retention.
func TestRetentionBoundaries(t *testing.T) {
	for _, retention := range []time.Duration{3 * time.Minute, time.Nanosecond, 7 * time.Second} {
		r := newPhoneRig(t, func(s *PhoneSettings) { s.Retention = retention })
		const first, second = 1_500_000_001, 1_500_000_002
		beacon := whole(utc(), someID, 0, 15*time.Minute)
		r.at(first).deliver(sender, beacon)
		equal(t, "due", r.next(), first+retention)
		if retention > 1 {
			r.at(second).deliver(sender, beacon) // the same TempID: an entry of its own
			r.at(first + retention - 1).wake()
			equal(t, "a nanosecond before", r.p.Log().Len(), 2)
		}
		r.at(first + retention).wake()
		equal(t, "expired", r.expired, 1)
		if retention > 1 {
			equal(t, "the second has its own time", r.p.Log().At(0).Received, second)
			r.at(second + retention).wake()
		}
		equal(t, "gone", r.p.Log().Len(), 0)
		equal(t, "nothing is due", r.next(), -1)
	}
}

// Every input first removes expired entries, and judges a beacon whose fourth part is overdue.
func TestExpiryComesBeforeInput(t *testing.T) {
	inputs := map[string]func(r *phoneRig){
		"a datagram":          func(r *phoneRig) { r.deliver(sender2, "x") },
		"a beacon":            func(r *phoneRig) { r.p.Beacon(r.now, sender, &r.out) },
		"a line":              func(r *phoneRig) { r.typed("Upload_contact_log"); r.read("1") },
		"bytes":               func(r *phoneRig) { r.read("x") },
		"a connection":        func(r *phoneRig) { r.connected() },
		"a failed connection": func(r *phoneRig) { r.p.ConnectFailed(r.now, "refused", &r.out) },
		"a close":             func(r *phoneRig) { r.closed() },
		"a start":             func(r *phoneRig) { r.open() },
		"an upload":           func(r *phoneRig) { r.p.Upload(r.now, nil, &r.out) },
		"end of input":        func(r *phoneRig) { r.inputEnded() },
	}
	beacon := whole(utc(), someID, 0, 15*time.Minute)
	for title, input := range inputs {
		r := newPhoneRig(t, nil).ready()
		r.deliver(sender, beacon)
		at := r.now.Elapsed + 3*time.Minute
		r.at(at - 250*time.Millisecond)
		for _, p := range []string{beacon[:20], beacon[20:39], beacon[39:58]} {
			r.deliver(sender2, p)
		}
		r.at(at)
		input(r)
		r.runEffects()
		equal(t, title+": expired", r.expired, 1)
		equal(t, title+": kept", r.p.Log().Len(), 1)
		equal(t, title+": received", r.p.Log().At(0).Received, at)
	}
}

// The limit of an answer comes before a datagram at the same time.
func TestTheAnswerLimitComesBeforeADatagram(t *testing.T) {
	r := newPhoneRig(t, nil).ready()
	r.at(time.Second).typed("Download_tempID")
	r.at(11*time.Second).p.Datagram(r.now, sender, []byte("x"), &r.out)
	same(t, "at the limit", r.runEffects(), textNoAnswer, "download: no answer", prompt)
}

func TestBeaconIsSentAsItIs(t *testing.T) {
	for _, form := range []protocol.Form{protocol.Split, protocol.Single} {
		r := newPhoneRig(t, func(s *PhoneSettings) { s.Form = form }).ready()
		r.p.Beacon(r.now, sender, &r.out)
		same(t, "none yet", r.runEffects(), textNoTempID)
		r.typed("Download_tempID")
		r.read(someID)
		r.at(time.Hour).p.Beacon(r.now, sender, &r.out) // also when it has expired
		e := r.out.Effects[len(r.out.Effects)-1]
		equal(t, "kind", e.Kind, PhoneSendBeacon)
		equal(t, "form", e.Form, form)
		equal(t, "to", e.To, sender)
		equal(t, "bytes", string(e.Raw[:]), someID+"30/07/2020 16:58:12"+"30/07/2020 17:13:12"+"1")
		equal(t, "text", string(e.AppendText(nil, utc())), someID+"\n30/07/2020 16:58:12\n30/07/2020 17:13:12\n")
	}
}

// Clocks go back at 03:00 on 05/04/2020 in Sydney, and forward at 02:00 on
// 04/10/2020. A beacon around the change is valid for exactly its 15 minutes, and
// the retention does not change.
func TestDaylightSaving(t *testing.T) {
	sydney, err := time.LoadLocation("Australia/Sydney")
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]time.Time{
		"back":    time.Date(2020, 4, 4, 16, 0, 0, 0, time.UTC),
		"forward": time.Date(2020, 10, 3, 16, 0, 0, 0, time.UTC),
	}
	for title, change := range changes {
		for _, begins := range []time.Duration{-15 * time.Minute, -time.Minute, 0, time.Minute, -time.Hour,
			time.Hour - time.Minute} {
			r := newPhoneRig(t, func(s *PhoneSettings) { s.Zone = protocol.NewZone(sydney) }).ready()
			r.now = Now{Elapsed: r.now.Elapsed, Wall: change.Add(begins).UnixNano()}
			r.typed("Download_tempID")
			r.read(someID)
			beacon := string(r.p.beacon[:])
			from := r.now
			hear := func(d time.Duration) error {
				r.now = Now{Elapsed: from.Elapsed + d, Wall: from.Wall + int64(d)}
				return r.deliver(sender, beacon)[0].Err
			}
			equal(t, title+": at its start", hear(0), nil)
			equal(t, title+": at its end, a nanosecond before", hear(15*time.Minute-1), nil)
			equal(t, title+": at its end", hear(15*time.Minute), protocol.ErrExpired)
			equal(t, title+": the first entry has had its 3 minutes", r.p.Log().Len(), 1)
			equal(t, title+": and so has the second", r.next(), from.Elapsed+18*time.Minute-1)
		}
	}
}

// A step of the wall clock changes neither the deadlines nor the log.
func TestSteppedWallClock(t *testing.T) {
	r := newPhoneRig(t, nil)
	r.deliver(sender, whole(utc(), someID, 0, 15*time.Minute))
	r.now = Now{Elapsed: 3*time.Minute - 1, Wall: startWall + int64(24*time.Hour)}
	r.wake()
	equal(t, "kept", r.p.Log().Len(), 1)
	r.now = Now{Elapsed: 3 * time.Minute, Wall: startWall - int64(24*time.Hour)}
	r.wake()
	equal(t, "gone", r.p.Log().Len(), 0)
}

// A full log drops its oldest entry for a new one, and prints that once.
func TestMaxEntries(t *testing.T) {
	r := newPhoneRig(t, func(s *PhoneSettings) { s.MaxEntries = 2 })
	for i := range 5 {
		b := protocol.Beacon{TempID: protocol.TempID([]byte("1234567890123456789" + string(rune('0'+i)))),
			Start: r.settings.Zone.Local(r.now.Unix()), Expiry: r.settings.Zone.Local(r.now.Unix() + 900)}
		var raw [protocol.BeaconSize]byte
		b.Encode(&raw)
		r.p.Datagram(r.now, sender, raw[:], &r.out)
		r.runEffects()
	}
	equal(t, "entries", r.p.Log().Len(), 2)
	for i := range 2 {
		equal(t, "entry", r.p.Log().At(i).TempID.String(), "1234567890123456789"+string(rune('3'+i)))
	}
	equal(t, "gone before their time", r.expired, 3)
	equal(t, "said", strings.Count(r.terminal.String(),
		"the contact log is full with 2 entries: the oldest go before their time\n"), 1)
}

// A host stores a valid beacon as the log has it, with the wall time of its verdict, also if its fourth part never came.
func TestTheEntryOfAVerdict(t *testing.T) {
	beacon := whole(utc(), someID, 0, 15*time.Minute)
	for _, datagrams := range [][]string{{beacon}, {beacon[:20], beacon[20:39], beacon[39:58]}} {
		r := newPhoneRig(t, nil)
		r.now = Now{Elapsed: 5, Wall: startWall + 7}
		for _, d := range datagrams {
			r.p.Datagram(r.now, sender, []byte(d), &r.out)
			r.runEffects()
		}
		r.now = Now{Elapsed: 5 + 250e6, Wall: startWall + 9}
		r.wake()
		equal(t, "verdicts", len(r.judged), 1)
		e := r.judged[0]
		equal(t, "entry", e.Contact(), StoredContact{Beacon: r.p.Log().At(0).Beacon, Received: e.At.Wall})
		equal(t, "it expires a nanosecond before", r.p.ExpiresBy(e.At.Elapsed+3*time.Minute-1), false)
		equal(t, "it expires", r.p.ExpiresBy(e.At.Elapsed+3*time.Minute), true)
	}
	equal(t, "an empty log expires", newPhoneRig(t, nil).p.ExpiresBy(time.Hour), false)
}
