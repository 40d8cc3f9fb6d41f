package sim

import (
	"context"
	"math"
	"slices"
	"time"

	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/sim/check"
	"bluetrace/sim/world"
)

// play handles the whole run; its error is the context's.
func (r *run) play(ctx context.Context) error {
	until := time.Duration(math.MaxInt64)
	if r.length > 0 {
		until = r.length
	}
	poll := func() {
		if r.records.TraceError() != nil {
			r.world.Stop()
		}
		if r.options.Progress != nil {
			r.options.Progress(r.howFar(r.world.Now() - r.begin))
		}
	}
	return r.world.Run(ctx, until, poll)
}

func (r *run) howFar(at time.Duration) Progress {
	return Progress{At: at, Length: max(r.length, r.atLeast), Events: r.world.Events(), Run: r.soFar}
}

func (r *run) stepped(at time.Duration) { r.options.Stepped(r.howFar(at)) }

// outcome closes what is open and reports the run.
func (r *run) outcome(interrupted bool) *Result {
	w, s := r.world, r.scenario
	for who := range r.phones {
		r.rules.Compare(int64(w.Now()), uint32(who), w.Log(uint32(who)))
	}
	r.checkBounds()
	r.rules.Balance(int64(w.Now()), r.records.Totals().Datagrams, w.DatagramsInFlight())
	out := r.soFar()
	out.About = s.About
	out.Notes = slices.Concat(r.contacts.notes, r.liveNotes(), r.routines.notes(r.place))
	if !interrupted {
		out.Notes = append(out.Notes, r.faults.notes(r.place)...)
	}
	out.Checks = r.checks(interrupted)
	if r.options.Live == nil { // live runs do not repeat
		out.Digest = r.records.Digest()
	}
	out.Verdict = verdict(out.Checks, interrupted)
	return &Result{Run: *out, Ended: w.Now()}
}

// checkBounds checks the state that the nodes hold at the end.
func (r *run) checkBounds() {
	w, ok := r.world.(world.Holder)
	if !ok {
		return
	}
	at := int64(r.world.Now())
	if h, ok := w.ServerHolds(); ok {
		r.rules.ServerHolds(at, h)
	}
	for who := range r.phones {
		if h, ok := w.PhoneHolds(uint32(who)); ok {
			r.rules.PhoneHolds(at, uint32(who), h)
		}
	}
}

// soFar is what the run has come to, without its checks.
func (r *run) soFar() *reports.Run {
	w, s := r.world, r.scenario
	out := &reports.Run{
		Scenario: s.Name, File: s.File, World: r.worldName(),
		Seed:           s.Seed,
		VirtualSeconds: seconds(w.Now() - r.begin),
		Events:         w.Events(),
		Phones:         len(r.accounts),
		Operations:     r.operations(),
	}
	r.counts(out)
	return out
}

func verdict(checks []reports.Check, interrupted bool) reports.Verdict {
	v := reports.Passed
	if interrupted {
		v = reports.Interrupted
	}
	for i := range checks {
		if checks[i].Verdict == reports.Failed {
			return reports.Failed
		}
	}
	return v
}

func (r *run) counts(out *reports.Run) {
	out.Counts = *r.records.Totals()
	out.Faults, out.Adversaries = r.faults.kindCounts(), r.adversaries.kindCounts()
}

func (r *run) operations() []reports.Operation {
	if r.options.WithoutDelays {
		return nil
	}
	d := r.records.Latencies()
	var ops []reports.Operation
	for _, o := range []struct {
		name string
		d    *stats.Histogram
	}{{"beacon", &d.Beacon}, {"login", &d.Login}, {"logout", &d.Logout}, {"tempid", &d.TempID}, {"upload", &d.Upload}} {
		if o.d.Count() > 0 {
			ops = append(ops, reports.Operation{Name: o.name, Histogram: o.d.HDR()})
		}
	}
	return ops
}

// checks lists everything that had to hold: the script's expectations in their
// order, the run's, its thresholds, and the invariants.
func (r *run) checks(interrupted bool) []reports.Check {
	var all []reports.Check
	for i := range r.steps {
		for _, w := range r.steps[i].waits {
			r.closeWait(w, interrupted)
			all = append(all, w.check)
		}
		if c, undone := r.undone(&r.steps[i], interrupted); undone {
			all = append(all, c)
		}
	}
	for i := range r.scenario.Expect {
		if e := &r.scenario.Expect[i]; !r.exactTime(e) {
			all = append(all, r.expectation(e, interrupted))
		}
	}
	for i := range r.scenario.Thresholds {
		all = append(all, r.threshold(&r.scenario.Thresholds[i], interrupted))
	}
	for _, i := range r.watched() {
		all = append(all, r.invariant(i))
	}
	return all
}

// watched are the invariants that the world shows enough for.
func (r *run) watched() []check.Invariant {
	all := slices.DeleteFunc(check.All(), func(i check.Invariant) bool { return i.Rare() && r.rules.Evaluated(i) == 0 })
	if r.elsewhere() {
		return slices.DeleteFunc(all, func(i check.Invariant) bool { return slices.Contains(unseen(), i) })
	}
	return all
}

// undone reports a step that expects nothing and did not take place: it is not
// skipped in silence.
func (r *run) undone(st *step, interrupted bool) (c reports.Check, undone bool) {
	if len(st.waits) > 0 || st.Optional || interrupted || st.stage != waiting && st.because == "" {
		return c, false
	}
	c = reports.Check{Kind: reports.ExpectationCheck, Name: st.Text, Place: r.place(st.Pos), Verdict: reports.Failed, Evaluations: 1,
		Expected: "the step takes place", Found: st.because}
	if st.because == "" {
		c.Found = r.whyWaiting(st)
	}
	return c, true
}

// whyWaiting says why a step never began.
func (r *run) whyWaiting(st *step) string {
	if m := st.At.Label; m != "" && !r.moments[m].known {
		return "its moment " + m + " never came"
	}
	return "the run ended before its time"
}

// closeWait decides an expectation that is open at the end of the run.
func (r *run) closeWait(w *wait, interrupted bool) {
	if w.over {
		return
	}
	w.check.Place = r.place(w.expect.Pos)
	switch {
	case interrupted:
		w.over = true
	case w.step.stage == waiting:
		w.fail(r, "the step takes place", r.whyWaiting(w.step))
	default:
		w.timeIsUp(r)
	}
}

// seconds is the number that is nearest to d; d.Seconds() rounds twice.
func seconds(d time.Duration) float64 { return float64(d) / float64(time.Second) }

func (r *run) invariant(i check.Invariant) reports.Check {
	c := r.rules.Check(i)
	for _, v := range r.broken {
		if v.Invariant == i {
			at := seconds(time.Duration(v.At))
			c.Verdict, c.Expected, c.Found, c.AtSeconds, c.LastEvents = reports.Failed, v.Expected, v.Found, &at, r.around[i]
			if v.Phone >= 0 {
				c.Expected = "of " + r.world.Name(uint32(v.Phone)) + ": " + v.Expected
			}
		}
	}
	return c
}
