package sim

import (
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/reports"
	"bluetrace/sim/check"
	"bluetrace/sim/event"
)

// emptied shows the invariants an empty log of a phone, from a time on.
type emptied struct {
	from  time.Duration
	phone uint32
}

func (x *emptied) Observe(e *event.Event) {
	if e.Node == x.phone && e.At >= x.from {
		e.Log = &nodes.ContactLog{}
	}
}

// TestAViolationNamesThePhone, the entry that is missed, its age and the
// retention; what was found says only how much, so that failures of many seeds
// have one cause.
func TestAViolationNamesThePhone(t *testing.T) {
	s := parse(t, head+`script:
  - {at: 1s, phone: ghost, forge: {to: b}}
  - {at: 41s, phone: ghost, forge: {to: b, version: 7}}
expect: [beacons.sent >= 0]
`)
	r, err := Run(t.Context(), s, Options{Observers: []event.Subscription{
		{Observer: &emptied{40e9, 1}, Kinds: []event.Kind{event.PhoneStepped}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checksOf(&r.Run, reports.InvariantCheck) {
		if c.Name != check.NothingLeavesEarly.String() {
			continue
		}
		const want = "of b: 1 entry, which was received at 1.000000000 s, 40s ago, with a retention of 3m0s"
		if c.Verdict != reports.Failed || c.Expected != want || c.Found != "0 entries" {
			t.Errorf("%s: expected %q, found %q; want it to fail with %q and 0 entries", c.Verdict, c.Expected, c.Found, want)
		}
		return
	}
	t.Error("the invariant is not in the result")
}
