package shrink

import (
	"slices"
	"time"

	"bluetrace/scenarios"
)

// simplify makes what is left plain: settings that nobody needs to know, times that
// are round and close together, no more steps marked optional.
func (w *search) simplify() {
	w.defaultSettings()
	w.simplifyFaults()
	if !w.options.KeepTiming {
		w.closeTimes()
		w.roundTimes()
		w.shortLength()
	}
	w.clearOptional()
	w.reduce() // what is plain may need less
}

// defaultSettings sets one setting after the other to what it is when it is not
// written.
func (w *search) defaultSettings() {
	for _, change := range []func(s *scenarios.Scenario){
		func(s *scenarios.Scenario) { s.Network = scenarios.Network{} },
		func(s *scenarios.Scenario) { s.Network.TCP = scenarios.TCPNetwork{} },
		func(s *scenarios.Scenario) { s.Network.UDP = scenarios.UDPNetwork{} },
		func(s *scenarios.Scenario) { s.Server.DiskDelay = scenarios.Distribution{} },
		func(s *scenarios.Scenario) { s.Server.BlockDuration = time.Minute },
		func(s *scenarios.Scenario) { s.Server.TempIDLifetime = 15 * time.Minute },
		func(s *scenarios.Scenario) { s.Server.LoginTimeout = 2 * time.Minute },
		func(s *scenarios.Scenario) { s.Server.IdleTimeout = time.Hour },
		func(s *scenarios.Scenario) { s.Server.MaxUpload = 300_000 },
		func(s *scenarios.Scenario) {
			eachPhone(s, func(g *scenarios.PhoneGroup) { g.Retention = 3 * time.Minute })
		},
		func(s *scenarios.Scenario) {
			eachPhone(s, func(g *scenarios.PhoneGroup) { g.Form = scenarios.FormSingle })
		},
		func(s *scenarios.Scenario) {
			eachPhone(s, func(g *scenarios.PhoneGroup) { g.PasswordPause = 50 * time.Millisecond })
		},
		func(s *scenarios.Scenario) { s.Start, s.Zone = 1767225600, time.UTC }, // 01/01/2026
	} {
		w.accept(w.changed(change))
	}
}

func eachPhone(s *scenarios.Scenario, change func(g *scenarios.PhoneGroup)) {
	s.Phones = slices.Clone(s.Phones)
	for i := range s.Phones {
		change(&s.Phones[i])
	}
}

// simplifyFaults takes what a fault need not say away from it.
func (w *search) simplifyFaults() {
	for i := range w.best.Faults {
		for _, change := range []func(f *scenarios.Fault){
			func(f *scenarios.Fault) {
				if f.Skip, f.Count = 0, 0; f.Kind.TakesDuration() && !f.Instant() {
					f.For = max(f.For, time.Second)
				}
			},
			func(f *scenarios.Fault) { f.Unsynced = replaceTorn(f.Unsynced, "kept") },
			func(f *scenarios.Fault) { f.Unsynced = replaceTorn(f.Unsynced, "lost") },
			func(f *scenarios.Fault) { f.Every, f.Until = 0, 0 },
			func(f *scenarios.Fault) { f.Chance = 1 },
			func(f *scenarios.Fault) { f.For = f.For.Truncate(time.Second) },
			func(f *scenarios.Fault) {
				if len(f.From.Phones) > 0 || f.From.Server {
					f.From = scenarios.Nodes{Any: true}
				}
			},
		} {
			if i < len(w.best.Faults) {
				w.acceptFault(i, change)
			}
		}
	}
}

func (w *search) acceptFault(i int, change func(f *scenarios.Fault)) bool {
	f := w.best.Faults[i]
	was := f
	change(&f)
	if same(&f, &was) || needsLength(&f) && f.For == 0 {
		return false
	}
	return w.accept(w.changed(func(s *scenarios.Scenario) {
		s.Faults = slices.Clone(s.Faults)
		s.Faults[i] = f
	}))
}

// replaceTorn is what is left of what was not synced, not torn by chance.
func replaceTorn(unsynced, instead string) string {
	if unsynced == "torn" {
		return instead
	}
	return unsynced
}

// needsLength says whether the fault is something else without a length.
func needsLength(f *scenarios.Fault) bool {
	return f.Kind == scenarios.FaultCrash || f.Kind == scenarios.FaultSwitchOff || f.Kind == scenarios.FaultReset || f.Every > 0
}

