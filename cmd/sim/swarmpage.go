package main

import (
	"fmt"
	"time"

	"bluetrace/reports"
	"bluetrace/reports/livepage"
	"bluetrace/reports/page"
	"bluetrace/sim/swarm"
)

// showProgress shows the state of the swarm on its live page, if it is time for it.
func (c *swarmCommand) showProgress(doing string) {
	now := c.now()
	if c.exporter == nil || now.Sub(c.shown) < pageEvery && doing == "" {
		return
	}
	c.shown = now
	s, lasted := c.summary, now.Sub(c.started)
	state := livepage.State{At: lasted, Length: c.limit, Doing: doing, Checks: causesOf(c.summary.Failures),
		Values: []livepage.Value{
			{Chart: "Runs per second", Line: "runs", Number: float64(s.Runs), Total: true},
			{Chart: "Failed runs", Line: "failed", Number: float64(s.Failed)},
			{Chart: "Causes of failures", Line: "causes", Number: float64(len(s.Failures))},
		},
		Facts: []page.Fact{{Name: "runs", Text: c.progressLine(lasted)}},
	}
	if all := c.expectedRuns(); c.limit == 0 && s.Runs > 0 { // by the speed until now
		state.Length = time.Duration(float64(lasted) * float64(all) / float64(s.Runs)).Round(time.Second)
	}
	c.live.Update(&state)
}

// causesOf returns the causes of failures so far as failed checks.
func causesOf(groups []swarm.Group) (all []reports.Check) {
	for i := range groups {
		g := &groups[i]
		check := g.Check
		check.Name = fmt.Sprintf("%s (%s, first with the seed %d of %s)", g.Cause, reports.Plural(g.Runs, "run", "runs"),
			g.Seed, g.File)
		all = append(all, check)
	}
	return all
}

// endOf returns the result of a swarm.
func endOf(s *swarm.Summary) *livepage.Ended {
	return &livepage.Ended{Name: "swarm", Verdict: s.Verdict, Result: fmt.Sprintf("%s of %s failed",
		reports.FormatCount(s.Failed), reports.Plural(s.Runs, "run", "runs"))}
}
