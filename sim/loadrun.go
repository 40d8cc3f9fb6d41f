package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/load"
)

// Load is what a load run needs beside its scenario.
type Load struct {
	// Program is the command line of a program that takes the arguments of the
	// command server: the run's own server. Of no use with a server elsewhere.
	Program []string
	// Duration and Rate replace those of a constant rate; 0: as written.
	Duration time.Duration
	Rate     float64
}

// runLoad runs a scenario with a load.
func runLoad(ctx context.Context, s *scenarios.Scenario, o Options) (result *Result, err error) {
	began := time.Now()
	place := func(p scenarios.Pos) string { return fmt.Sprintf("%s:%d:%d", s.File, p.Line, p.Col) }
	if o.Trace != nil {
		return nil, &Invalid{place(s.Load.Pos), errors.New("a load has no trace: its events are only counted; leave --trace out")}
	}
	traffic, err := hurried(s.Load, o.Load)
	if err != nil {
		return nil, &Invalid{place(s.Load.Pos), err}
	}
	phones, lines, notes, err := loadPhones(s, traffic, o.Live)
	if err != nil {
		return nil, &Invalid{place(s.Load.Pos), err}
	}
	if err := roomFor(traffic); err != nil {
		return nil, &Invalid{place(s.Load.Pos), err}
	}
	network := &load.Sockets{}
	c := load.Config{
		Traffic: traffic, Phones: phones, Seed: s.Seed, Clock: clock.New(), Network: network, Meter: o.Meter,
		OwnUse: func() (load.Use, bool) { return load.UseOf(os.Getpid()) },
	}
	if o.Progress != nil {
		c.Progress = func(at, length time.Duration) { o.Progress(Progress{At: at, Length: length}) }
	}
	target := "the run's own, as a process"
	if o.Live != nil && o.Live.Server != "" {
		network.Server, target = o.Live.Server, o.Live.Server
	} else {
		child, failed := load.StartChild(ctx, o.Load.Program, s.Server, len(phones)+spareFiles, lines)
		if failed != nil {
			return nil, failed
		}
		defer func() {
			if e := child.Stop(); e != nil && err == nil {
				result, err = nil, e
			}
		}()
		network.Server, c.ServerUse = child.Address, child.Use
	}
	m, err := load.Run(ctx, c)
	if err != nil {
		return nil, err
	}
	out := reports.Run{Scenario: s.Name, File: s.File, About: s.About, World: reports.Live, Seed: s.Seed, Phones: len(phones), Notes: notes}
	out.Load = m.Report(traffic)
	out.Load.Server = target
	out.Load.Conditions = conditions(s, traffic)
	out.VirtualSeconds = (traffic.WarmUp + m.Length).Seconds()
	out.Checks = load.Checks(s, out.Load, m.Interrupted, place)
	out.Verdict = verdict(out.Checks, m.Interrupted)
	if out.Load.Invalid = load.Unfit(traffic, out.Load, network.Wanting.Load()); len(out.Load.Invalid) > 0 && !m.Interrupted {
		out.Verdict = reports.Invalid
	}
	out.WallSeconds = time.Since(began).Seconds()
	out.PeakRSSBytes = peakRSS()
	return &Result{Run: out}, nil
}

// hurried is the load with another rate or duration.
func hurried(t *scenarios.Traffic, o *Load) (*scenarios.Traffic, error) {
	if o == nil {
		return nil, errors.New("a load needs a program to run the server by")
	}
	c := *t
	if o.Duration == 0 && o.Rate == 0 {
		return &c, nil
	}
	if c.Executor != scenarios.ConstantArrivalRate {
		return nil, fmt.Errorf("--duration and --rate are of a constant-arrival-rate, and this is a %s", c.Executor)
	}
	one := c.Stages[0]
	if o.Duration > 0 {
		one.Duration = o.Duration
	}
	if o.Rate > 0 {
		one.Rate, c.StartRate = o.Rate, o.Rate
	}
	c.Stages = []scenarios.Stage{one}
	return &c, nil
}

// loadPhones are the phones that arrive, and the lines of credentials.txt that
// they need. With a server elsewhere its accounts are taken in turn.
func loadPhones(s *scenarios.Scenario, t *scenarios.Traffic, live *Live) (phones []load.Phone, lines, notes []string, err error) {
	accounts := accountsOf(s, s.PhoneNames())
	settings := make([]*scenarios.PhoneGroup, 0, len(accounts))
	for i := range s.Phones {
		for range s.Phones[i].Count {
			settings = append(settings, &s.Phones[i])
		}
	}
	for k, i := range t.Phones {
		a := accounts[i]
		if live != nil && live.Server != "" {
			if settings[i].User != "" {
				return nil, nil, nil, fmt.Errorf("phone %s has an account written out, and the load takes those of --credentials in turn", settings[i].Name)
			}
			one := live.Credentials[k%len(live.Credentials)]
			a = account{one.User, one.Password}
		}
		phones = append(phones, load.Phone{User: a.user, Password: a.password,
			Single: settings[i].Form == scenarios.FormSingle, PasswordPause: settings[i].PasswordPause})
		lines = append(lines, a.user+" "+a.password)
	}
	if live != nil && live.Server != "" && len(live.Credentials) < len(phones) {
		notes = append(notes, fmt.Sprintf("load: %d phones share the %d accounts of --credentials", len(phones), len(live.Credentials)))
	}
	return phones, lines, notes, nil
}
