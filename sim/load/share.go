package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
	"bluetrace/sim/check"
)

// Share is the share of a load that one process carries out: the arrivals Index, Index+Of, Index+2·Of, …, counted from
// 0. The zero value is the whole load. All shares together have the arrivals of one process, at the same times and with
// the same operations.
type Share struct {
	Index int `json:"index"` // 0 to Of-1
	Of    int `json:"of"`    // number of shares; 0 for the whole load
}

func (s Share) has(arrival int) bool { return s.Of == 0 || arrival%s.Of == s.Index }

// shares returns the number of shares, at least 1.
func (s Share) shares() int { return max(1, s.Of) }

// of returns the share of a number of things.
func (s Share) of(n int) int { return (n + s.shares() - 1 - s.Index) / s.shares() }

// Divide returns the phones of a share, and its load.
func (s Share) Divide(phones []Phone, t *scenarios.Traffic) ([]Phone, *scenarios.Traffic) {
	var own []Phone
	for i := s.Index; i < len(phones); i += s.shares() {
		own = append(own, phones[i])
	}
	c := *t
	c.MaxInFlight = s.of(t.MaxInFlight)
	return own, &c
}

// Times are times of the operations, 0 for those that have none.
type Times [operations]time.Duration

// Leader coordinates the shares of a load. The process of each share calls it.
type Leader interface {
	// Ready waits for the begin of the load. It is called when all phones are ready.
	Ready(ctx context.Context) (begin time.Time, err error)
	// SoFar takes the figures so far. It is called once a second, and before the end of the warm-up.
	SoFar(p *Part)
	// Expected returns the expected response times, or false if they have not come yet.
	Expected() (Times, bool)
	// End returns the time of the run at which it ends early, and the threshold that is the reason; "" without one.
	End() (at time.Duration, why string)
}

// Generators are processes that carry out a load, each its share. Run coordinates them instead of sending requests.
type Generators interface {
	// Size returns their number.
	Size() int
	// Prepare divides a load, and waits until all phones are ready.
	Prepare(ctx context.Context, c *Config) error
	// Begin makes all of them begin at a time, which is after the present by beginLead.
	Begin(at time.Time)
	// Figures returns the last figures of each, none if there are no figures yet. The error ends the load.
	Figures() ([]*Part, error)
	// Expect gives them the expected response times.
	Expect(Times)
	// Collect waits until all of them have ended, and returns their figures. With a reason they end at a time of the run;
	// when ctx ends, they end at once.
	Collect(ctx context.Context, at time.Duration, why string) ([]*Part, error)
}

const (
	beginLead    = time.Second            // from the message about the begin of a load to the begin
	endLead      = 300 * time.Millisecond // the same of the end
	spareSeconds = 60                     // more than those of a load, in which its last operations may be due
	// The figures of the warm-up are sent warmUpLead before its end, and the expected response times half of it before.
	// For a short warm-up the lead is half of that.
	warmUpLead = time.Second
)

// leadOf returns the time before the end of a warm-up at which its figures are sent.
func leadOf(warmUp time.Duration) time.Duration { return min(warmUpLead, warmUp/2) }

// Part holds the figures of one share, in a form for messages. Those so far have no times second by second.
type Part struct {
	Name       string        `json:"name,omitempty"` // of the process, set by the coordinator
	At         time.Duration `json:"at"`             // time of the run
	InFlight   int           `json:"in_flight"`      // sessions
	Phases     [2]PartPhase  `json:"phases"`         // the warm-up and the measured part
	Arrivals   Arrivals      `json:"arrivals"`       // of the measured part
	Beacons    Beacons       `json:"beacons"`
	Length     time.Duration `json:"length"`
	Own        Usage         `json:"own"`
	HasOwn     bool          `json:"has_own"`
	Processors float64       `json:"processors"` // that the process may use
	Outage     string        `json:"outage,omitempty"`
	OutageAt   time.Duration `json:"outage_at,omitempty"`
	// Overload has the reasons why this generator was the bottleneck. Unbalanced has the figures that do not agree.
	Overload   []string `json:"overload,omitempty"`
	Unbalanced []string `json:"unbalanced,omitempty"`
	// ClockError limits the difference between the clocks of the process and of the coordinator, set by that.
	ClockError time.Duration `json:"clock_error,omitempty"`
}

