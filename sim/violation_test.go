package sim

import (
	"testing"

	"bluetrace/nodes"
	"bluetrace/reports"
	"bluetrace/sim/world"
)

// emptied shows the checks an empty log of b, from some time on.
type emptied struct {
	world.Watcher
	from  int64
	phone uint32
}

func (e *emptied) Stepped(at int64, phone uint32, log *nodes.ContactLog) {
	if phone == e.phone && at >= e.from {
		log = &nodes.ContactLog{}
	}
	e.Watcher.Stepped(at, phone, log)
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
	r, err := Run(t.Context(), s, Options{Listen: func(w world.Watcher, story world.Story) (world.Watcher, world.Story) {
		return &emptied{w, 40e9, 1}, story
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checksOf(&r.Run, reports.InvariantCheck) {
		if c.Name != "no entry leaves a log before its retention" {
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
