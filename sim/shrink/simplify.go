package shrink

import (
	"reflect"
	"slices"
	"time"

	"bluetrace/scenarios"
	"bluetrace/scenarios/fault"
)

// simplify sets settings to their defaults, makes times round and close together, and makes optional steps mandatory.
// The simpler scenario may then be reduced further.
func (w *search) simplify() {
	w.defaultSettings()
	w.simplifyFaults()
	if !w.options.KeepTiming {
		w.closeGaps()
		w.roundTimes()
		w.shortenRun()
	}
	w.clearOptional()
	w.reduce()
}

// defaultSettings sets each setting to its default value.
func (w *search) defaultSettings() {
	eachGroup := func(change func(g *scenarios.PhoneGroup)) func(s *scenarios.Scenario) {
		return func(s *scenarios.Scenario) {
			s.Phones = slices.Clone(s.Phones)
			for i := range s.Phones {
				change(&s.Phones[i])
			}
		}
	}
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
		func(s *scenarios.Scenario) { s.Server.MaxConnections = 0 },
		func(s *scenarios.Scenario) { s.Server.MaxBlocked = 128 << 20 },
		eachGroup(func(g *scenarios.PhoneGroup) { g.Retention = 3 * time.Minute }),
		eachGroup(func(g *scenarios.PhoneGroup) { g.Form = scenarios.FormSingle }),
		eachGroup(func(g *scenarios.PhoneGroup) { g.PasswordPause = 50 * time.Millisecond }),
		func(s *scenarios.Scenario) { s.Start, s.Zone = 1767225600, time.UTC }, // 01/01/2026
	} {
		w.accept(w.changed(change))
	}
}

// simplifyFaults sets each property of each fault to its default value.
func (w *search) simplifyFaults() {
	for i := range w.best.Faults {
		for _, change := range []func(f *scenarios.Fault){
			func(f *scenarios.Fault) {
				if f.Skip, f.Count = 0, 0; f.Kind != fault.Clock && !f.Instant() {
					f.For = max(f.For, time.Second)
				}
			},
			func(f *scenarios.Fault) { replaceTorn(f, "kept") },
			func(f *scenarios.Fault) { replaceTorn(f, "lost") },
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

// acceptFault accepts a change of the i-th fault, unless it changes nothing or makes it a fault of another kind.
func (w *search) acceptFault(i int, change func(f *scenarios.Fault)) {
	f := w.best.Faults[i]
	change(&f)
	if reflect.DeepEqual(f, w.best.Faults[i]) || needsDuration(&f) && f.For == 0 {
		return
	}
	w.accept(w.changed(func(s *scenarios.Scenario) {
		s.Faults = slices.Clone(s.Faults)
		s.Faults[i] = f
	}))
}

// replaceTorn replaces the random fate of data that was not synced by the given one.
func replaceTorn(f *scenarios.Fault, instead string) {
	if f.Unsynced == "torn" {
		f.Unsynced = instead
	}
}

// needsDuration reports whether the fault would have a different effect if its duration were 0.
func needsDuration(f *scenarios.Fault) bool {
	return f.Kind == fault.Crash || f.Kind == fault.SwitchOff || f.Kind == fault.Reset || f.Every > 0
}

// eventTimes returns the distinct times of steps and faults in order.
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

// retimed returns the best scenario with every time changed.
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

// closeGaps shortens the gaps between the times of steps and faults. For each gap it tries the shortest length first.
func (w *search) closeGaps() {
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
		for _, left := range []time.Duration{0, time.Millisecond, time.Second, 5 * time.Second, gap / 2} {
			if left < gap && w.accept(w.retimed(func(at time.Duration) time.Duration {
				if at < all[i] {
					return at
				}
				return at - gap + left
			})) {
				break
			}
		}
	}
}

// roundTimes rounds the times of steps and faults. For each time it tries the coarsest unit first.
func (w *search) roundTimes() {
	for i := range eventTimes(w.best) {
		for _, unit := range []time.Duration{10 * time.Second, time.Second, 100 * time.Millisecond, time.Millisecond} {
			all := eventTimes(w.best)
			if i >= len(all) || all[i]%(10*time.Second) == 0 {
				break
			}
			to := all[i].Round(unit)
			if to == all[i] || w.accept(w.retimed(func(at time.Duration) time.Duration {
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

// shortenRun removes the length of the run, or halves it as long as the failure remains.
func (w *search) shortenRun() {
	if w.accept(w.changed(func(s *scenarios.Scenario) { s.Length = 0 })) {
		return
	}
	for !w.finished() && w.best.Length > time.Second {
		half := (w.best.Length / 2).Round(time.Second)
		if half <= 0 || half >= w.best.Length ||
			!w.accept(w.changed(func(s *scenarios.Scenario) { s.Length = half })) {
			return
		}
	}
}

// clearOptional makes optional steps mandatory, first all at once and then one at a time. A step that does not take
// place in the run stays optional, since a mandatory one would be a failure with another cause.
func (w *search) clearOptional() {
	clearSteps := func(selected func(i int) bool) {
		w.acceptSoleCause(w.changed(func(s *scenarios.Scenario) {
			s.Script = slices.Clone(s.Script)
			for i := range s.Script {
				s.Script[i].Optional = s.Script[i].Optional && !selected(i)
			}
		}))
	}
	clearSteps(func(int) bool { return true })
	for i := range w.best.Script {
		if w.best.Script[i].Optional {
			clearSteps(func(k int) bool { return k == i })
		}
	}
}

// acceptSoleCause accepts a candidate if the cause is its only cause.
func (w *search) acceptSoleCause(s *scenarios.Scenario) {
	causes := w.causes(s)
	isOther := func(c string) bool { return c != w.cause }
	if len(causes) > 0 && !slices.ContainsFunc(causes, isOther) && w.allowed(s) {
		w.best = s
	}
}