// PartPhase holds the figures of a phase.
type PartPhase struct {
	Operations [operations]PartOperation `json:"operations"`
	NotOK      [][Unknown + 1]uint32     `json:"not_ok,omitempty"` // by second
	Lags       []string                  `json:"lags,omitempty"`   // texts of stats.EncodeSecond
	Arrivals   [][2]uint32               `json:"arrivals"`         // due and started, by second
	Sessions   [stillOpen + 1]uint64     `json:"sessions"`         // by outcome
	Begun      [operations]uint64        `json:"begun"`
	Waited     [operations]uint64        `json:"waited"`
}

// PartOperation holds the figures of one operation.
type PartOperation struct {
	Outcomes        [Unknown + 1]uint64 `json:"outcomes"`
	Response        stats.Histogram     `json:"response"`
	Service         stats.Histogram     `json:"service"`
	Lag             stats.Histogram     `json:"lag"`
	ResponseSeconds []string            `json:"response_seconds,omitempty"` // texts of stats.EncodeSecond
	ServiceSeconds  []string            `json:"service_seconds,omitempty"`
}

// RunShare runs the share of a load, which c.Leader coordinates, and returns all its figures. resourceFailures returns
// Sockets.ResourceFailures.
func RunShare(ctx context.Context, c Config, resourceFailures func() uint64) (*Part, error) {
	m, err := Run(ctx, c)
	if err != nil {
		return nil, err
	}
	report := m.Report(c.Traffic)
	p := m.part(true)
	p.At, p.Length, p.Own, p.HasOwn = c.Traffic.WarmUp+m.Length, m.Length, m.Own, m.HasOwn
	p.Processors = processorsOf(m.CPUQuota)
	p.Outage, p.OutageAt = m.Outage, m.OutageSince
	p.Overload = GeneratorOverloaded(c.Traffic, report, resourceFailures())
	p.Unbalanced = m.balanced(c.Traffic, report).broken
	return p, nil
}

// part returns the figures, with those of each second if all is true. Phones may be at work.
func (m *Measurement) part(all bool) *Part {
	p := &Part{Arrivals: m.Arrivals, Beacons: m.Beacons}
	for i, f := range []*figures{m.warm, m.figures} {
		to := &p.Phases[i]
		for o := range operations {
			to.Begun[o], to.Waited[o] = m.tallies[i].begun[o].Load(), m.tallies[i].waited[o].Load()
			k := f.copied(o)
			if k == nil {
				continue
			}
			to.Operations[o] = PartOperation{Outcomes: k.outcomes, Response: k.response, Service: k.service, Lag: k.lag}
			if all {
				to.Operations[o].ResponseSeconds = encode(f.kinds[o].responseSeconds)
				to.Operations[o].ServiceSeconds = encode(f.kinds[o].serviceSeconds)
			}
		}
		if all {
			to.NotOK, to.Lags = f.notOK, encode(f.lagSeconds)
		}
		for _, s := range m.arrivals[i] {
			to.Arrivals = append(to.Arrivals, [2]uint32{s.due, s.started})
		}
		for outcome := range to.Sessions {
			to.Sessions[outcome] = m.tallies[i].sessions[outcome].Load()
		}
	}
	return p
}

