//go:build unix

package swarm

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/world"
)

// formed has every phone of every draw send beacons in one form.
func formed(form scenarios.Form) func(context.Context, *scenarios.Scenario, sim.Options) (*sim.Result, error) {
	return func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		for i := range s.Phones {
			s.Phones[i].Form = form
		}
		return sim.Run(ctx, s, o)
	}
}

// BenchmarkSwarm is seeds of classroom under faults, with every check on and all
// marks counted; one iteration is one seed. On two workers as many seeds at a
// time.
func BenchmarkSwarm(b *testing.B) {
	base := classroom(b)
	for _, form := range []scenarios.Form{scenarios.FormSplit, scenarios.FormSingle} {
		for _, jobs := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", form, jobs), func(b *testing.B) {
				s := NewSummary()
				began, used := time.Now(), cpuTime(b)
				err := Run(context.Background(), Options{Bases: []*scenarios.Scenario{base}, Seeds: Range{1, uint64(b.N)}.Seeds(), Jobs: jobs,
					Marks: true, Engine: formed(form), Each: s.Add})
				took, cpu := time.Since(began).Seconds(), (cpuTime(b) - used).Seconds()
				if err != nil || len(s.Failures) > 0 {
					b.Fatal(err, s.Failures)
				}
				b.ReportMetric(float64(s.Runs)/took, "seeds/s")
				b.ReportMetric(float64(s.Runs)/cpu, "seeds/cpu-s")
				b.ReportMetric(float64(s.VirtualMs)/1000/took, "times-life")
				b.ReportMetric(float64(s.Events)/float64(s.Runs), "events/seed")
			})
		}
	}
}

// cpuTime is what this process has used of all processors.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDraw draws a seed of classroom, and runs nothing.
func BenchmarkDraw(b *testing.B) {
	base := classroom(b)
	for i := range b.N {
		Draw(base, uint64(i))
	}
}

// BenchmarkChecks is the same seeds with the checks, without them, and with the
// marks beside them: what watching costs.
func BenchmarkChecks(b *testing.B) {
	base := classroom(b)
	for _, c := range []struct {
		name   string
		marks  bool
		listen func(world.Watcher, world.Story) (world.Watcher, world.Story)
	}{
		{"none", false, func(_ world.Watcher, st world.Story) (world.Watcher, world.Story) { return blind{}, st }},
		{"checks", false, nil},
		{"checks and marks", true, nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			engine := func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
				if c.listen != nil {
					o.Listen = c.listen
				}
				return sim.Run(ctx, s, o)
			}
			s := NewSummary()
			used := cpuTime(b)
			err := Run(context.Background(), Options{Bases: []*scenarios.Scenario{base}, Seeds: Range{1, uint64(b.N)}.Seeds(), Jobs: 1,
				Marks: c.marks, Engine: engine, Each: s.Add})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(s.Runs)/(cpuTime(b)-used).Seconds(), "seeds/cpu-s")
		})
	}
}

// blind sees nothing.
type blind struct{}

func (blind) Accepted(int64, nodes.Conn)                                     {}
func (blind) ServerRead(int64, nodes.Conn, []byte)                           {}
func (blind) ServerSent(int64, nodes.Conn, []byte)                           {}
func (blind) ServerPrinted(int64, string)                                    {}
func (blind) ServerRestarted(int64)                                          {}
func (blind) BeaconSent(int64, uint32, *[protocol.BeaconSize]byte)           {}
func (blind) DatagramsForged(int64, uint32)                                  {}
func (blind) Judged(int64, uint32, uint32, *nodes.PhoneEffect)               {}
func (blind) Stepped(int64, uint32, *nodes.ContactLog)                       {}
func (blind) DatagramSent(int64, int64)                                      {}
func (blind) DatagramLost(int64)                                             {}
func (blind) DatagramArrived(int64)                                          {}
func (blind) Doubled(int64, int64)                                           {}
func (blind) DatagramDropped(int64)                                          {}
func (blind) FaultApplied(int64, bool, string)                               {}
func (blind) DatagramChanged(int64, uint32)                                  {}
func (blind) PhoneStopped(int64, uint32)                                     {}
func (blind) PhoneStarted(int64, uint32, *nodes.ContactLog)                  {}
func (blind) Written(int64, uint32, []nodes.Kept)                            {}
func (blind) ServerStopped(int64)                                            {}
func (blind) ServerStarted(int64, func(protocol.TempID) (nodes.Issue, bool)) {}
func (blind) StoreAsked(int64, []nodes.Record)                               {}
func (blind) StoreDone(int64, []nodes.Record, error)                         {}
func (blind) ClockSet(int64, uint32, time.Duration, int64, float64)          {}
func (blind) StoreAnswered(int64, nodes.Conn)                                {}
func (blind) PhoneOpened(int64, uint32)                                      {}
func (blind) PhoneTyped(int64, uint32, string)                               {}
func (blind) PhoneConnects(int64, uint32, nodes.Conn)                        {}
func (blind) PhoneSent(int64, uint32, []byte)                                {}
func (blind) PhonePrinted(int64, uint32, string)                             {}
func (blind) SessionMoved(int64, uint32, uint32)                             {}
func (blind) FaultInForce(int64, world.FaultKind, bool)                      {}
