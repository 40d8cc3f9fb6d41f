package situations

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
)

const (
	second = time.Second
	start  = 1596099600 // 30/07/2020 09:00:00 UTC
)

// rig emits events to a detector.
type rig struct {
	t        *testing.T
	detector *Detector
	stream   event.Stream
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, detector: New(Settings{Start: start, Zone: time.UTC, BlockDuration: 60 * second})}
	r.detector.Subscribe(&r.stream)
	return r
}

func (r *rig) emit(at time.Duration, k event.Kind, e event.Event) {
	e.At, e.Kind = at, k
	r.stream.Emit(&e)
}

// beacon is judged by phone 0. It came from sender, its first part arrived at
// first, and it is valid between two times counted from the start.
func (r *rig) beacon(at, first time.Duration, sender uint32, id byte, from, to time.Duration, change func(*nodes.PhoneEffect)) {
	zone := protocol.NewZone(time.UTC)
	b := protocol.Beacon{Start: zone.Local(start + int64(from/second)), Expiry: zone.Local(start + int64(to/second))}
	for i := range b.TempID {
		b.TempID[i] = id
	}
	e := &nodes.PhoneEffect{Kind: nodes.PhoneJudged, HasVersion: true, FirstPart: first,
		At: nodes.Now{Elapsed: at, Wall: start*int64(second) + int64(at)}}
	b.Encode(&e.Raw)
	if change != nil {
		change(e)
	}
	r.emit(at, event.BeaconJudged, event.Event{Peer: sender, Phone: e})
}

func (r *rig) valid(at time.Duration, id byte) { r.beacon(at, at, 1, id, -second, 900*second, nil) }

// failed makes a beacon invalid.
func failed(e *nodes.PhoneEffect) { e.Err = protocol.ErrExpired }

// blocks blocks an account: the program of a phone, or the script, guesses.
func (r *rig) blocks(at time.Duration, phone event.Node, scripted bool, user string) {
	r.decided(at, phone, scripted, nodes.ServerEvent{Kind: nodes.EventBlockBegan, User: user})
}

func (r *rig) decided(at time.Duration, phone event.Node, scripted bool, d nodes.ServerEvent) {
	r.emit(at, event.ServerDecided, event.Event{Node: event.Server, Peer: phone, Scripted: scripted, Decision: &d})
}

func (r *rig) fault(at time.Duration, k fault.Kind, begins bool) {
	if begins {
		r.emit(at, event.FaultBegins, event.Event{Fault: k})
		return
	}
	r.emit(at, event.FaultEnds, event.Event{Fault: k})
	r.emit(at, event.FaultEnded, event.Event{Fault: k})
}

func (r *rig) applied(at time.Duration, k fault.Kind, node event.Node, amount int64) {
	r.emit(at, event.FaultApplied, event.Event{Node: node, Fault: k, Amount: amount})
}

func (r *rig) restarts(down, up time.Duration) {
	r.emit(down, event.ServerStopped, event.Event{Node: event.Server})
	r.emit(up, event.ServerStarted, event.Event{Node: event.Server})
}

// clock sets the clocks of a node: its elapsed time is that of the world, its wall
// time is ahead of it.
func (r *rig) clock(at time.Duration, node event.Node, ahead time.Duration, ppm float64) {
	r.emit(at, event.ClockSet, event.Event{Node: node, Clock: event.NodeClock{
		At: int64(at), Elapsed: at, Wall: start*int64(second) + int64(at+ahead), PPM: ppm}})
}

func (r *rig) stops(at time.Duration, phone event.Node) {
	r.emit(at, event.PhoneStopped, event.Event{Node: phone})
}

func (r *rig) starts(at time.Duration, entries int) {
	r.emit(at, event.PhoneStarted, event.Event{Log: r.log(entries)})
}

func (r *rig) written(at time.Duration, entries int) {
	r.emit(at, event.LogWritten, event.Event{Stored: make([]nodes.StoredContact, entries)})
}