// partSoFar returns the figures at a time of the run.
func (w *watch) partSoFar(at time.Duration) *Part {
	w.mu.Lock()
	m := &Measurement{figures: w.m.figures, warm: w.m.warm, Arrivals: w.m.Arrivals, Beacons: w.beacons.count()}
	inFlight := w.inFlight
	for i := range m.arrivals {
		m.arrivals[i] = append(m.arrivals[i], w.m.arrivals[i]...)
	}
	w.mu.Unlock()
	m.Beacons.Lost = 0 // those on their way are not lost
	for i := range m.tallies {
		m.tallies[i].copyFrom(&w.m.tallies[i])
	}
	p := m.part(false)
	p.At, p.InFlight = at, inFlight
	return p
}

// merged returns the figures of all parts together.
func merged(parts []*Part, seed uint64) (*Measurement, error) {
	m := &Measurement{figures: newFigures(0), warm: newFigures(0), seed: seed, HasOwn: len(parts) > 0, parts: parts}
	for i, p := range parts {
		if m.at = min(m.at, p.At); i == 0 {
			m.at = p.At
		}
		if err := m.addPart(p); err != nil {
			return nil, fmt.Errorf("reading the figures of the generator %q: %w", p.Name, err)
		}
	}
	return m, nil
}

// addPart adds the figures of a part.
func (m *Measurement) addPart(p *Part) error {
	a, b := &m.Arrivals, &m.Beacons
	a.Due += p.Arrivals.Due
	a.Started += p.Arrivals.Started
	a.Dropped += p.Arrivals.Dropped
	a.InFlightMax += p.Arrivals.InFlightMax
	b.Sent += p.Beacons.Sent
	b.Received += p.Beacons.Received
	b.Lost += p.Beacons.Lost
	b.Doubled += p.Beacons.Doubled
	b.Late += p.Beacons.Late
	b.Malformed += p.Beacons.Malformed
	b.Dropped += p.Beacons.Dropped
	m.Own.add(&p.Own)
	m.HasOwn = m.HasOwn && p.HasOwn
	m.processors += p.Processors
	m.Length = max(m.Length, p.Length)
	m.inFlight += p.InFlight
	for i, f := range []*figures{m.warm, m.figures} {
		if err := f.addPhase(&p.Phases[i]); err != nil {
			return err
		}
		for second, n := range p.Phases[i].Arrivals {
			m.arrivals[i] = lengthened(m.arrivals[i], second)
			m.arrivals[i][second].due += n[0]
			m.arrivals[i][second].started += n[1]
		}
		m.tallies[i].addPhase(&p.Phases[i])
	}
	return nil
}

func (f *figures) addPhase(p *PartPhase) error {
	var err error
	for o := range operations {
		k, from := &f.kinds[o], &p.Operations[o]
		for i, n := range from.Outcomes {
			k.outcomes[i] += n
		}
		k.response.Merge(&from.Response)
		k.service.Merge(&from.Service)
		k.lag.Merge(&from.Lag)
		if k.responseSeconds, err = addTexts(k.responseSeconds, from.ResponseSeconds); err != nil {
			return err
		}
		if k.serviceSeconds, err = addTexts(k.serviceSeconds, from.ServiceSeconds); err != nil {
			return err
		}
	}
	for second, n := range p.NotOK {
		f.notOK = lengthened(f.notOK, second)
		for outcome := range n {
			f.notOK[second][outcome] += n[outcome]
		}
	}
	f.lagSeconds, err = addTexts(f.lagSeconds, p.Lags)
	return err
}

// addTexts adds texts of stats.EncodeSecond to seconds.
func addTexts(seconds []stats.Second, texts []string) ([]stats.Second, error) {
	for i, text := range texts {
		bins, err := stats.DecodeSecond(text)
		if err != nil {
			return nil, err
		}
		seconds = grown(seconds, i)
		for _, b := range bins {
			seconds[i][b.Cell] += uint32(b.Count)
		}
	}
	return seconds, nil
}