func same(a, b *scenarios.Fault) bool {
	return a.Skip == b.Skip && a.Count == b.Count && a.For == b.For && a.At == b.At && a.Every == b.Every &&
		a.Until == b.Until && a.Chance == b.Chance && a.From.Any == b.From.Any &&
		a.Unsynced == b.Unsynced
}

// eventTimes are the times of the script and of the faults, in order, none twice.
func eventTimes(s *scenarios.Scenario) []time.Duration {
	var all []time.Duration
	for i := range s.Script {
		if at := s.Script[i].At; at.Label == "" && !at.AfterPrevious {
			all = append(all, at.Offset)
		}
	}
	for i := range s.Faults {
		all = append(all, s.Faults[i].At)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// retimed is the best with every time changed.
func (w *search) retimed(change func(at time.Duration) time.Duration) *scenarios.Scenario {
	return w.changed(func(s *scenarios.Scenario) {
		s.Script, s.Faults = slices.Clone(s.Script), slices.Clone(s.Faults)
		for i := range s.Script {
			if at := &s.Script[i].At; at.Label == "" && !at.AfterPrevious {
				at.Offset = change(at.Offset)
			}
		}
		for i := range s.Faults {
			s.Faults[i].At = change(s.Faults[i].At)
		}
		if s.Length > 0 {
			s.Length = max(change(s.Length), time.Second)
		}
	})
}

// closeTimes takes time out of the gaps between moments, most of it first.
func (w *search) closeTimes() {
	for i := 0; !w.finished(); i++ {
		all := eventTimes(w.best)
		if i >= len(all) {
			return
		}
		before := time.Duration(0)
		if i > 0 {
			before = all[i-1]
		}
		gap := all[i] - before
		for _, leave := range []time.Duration{0, time.Millisecond, time.Second, 5 * time.Second, gap / 2} {
			if leave < gap && w.accept(w.retimed(func(at time.Duration) time.Duration {
				if at < all[i] {
					return at
				}
				return at - gap + leave
			})) {
				break
			}
		}
	}
}

// roundTimes makes each moment round.
func (w *search) roundTimes() {
	for i := range eventTimes(w.best) {
		for _, unit := range []time.Duration{10 * time.Second, time.Second, 100 * time.Millisecond, time.Millisecond} {
			all := eventTimes(w.best)
			if i >= len(all) || all[i]%(10*time.Second) == 0 {
				break
			}
			if to := all[i].Round(unit); to == all[i] || w.accept(w.retimed(func(at time.Duration) time.Duration {
				if at == all[i] {
					return to
				}
				return at
			})) {
				break
			}
		}
	}
}

// shortLength lets the run end soon after the failure.
func (w *search) shortLength() {
	if w.accept(w.changed(func(s *scenarios.Scenario) { s.Length = 0 })) {
		return
	}
	for !w.finished() && w.best.Length > time.Second {
		shorter := (w.best.Length / 2).Round(time.Second)
		if shorter >= w.best.Length || shorter <= 0 || !w.accept(w.changed(func(s *scenarios.Scenario) { s.Length = shorter })) {
			return
		}
	}
}

// clearOptional makes steps that are marked optional plain ones, where they take place.
func (w *search) clearOptional() {
	w.acceptSoleCause(func(s *scenarios.Scenario) {
		s.Script = slices.Clone(s.Script)
		for i := range s.Script {
			s.Script[i].Optional = false
		}
	})
	for i := range w.best.Script {
		if i < len(w.best.Script) && w.best.Script[i].Optional {
			w.acceptSoleCause(func(s *scenarios.Scenario) {
				s.Script = slices.Clone(s.Script)
				s.Script[i].Optional = false
			})
		}
	}
}

// acceptSoleCause keeps the candidate when the cause is all that fails.
func (w *search) acceptSoleCause(change func(s *scenarios.Scenario)) {
	if w.finished() {
		return
	}
	s := w.changed(change)
	w.report.Runs++
	t, err := w.try(w.ctx, s, false)
	if err != nil {
		w.err = err
		return
	}
	if len(t.Causes) > 0 && !slices.ContainsFunc(t.Causes, func(c string) bool { return c != w.cause }) && w.allowed(s) {
		w.best = s
	}
}