func (r *rig) done(phone event.Node, op nodes.Operation, o nodes.Outcome) {
	r.emit(0, event.OperationDone, event.Event{Node: phone, Phone: &nodes.PhoneEffect{Kind: nodes.PhoneDone, Op: op, Outcome: o}})
}

func (r *rig) stepped(at time.Duration) { r.emit(at, event.PhoneStepped, event.Event{Log: r.log(0)}) }

// store asks the disk for a record; done reports whether the disk answers, with err.
func (r *rig) store(k nodes.RecordKind, done bool, err error) {
	records := []nodes.Record{{Kind: k}}
	r.emit(0, event.StoreAsked, event.Event{Records: records})
	if done {
		r.emit(0, event.StoreDone, event.Event{Records: records, Err: err})
	}
}

func (r *rig) broken(lines, announced int, reason string) {
	r.decided(0, 0, false, nodes.ServerEvent{Kind: nodes.EventUploadBroken, Lines: lines, Announced: announced, Reason: reason})
}

// log returns a contact log with this number of entries.
func (r *rig) log(entries int) *nodes.ContactLog {
	settings := nodes.DefaultPhoneSettings()
	settings.Form = protocol.Single
	p := new(nodes.Phone)
	p.Init(&settings)
	kept := make([]nodes.StoredContact, entries)
	for i := range kept {
		kept[i].Received = start * int64(second)
	}
	p.Restore(nodes.Now{Elapsed: time.Hour, Wall: start * int64(second)}, kept)
	if p.Log().Len() != entries {
		r.t.Fatalf("the log of the test has %d entries, want %d", p.Log().Len(), entries)
	}
	return p.Log()
}

var errDisk = errors.New("no space left on device")