func (t *tally) addPhase(p *PartPhase) {
	for o := range operations {
		t.begun[o].Add(p.Begun[o])
		t.waited[o].Add(p.Waited[o])
	}
	for outcome, n := range p.Sessions {
		t.sessions[outcome].Add(n)
	}
}

// takeFigures merges figures of the generators, and adds what is new to the meter.
func (w *watch) takeFigures(parts []*Part, err error) error {
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := w.plausible(p); err != nil {
			return fmt.Errorf("reading the figures of the generator %q: %w", p.Name, err)
		}
	}
	now, err := merged(parts, w.Seed)
	if err != nil {
		return err
	}
	before := w.others.Swap(now)
	for i, phase := range w.phases {
		wasDue, wasStarted := before.arrivals[i].sum()
		due, started := now.arrivals[i].sum()
		phase.Due.Add(due - wasDue)
		phase.Started.Add(started - wasStarted)
		phase.Dropped.Add(due - started - (wasDue - wasStarted))
		ended := func(outcome Outcome) uint64 {
			return now.tallies[i].sessions[outcome].Load() - before.tallies[i].sessions[outcome].Load()
		}
		phase.Failed.Add(ended(Failed))
		phase.Unknown.Add(ended(Unknown))
		f, old := [2]*figures{now.warm, now.figures}[i], [2]*figures{before.warm, before.figures}[i]
		for o := range operations {
			is, was := f.kinds[o].times(""), old.kinds[o].times("")
			w.meters[i][o].AddSince(&is, &was)
			if o == Beacon && i == phaseIndex(true) {
				w.Meter.Beacons().DelaysSince(is.Service, was.Service)
			}
		}
	}
	b := w.Meter.Beacons()
	b.Sent.Add(now.Beacons.Sent - before.Beacons.Sent)
	b.Received.Add(now.Beacons.Received - before.Beacons.Received)
	b.Doubled.Add(now.Beacons.Doubled - before.Beacons.Doubled)
	b.Late.Add(now.Beacons.Late - before.Beacons.Late)
	b.Malformed.Add(now.Beacons.Malformed - before.Beacons.Malformed)
	b.Dropped.Add(now.Beacons.Dropped - before.Beacons.Dropped)
	w.Meter.AddInFlight(now.inFlight - before.inFlight)
	return nil
}

// plausible returns an error if a share of the load cannot have the figures of a part.
func (w *watch) plausible(p *Part) error {
	end := w.pacer.End()
	scheduled := scheduledArrivals(w.Traffic)
	// An arrival has the operations of its session, or one and those with which its phone logs in again.
	most := (scheduled[0] + scheduled[1] + 1) * float64(max(len(w.scripts.session), int(operations)))
	longest := 2*int((end+w.Traffic.GracefulStop+w.Traffic.Timeout+w.Traffic.Gap)/time.Second) + spareSeconds
	samples, seconds := 0.0, 0
	for i := range p.Phases {
		phase := &p.Phases[i]
		seconds = max(seconds, len(phase.NotOK), len(phase.Lags), len(phase.Arrivals))
		for o := range phase.Operations {
			k := &phase.Operations[o]
			samples += float64(max(k.Response.Count(), k.Service.Count(), k.Lag.Count()))
			seconds = max(seconds, len(k.ResponseSeconds), len(k.ServiceSeconds))
		}
	}
	switch {
	case p.Length < 0 || p.Length > end-w.warmUp:
		return fmt.Errorf("a load of %v: must be at most %v", p.Length, end-w.warmUp)
	case p.InFlight < 0 || p.InFlight > w.Traffic.MaxInFlight:
		return fmt.Errorf("%d sessions in flight: must be at most %d", p.InFlight, w.Traffic.MaxInFlight)
	case p.HasOwn && p.Processors <= 0:
		return fmt.Errorf("%v processors", p.Processors)
	case samples > most:
		return fmt.Errorf("%.0f samples of operations: must be at most %.0f", samples, most)
	case seconds > longest:
		return fmt.Errorf("figures of %d seconds: must be at most %d", seconds, longest)
	}
	return nil
}

// collect waits for the end of the generators, and takes all their figures. The argument problem is the error of the
// run so far, after which they end at once.
func (w *watch) collect(problem error) error {
	ctx, why := w.ctx, ""
	if name := w.aborted.Load(); name != nil {
		why = *name
	}
	if problem != nil {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		ctx = ended
	}
	parts, err := w.Generators.Collect(ctx, w.now()+endLead, why)
	unanswered, is := errors.AsType[*NoMedianError](problem)
	if problem != nil && !is {
		return problem
	}
	if err := w.takeFigures(parts, err); err != nil {
		return err
	}
	m, all := w.m, w.others.Load()
	m.figures, m.warm, m.arrivals, m.parts = all.figures, all.warm, all.arrivals, parts
	m.Arrivals, m.Beacons, m.Length = all.Arrivals, all.Beacons, all.Length
	m.Own, m.HasOwn, m.processors = all.Own, all.HasOwn, all.processors
	for i := range m.tallies {
		m.tallies[i].copyFrom(&all.tallies[i])
	}
	m.Outage, m.OutageSince = outageOf(parts)
	if is {
		unanswered.Outage = m.Outage
	}
	w.Meter.Beacons().Lost.Add(m.Beacons.Lost)
	return problem
}

// outageOf returns the outage that all parts had, or else that of one generator.
func outageOf(parts []*Part) (text string, since time.Duration) {
	n := 0
	for _, p := range parts {
		if p.Outage == "" {
			continue
		}
		if n++; n == 1 {
			text, since = p.Outage, p.OutageAt
		}
	}
	if n > 0 && n < len(parts) {
		text += fmt.Sprintf(", at %d of %d generators", n, len(parts))
	}
	return text, since
}

// lateExpected is the error of a share whose expected response times did not come.
type lateExpected struct{}

func (lateExpected) Error() string {
	return "the expected response times did not come before the end of the warm-up: write a longer `warm_up`, or " +
		"`expected` for each operation"
}

// lateFigures is the error of a load on several generators if the figures of the warm-up did not come from all of them.
type lateFigures struct{ came, of int }

func (e lateFigures) Error() string {
	return fmt.Sprintf("at the end of the warm-up, figures of %d of %d generators had come: write a longer `warm_up`, or "+
		"`expected` for each operation", e.came, e.of)
}

// Overloads returns the reasons why a generator of a load on several was the bottleneck, for each with its name.
func (m *Measurement) Overloads(lagBudget time.Duration) (why []string) {
	for _, p := range m.parts {
		for _, reason := range p.Overload {
			why = append(why, fmt.Sprintf("the generator %s: %s", p.Name, reason))
		}
		if p.ClockError > lagBudget {
			why = append(why, fmt.Sprintf("the clock of the generator %s may differ by %s ms from that of the coordinator, "+
				"and the budget of the lag is %s ms", p.Name, shortMilliseconds(p.ClockError),
				check.Number(milliseconds(lagBudget))))
		}
	}
	return why
}

// generators describes the parts of a load on several generators.
func (m *Measurement) generators() (list []reports.GeneratorPart) {
	for _, p := range m.parts {
		var lag stats.Histogram
		for o := range operations {
			lag.Merge(&p.Phases[phaseIndex(true)].Operations[o].Lag)
		}
		g := reports.GeneratorPart{Name: p.Name, Arrivals: p.Arrivals.Started, Dropped: p.Arrivals.Dropped,
			LagP99Ms: milliseconds(time.Duration(stats.Quantile(lag.HDR(), 99))), ClockErrorMs: milliseconds(p.ClockError)}
		if p.HasOwn {
			use := useOf(p.Own, p.Length, p.Processors)
			g.CPUShare = &use.CPUShare
		}
		list = append(list, g)
	}
	return list
}