// TestSituations plays each situation, which counts once, and near misses, which do
// not count.
func TestSituations(t *testing.T) {
	reached := map[Situation]bool{}
	for _, c := range []struct {
		situation Situation
		is        func(s *rig)
		near      func(s *rig)
	}{
		{BeaconAtExpiry,
			func(s *rig) { s.beacon(60*second, 60*second, 1, '1', 0, 60*second, failed) },
			func(s *rig) {
				s.beacon(60*second-1, 60*second-1, 1, '1', 0, 60*second, nil)
				s.beacon(60*second+1, 60*second+1, 1, '1', 0, 60*second, failed)
				s.beacon(60*second, 60*second, 1, '1', 0, 60*second, func(e *nodes.PhoneEffect) { e.OutOfTurn = true })
			}},
		{BeaconAtStart,
			func(s *rig) { s.beacon(60*second, 60*second, 1, '1', 60*second, 90*second, nil) },
			func(s *rig) {
				s.beacon(60*second-1, 60*second-1, 1, '1', 60*second, 90*second, failed)
				s.beacon(60*second+1, 60*second+1, 1, '1', 60*second, 90*second, nil)
			}},
		{BeaconWithoutVersion,
			func(s *rig) {
				s.beacon(second, second, 1, '1', 0, 60*second, func(e *nodes.PhoneEffect) { e.HasVersion = false })
			},
			func(s *rig) {
				s.beacon(second, second, 1, '1', 0, 60*second, nil)
				s.beacon(second, second, 1, '1', 0, 60*second, func(e *nodes.PhoneEffect) { e.HasVersion = false; failed(e) })
			}},
		{BeaconsInterleaved,
			func(s *rig) {
				s.beacon(5*second, second, 1, '1', 0, 60*second, nil)
				s.beacon(6*second, 2*second, 2, '2', 0, 60*second, nil)
			},
			func(s *rig) {
				s.beacon(5*second, second, 1, '1', 0, 60*second, nil)
				s.beacon(6*second, 5*second, 2, '2', 0, 60*second, nil)
				s.beacon(7*second, 5*second, 2, '3', 0, 60*second, nil) // of the same phone
			}},
		{BeaconsInterleaved,
			func(s *rig) {
				s.beacon(5*second, 3*second, 1, '1', 0, 60*second, nil)
				s.beacon(6*second, 2*second, 2, '2', 0, 60*second, nil) // around the other
			}, nil},
		{BeaconKeptTwice,
			func(s *rig) { s.valid(second, '1'); s.valid(2*second, '1') },
			func(s *rig) {
				s.valid(second, '1')
				s.valid(2*second, '2')
				s.beacon(3*second, 3*second, 1, '1', 0, 60*second, failed)
			}},
		{BeaconByOtherClock,
			func(s *rig) {
				s.clock(0, 0, time.Hour, 0)
				s.beacon(second, second, 1, '1', 3600*second, 3700*second, nil)
			},
			func(s *rig) {
				s.clock(0, 0, 10*second, 0)
				s.beacon(second, second, 1, '1', 0, 3700*second, nil) // valid by either
				s.beacon(second, second, 1, '2', 3600*second, 3700*second, failed)
			}},
		{BeaconDoubled,
			func(s *rig) { s.applied(0, fault.Duplicate, 0, 0) },
			func(s *rig) { s.applied(0, fault.Delay, 0, 0); s.applied(0, fault.Lose, 0, 0) }},
		{BeaconReordered,
			func(s *rig) { s.applied(0, fault.Reorder, 0, 0) },
			func(s *rig) { s.applied(0, fault.Delay, 0, 0) }},
		{BeaconCorrupted,
			func(s *rig) { s.applied(0, fault.Corrupt, 0, 0) },
			func(s *rig) { s.applied(0, fault.Truncate, 0, 0) }},
		{EntryExpiresWhileOff,
			func(s *rig) {
				s.written(0, 2)
				s.stops(second, 0)
				s.starts(2*second, 1)
				s.stops(3*second, 0)
				s.starts(4*second, 1) // not the same one again
			},
			func(s *rig) {
				s.written(0, 2)
				s.stops(second, 0)
				s.starts(2*second, 2)
			}},
		{EntryOutlivesRestart,
			func(s *rig) { s.starts(0, 1) },
			func(s *rig) { s.starts(0, 0) }},
		{LogPartlyLost,
			func(s *rig) {
				s.valid(second, '1')
				s.written(second, 1)
				s.valid(2*second, '2')
				s.stops(3*second, 0)
			},
			func(s *rig) {
				s.valid(second, '1')
				s.written(2*second, 1)
				s.beacon(3*second, 3*second, 1, '1', 0, 60*second, failed)
				s.stops(3*second, 0)
			}},
		{PhoneStoppedInUpload, // killed: nothing comes between
			func(s *rig) {
				s.done(0, nodes.OpUpload, nodes.OutcomeConnectionLost)
				s.stops(second, 0)
			},
			func(s *rig) {
				s.done(0, nodes.OpUpload, nodes.OutcomeConnectionLost) // the server went away
				s.stepped(second)
				s.stops(2*second, 0)
				s.done(0, nodes.OpDownload, nodes.OutcomeConnectionLost)
				s.stops(3*second, 0)
				s.done(0, nodes.OpUpload, nodes.OutcomeOK)
				s.stops(4*second, 0)
				s.done(1, nodes.OpUpload, nodes.OutcomeConnectionLost) // of another
				s.stops(5*second, 0)
			}},
		{PhoneStoppedInUpload, // switched off: its program ends by itself in that instant
			func(s *rig) {
				s.done(0, nodes.OpUpload, nodes.OutcomeConnectionLost)
				s.stepped(second)
				s.stops(second, 0)
			}, nil},
		{BlockDuringCut,
			func(s *rig) {
				s.blocks(second, 1, false, "anna")
				s.applied(61*second-1, fault.Cut, 0, 0)
			},
			func(s *rig) {
				s.applied(0, fault.Cut, 0, 0)
				s.blocks(second, 1, false, "anna")
				s.applied((2 * second), fault.Lose, 0, 0)
				s.applied((61 * second), fault.Cut, 0, 0)
			}},
		{BlockEndsDuringCut,
			func(s *rig) {
				s.blocks(second, 1, false, "anna")
				s.fault(60*second, fault.Cut, true)
				s.fault(61*second, fault.Cut, false)
			},
			func(s *rig) {
				s.fault(0, fault.Cut, true)
				s.blocks(second, 1, false, "anna")
				s.fault(61*second-1, fault.Cut, false)
				s.fault(61*second, fault.Cut, true)
				s.fault(61*second, fault.Lose, true)
				s.fault(62*second, fault.Cut, false)
				s.fault(62*second, fault.Lose, false)
			}},
		{BlockEndsDuringCut, // one cut follows another without a gap
			func(s *rig) {
				s.blocks(second, 1, false, "anna")
				s.fault(2*second, fault.Cut, true)
				s.fault(3*second, fault.Cut, true)
				s.fault(4*second, fault.Cut, false)
				s.fault(62*second, fault.Cut, false)
			}, nil},
		{BlockOverRestart,
			func(s *rig) { s.blocks(second, 1, false, "anna"); s.restarts(2*second, 61*second-1) },
			func(s *rig) { s.restarts(0, 0); s.blocks(second, 1, false, "anna"); s.restarts(61*second, 62*second) }},
		{BlockEndsWhileDown,
			func(s *rig) {
				s.blocks(second, 1, false, "anna")
				s.restarts(60*second, 61*second)
				s.restarts(70*second, 71*second)
			},
			func(s *rig) {
				s.blocks(second, 1, false, "anna")
				s.restarts(59*second, 61*second-1)
				s.restarts(61*second, 62*second)
			}},
		{BlockOverStep,
			func(s *rig) { s.blocks(second, 1, false, "anna"); s.clock(2*second, event.Server, -time.Hour, 0) },
			func(s *rig) {
				s.clock(0, event.Server, time.Hour, 0)
				s.blocks(second, 1, false, "anna")
				s.clock(2*second, event.Server, time.Hour, 100) // it drifts from now on
				s.clock(3*second, 0, time.Hour, 0)              // a phone's
				s.clock(61*second, event.Server, 0, 0)
			}},
		{RefusedOwner,
			func(s *rig) {
				s.decided(0, 1, false, nodes.ServerEvent{Kind: nodes.EventBlockBegan, User: "anna"})
				s.decided(0, 0, false, nodes.ServerEvent{Kind: nodes.EventRefused, User: "anna"})
			},
			func(s *rig) {
				s.decided(0, 0, false, nodes.ServerEvent{Kind: nodes.EventBlockBegan, User: "anna"})
				s.decided(0, 0, false, nodes.ServerEvent{Kind: nodes.EventRefused, User: "anna"}) // it guessed itself
				s.decided(0, 1, true, nodes.ServerEvent{Kind: nodes.EventRefused, User: "anna"})  // a script
				s.decided(0, 1, false, nodes.ServerEvent{Kind: nodes.EventRefused})               // an unknown name
				s.decided(0, 1, false, nodes.ServerEvent{Kind: nodes.EventLoggedIn, User: "anna"})
			}},
		{KilledWhileSaving,
			func(s *rig) {
				s.store(nodes.RecordIssue, false, nil)
				s.emit(1, event.ServerStopped, event.Event{})
				s.emit(2, event.ServerStopped, event.Event{}) // what that one saved died with it
			},
			func(s *rig) {
				s.store(nodes.RecordIssue, true, nil)
				s.emit(1, event.ServerStopped, event.Event{})
			}},
		{IssueNotSaved,
			func(s *rig) {
				s.store(nodes.RecordIssue, true, errDisk)
			},
			func(s *rig) {
				s.store(nodes.RecordIssue, true, nil)
				s.store(nodes.RecordAttempts, true, errDisk)
			}},
		{AttemptNotSaved,
			func(s *rig) {
				s.store(nodes.RecordAttempts, true, errDisk)
			},
			func(s *rig) {
				s.store(nodes.RecordIssue, true, errDisk)
			}},
		{PartOfWriteLeft,
			func(s *rig) { s.applied(0, fault.Crash, 0, 1) },
			func(s *rig) {
				s.applied(0, fault.Crash, 0, 0)
				s.applied(0, fault.Delay, 0, 1)
			}},
		{ServerPaused,
			func(s *rig) { s.applied(0, fault.Pause, event.Server, 0) },
			func(s *rig) { s.applied(0, fault.Pause, 0, 0); s.applied(0, fault.Stall, event.Server, 0) }},
		{TornLineFound,
			func(s *rig) { s.emit(0, event.FileRepaired, event.Event{Repair: event.TornLine}) },
			func(s *rig) { s.emit(0, event.FileRepaired, event.Event{}) }},
		{WALRestores,
			func(s *rig) {
				s.emit(0, event.FileRepaired, event.Event{Repair: event.Recovered})
			},
			func(s *rig) { s.emit(0, event.FileRepaired, event.Event{}) }},
		{UploadWithoutCount,
			func(s *rig) { s.broken(0, 0, nodes.ReasonEOF) },
			func(s *rig) { s.broken(0, 3, nodes.ReasonEOF) }},
		{UploadCutAtTempID,
			func(s *rig) { s.broken(3, 6, nodes.ReasonEOF) },
			func(s *rig) {
				s.broken(4, 6, nodes.ReasonEOF)
				s.broken(0, 0, nodes.ReasonCount)
			}},
		{UploadCutAtStart,
			func(s *rig) { s.broken(4, 6, nodes.ReasonEOF) },
			func(s *rig) { s.broken(3, 6, nodes.ReasonEOF); s.broken(5, 6, nodes.ReasonEOF) }},
		{UploadCutAtExpiry,
			func(s *rig) { s.broken(2, 6, nodes.ReasonEOF) },
			func(s *rig) { s.broken(4, 6, nodes.ReasonEOF) }},
		{UploadCutAtLastLine,
			func(s *rig) { s.broken(5, 6, nodes.ReasonEOF) },
			func(s *rig) { s.broken(2, 6, nodes.ReasonEOF) }},
		{UploadOfForeign,
			func(s *rig) {
				s.decided(0, 0, true, nodes.ServerEvent{Kind: nodes.EventUploadDone, Entries: 2, Resolved: 1})
			},
			func(s *rig) {
				s.decided(0, 0, true, nodes.ServerEvent{Kind: nodes.EventUploadDone, Entries: 2, Resolved: 2})
				s.decided(0, 0, true, nodes.ServerEvent{Kind: nodes.EventUploadBroken, Entries: 2})
			}},
	} {
		reached[c.situation] = true
		t.Run(c.situation.Name(), func(t *testing.T) {
			for want, play := range []func(*rig){c.near, c.is} {
				if play == nil {
					continue
				}
				s := newRig(t)
				play(s)
				if got := s.detector.Counts[c.situation]; got != uint64(want) {
					t.Errorf("%s: counted %d times, want %d", c.situation.About(), got, want)
				}
			}
		})
	}
	for _, m := range All() {
		if !reached[m] {
			t.Errorf("%s has no test", m.Name())
		}
	}
}

// TestCatalogue checks that each situation has a name and a sentence of its own.
func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range All() {
		if m.Name() == "" || m.About() == "" || seen[m.Name()] || seen[m.About()] {
			t.Errorf("situation %d: name %q, about %q", m, m.Name(), m.About())
		}
		if strings.ContainsAny(m.Name(), " _") || m.Name() != strings.ToLower(m.Name()) {
			t.Errorf("situation %d has the name %q", m, m.Name())
		}
		seen[m.Name()], seen[m.About()] = true, true
	}
	if len(All()) != int(ServerPaused)+1 {
		t.Errorf("%d situations", len(All()))
	}
}

func TestCountsAdd(t *testing.T) {
	var a, b Counts
	a[BeaconAtStart], b[BeaconAtStart], b[ServerPaused] = 2, 3, 1
	a.Add(&b)
	if a[BeaconAtStart] != 5 || a[ServerPaused] != 1 || b[BeaconAtStart] != 3 {
		t.Errorf("%v", a)
	}
}
