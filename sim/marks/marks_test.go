package marks

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/world"
)

const (
	second = time.Second
	start  = 1596099600 // 30/07/2020 09:00:00 UTC
)

// deaf is whom a world tells, and counts that it is told.
type deaf struct {
	world.Watcher
	told *int
}

func (d deaf) FaultInForce(int64, world.FaultKind, bool)                      { *d.told++ }
func (d deaf) Accepted(int64, nodes.Conn)                                     { *d.told++ }
func (d deaf) ServerRead(int64, nodes.Conn, []byte)                           { *d.told++ }
func (d deaf) ServerSent(int64, nodes.Conn, []byte)                           { *d.told++ }
func (d deaf) ServerPrinted(int64, string)                                    { *d.told++ }
func (d deaf) Judged(int64, uint32, uint32, *nodes.PhoneEffect)               { *d.told++ }
func (d deaf) Stepped(int64, uint32, *nodes.ContactLog)                       { *d.told++ }
func (d deaf) PhoneStopped(int64, uint32)                                     { *d.told++ }
func (d deaf) PhoneStarted(int64, uint32, *nodes.ContactLog)                  { *d.told++ }
func (d deaf) Written(int64, uint32, []nodes.StoredContact)                   { *d.told++ }
func (d deaf) ServerStopped(int64)                                            { *d.told++ }
func (d deaf) ServerStarted(int64, func(protocol.TempID) (nodes.Issue, bool)) { *d.told++ }
func (d deaf) StoreAsked(int64, []nodes.Record)                               { *d.told++ }
func (d deaf) StoreDone(int64, []nodes.Record, error)                         { *d.told++ }
func (d deaf) ClockSet(int64, uint32, time.Duration, int64, float64)          { *d.told++ }

// mute is a story that counts that it is told.
type mute struct {
	world.Story
	told *int
}

func (m mute) Decided(uint32, bool, *nodes.ServerEvent) { *m.told++ }
func (m mute) Done(uint32, *nodes.PhoneEffect)          { *m.told++ }

// stage is a world that is played by hand; it counts what it tells.
type stage struct {
	t       *testing.T
	seen    *Seen
	watcher world.Watcher
	story   world.Story
	told    int // to those who listened before
	telling int
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, seen: New(Settings{Start: start, Zone: time.UTC, BlockDuration: 60 * second})}
	s.watcher, s.story = s.seen.Between(deaf{told: &s.told}, mute{told: &s.told})
	return s
}

func (s *stage) tell() world.Watcher {
	s.telling++
	return s.watcher
}

// beacon is judged by phone 0: it came from sender, began to arrive at first, and
// is valid from start to expiry, counted from the start.
func (s *stage) beacon(at, first time.Duration, sender uint32, id byte, from, to time.Duration, change func(*nodes.PhoneEffect)) {
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
	s.tell().Judged(int64(at), 0, sender, e)
}

func (s *stage) valid(at time.Duration, id byte) { s.beacon(at, at, 1, id, -second, 900*second, nil) }

// blocks has an account blocked.
func (s *stage) blocks(at time.Duration, conn nodes.Conn, user string) {
	s.tell().Accepted(int64(at), conn)
	s.tell().ServerRead(int64(at), conn, []byte(user))
	for _, answer := range []string{protocol.TryAgain, protocol.TryAgain, protocol.NowBlocked} {
		s.tell().ServerRead(int64(at), conn, []byte("guess"))
		s.tell().ServerSent(int64(at), conn, []byte(answer))
	}
}

func (s *stage) cut(at time.Duration, begins bool) {
	s.tell().FaultInForce(int64(at), world.Cut, begins)
}

func (s *stage) restarts(down, up time.Duration) {
	s.tell().ServerStopped(int64(down))
	s.tell().ServerStarted(int64(up), nil)
}

// clock sets that of a node: its elapsed time is the world's, its wall time ahead
// by so much.
func (s *stage) clock(at time.Duration, who uint32, ahead time.Duration, ppm float64) {
	s.tell().ClockSet(int64(at), who, at, start*int64(second)+int64(at+ahead), ppm)
}

// log is one with so many entries.
func (s *stage) log(entries int) *nodes.ContactLog {
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
		s.t.Fatalf("the test's own log has %d entries, want %d", p.Log().Len(), entries)
	}
	return p.Log()
}

func (s *stage) prints(text string) { s.tell().ServerPrinted(0, text) }
func (s *stage) applied(k world.FaultKind, who uint32) {
	s.seen.Applied(world.Applied{Kind: k, Who: who})
}
func (s *stage) decided(phone uint32, raw bool, e nodes.ServerEvent) {
	s.telling++
	s.story.Decided(phone, raw, &e)
}

func (s *stage) done(phone uint32, op nodes.Operation, o nodes.Outcome) {
	s.telling++
	s.story.Done(phone, &nodes.PhoneEffect{Kind: nodes.PhoneDone, Op: op, Outcome: o})
}

var errDisk = errors.New("no space left on device")

func stored(k nodes.RecordKind) []nodes.Record { return []nodes.Record{{Kind: k}} }

func broken(what string) string {
	return "received contact log from anna\n1\nanna: incomplete upload: " + what
}

// TestMarks: the situation counts once, what comes near it does not.
func TestMarks(t *testing.T) {
	reached := map[Mark]bool{}
	for _, c := range []struct {
		mark Mark
		is   func(s *stage)
		near func(s *stage)
	}{
		{BeaconAtExpiry,
			func(s *stage) { s.beacon(60*second, 60*second, 1, '1', 0, 60*second, failed) },
			func(s *stage) {
				s.beacon(60*second-1, 60*second-1, 1, '1', 0, 60*second, nil)
				s.beacon(60*second+1, 60*second+1, 1, '1', 0, 60*second, failed)
				s.beacon(60*second, 60*second, 1, '1', 0, 60*second, func(e *nodes.PhoneEffect) { e.OutOfTurn = true })
			}},
		{BeaconAtStart,
			func(s *stage) { s.beacon(60*second, 60*second, 1, '1', 60*second, 90*second, nil) },
			func(s *stage) {
				s.beacon(60*second-1, 60*second-1, 1, '1', 60*second, 90*second, failed)
				s.beacon(60*second+1, 60*second+1, 1, '1', 60*second, 90*second, nil)
			}},
		{BeaconWithoutVersion,
			func(s *stage) {
				s.beacon(second, second, 1, '1', 0, 60*second, func(e *nodes.PhoneEffect) { e.HasVersion = false })
			},
			func(s *stage) {
				s.beacon(second, second, 1, '1', 0, 60*second, nil)
				s.beacon(second, second, 1, '1', 0, 60*second, func(e *nodes.PhoneEffect) { e.HasVersion = false; failed(e) })
			}},
		{BeaconsInterleaved,
			func(s *stage) {
				s.beacon(5*second, second, 1, '1', 0, 60*second, nil)
				s.beacon(6*second, 2*second, 2, '2', 0, 60*second, nil)
			},
			func(s *stage) {
				s.beacon(5*second, second, 1, '1', 0, 60*second, nil)
				s.beacon(6*second, 5*second, 2, '2', 0, 60*second, nil)
				s.beacon(7*second, 5*second, 2, '3', 0, 60*second, nil) // of the same phone
			}},
		{BeaconsInterleaved,
			func(s *stage) {
				s.beacon(5*second, 3*second, 1, '1', 0, 60*second, nil)
				s.beacon(6*second, 2*second, 2, '2', 0, 60*second, nil) // around the other
			}, nil},
		{BeaconKeptTwice,
			func(s *stage) { s.valid(second, '1'); s.valid(2*second, '1') },
			func(s *stage) {
				s.valid(second, '1')
				s.valid(2*second, '2')
				s.beacon(3*second, 3*second, 1, '1', 0, 60*second, failed)
			}},
		{BeaconByOtherClock,
			func(s *stage) {
				s.clock(0, 0, time.Hour, 0)
				s.beacon(second, second, 1, '1', 3600*second, 3700*second, nil)
			},
			func(s *stage) {
				s.clock(0, 0, 10*second, 0)
				s.beacon(second, second, 1, '1', 0, 3700*second, nil) // valid by either
				s.beacon(second, second, 1, '2', 3600*second, 3700*second, failed)
			}},
		{BeaconDoubled,
			func(s *stage) { s.applied(world.Duplicate, 0) },
			func(s *stage) { s.applied(world.Delay, 0); s.applied(world.Lose, 0) }},
		{BeaconReordered,
			func(s *stage) { s.applied(world.Reorder, 0) },
			func(s *stage) { s.applied(world.Delay, 0) }},
		{BeaconCorrupted,
			func(s *stage) { s.applied(world.Corrupt, 0) },
			func(s *stage) { s.applied(world.Truncate, 0) }},
		{EntryExpiresWhileOff,
			func(s *stage) {
				s.tell().Written(0, 0, make([]nodes.StoredContact, 2))
				s.tell().PhoneStopped(int64(second), 0)
				s.tell().PhoneStarted(int64(2*second), 0, s.log(1))
				s.tell().PhoneStopped(int64(3*second), 0)
				s.tell().PhoneStarted(int64(4*second), 0, s.log(1)) // not the same one again
			},
			func(s *stage) {
				s.tell().Written(0, 0, make([]nodes.StoredContact, 2))
				s.tell().PhoneStopped(int64(second), 0)
				s.tell().PhoneStarted(int64(2*second), 0, s.log(2))
			}},
		{EntryOutlivesRestart,
			func(s *stage) { s.tell().PhoneStarted(0, 0, s.log(1)) },
			func(s *stage) { s.tell().PhoneStarted(0, 0, s.log(0)) }},
		{LogPartlyLost,
			func(s *stage) {
				s.valid(second, '1')
				s.tell().Written(int64(second), 0, make([]nodes.StoredContact, 1))
				s.valid(2*second, '2')
				s.tell().PhoneStopped(int64(3*second), 0)
			},
			func(s *stage) {
				s.valid(second, '1')
				s.tell().Written(int64(2*second), 0, make([]nodes.StoredContact, 1))
				s.beacon(3*second, 3*second, 1, '1', 0, 60*second, failed)
				s.tell().PhoneStopped(int64(3*second), 0)
			}},
		{PhoneStoppedInUpload, // killed: nothing comes between
			func(s *stage) {
				s.done(0, nodes.OpUpload, nodes.OutcomeConnectionLost)
				s.tell().PhoneStopped(int64(second), 0)
			},
			func(s *stage) {
				s.done(0, nodes.OpUpload, nodes.OutcomeConnectionLost) // the server went away
				s.tell().Stepped(int64(second), 0, s.log(0))
				s.tell().PhoneStopped(int64(2*second), 0)
				s.done(0, nodes.OpDownload, nodes.OutcomeConnectionLost)
				s.tell().PhoneStopped(int64(3*second), 0)
				s.done(0, nodes.OpUpload, nodes.OutcomeOK)
				s.tell().PhoneStopped(int64(4*second), 0)
				s.done(1, nodes.OpUpload, nodes.OutcomeConnectionLost) // of another
				s.tell().PhoneStopped(int64(5*second), 0)
			}},
		{PhoneStoppedInUpload, // switched off: its program ends by itself in that instant
			func(s *stage) {
				s.done(0, nodes.OpUpload, nodes.OutcomeConnectionLost)
				s.tell().Stepped(int64(second), 0, s.log(0))
				s.tell().PhoneStopped(int64(second), 0)
			}, nil},
		{BlockDuringCut,
			func(s *stage) {
				s.blocks(second, 0, "anna")
				s.seen.Applied(world.Applied{Kind: world.Cut, At: int64(61*second) - 1})
			},
			func(s *stage) {
				s.seen.Applied(world.Applied{Kind: world.Cut, At: 0})
				s.blocks(second, 0, "anna")
				s.seen.Applied(world.Applied{Kind: world.Lose, At: int64(2 * second)})
				s.seen.Applied(world.Applied{Kind: world.Cut, At: int64(61 * second)})
			}},
		{BlockEndsDuringCut,
			func(s *stage) {
				s.blocks(second, 0, "anna")
				s.cut(60*second, true)
				s.cut(61*second, false)
			},
			func(s *stage) {
				s.cut(0, true)
				s.blocks(second, 0, "anna")
				s.cut(61*second-1, false)
				s.cut(61*second, true)
				s.tell().FaultInForce(int64(61*second), world.Lose, true)
				s.cut(62*second, false)
				s.tell().FaultInForce(int64(62*second), world.Lose, false)
			}},
		{BlockEndsDuringCut, // one cut follows another without a gap
			func(s *stage) {
				s.blocks(second, 0, "anna")
				s.cut(2*second, true)
				s.cut(3*second, true)
				s.cut(4*second, false)
				s.cut(62*second, false)
			}, nil},
		{BlockOverRestart,
			func(s *stage) { s.blocks(second, 0, "anna"); s.restarts(2*second, 61*second-1) },
			func(s *stage) { s.restarts(0, 0); s.blocks(second, 0, "anna"); s.restarts(61*second, 62*second) }},
		{BlockEndsWhileDown,
			func(s *stage) {
				s.blocks(second, 0, "anna")
				s.restarts(60*second, 61*second)
				s.restarts(70*second, 71*second)
			},
			func(s *stage) {
				s.blocks(second, 0, "anna")
				s.restarts(59*second, 61*second-1)
				s.restarts(61*second, 62*second)
			}},
		{BlockOverStep,
			func(s *stage) { s.blocks(second, 0, "anna"); s.clock(2*second, world.Nobody, -time.Hour, 0) },
			func(s *stage) {
				s.clock(0, world.Nobody, time.Hour, 0)
				s.blocks(second, 0, "anna")
				s.clock(2*second, world.Nobody, time.Hour, 100) // it drifts from now on
				s.clock(3*second, 0, time.Hour, 0)              // a phone's
				s.tell().ClockSet(int64(61*second), world.Nobody, 0, 0, 0)
			}},
		{RefusedOwner,
			func(s *stage) {
				s.decided(1, false, nodes.ServerEvent{Kind: nodes.EventBlockBegan, User: "anna"})
				s.decided(0, false, nodes.ServerEvent{Kind: nodes.EventRefused, User: "anna"})
			},
			func(s *stage) {
				s.decided(0, false, nodes.ServerEvent{Kind: nodes.EventBlockBegan, User: "anna"})
				s.decided(0, false, nodes.ServerEvent{Kind: nodes.EventRefused, User: "anna"}) // it guessed itself
				s.decided(1, true, nodes.ServerEvent{Kind: nodes.EventRefused, User: "anna"})  // a script
				s.decided(1, false, nodes.ServerEvent{Kind: nodes.EventRefused})               // a name that nobody has
				s.decided(1, false, nodes.ServerEvent{Kind: nodes.EventLoggedIn, User: "anna"})
			}},
		{KilledWhileSaving,
			func(s *stage) {
				s.tell().StoreAsked(0, stored(nodes.RecordIssue))
				s.tell().ServerStopped(1)
				s.tell().ServerStopped(2) // what that one saved died with it
			},
			func(s *stage) {
				s.tell().StoreAsked(0, stored(nodes.RecordIssue))
				s.tell().StoreDone(0, stored(nodes.RecordIssue), nil)
				s.tell().ServerStopped(1)
			}},
		{IssueNotSaved,
			func(s *stage) {
				s.tell().StoreAsked(0, stored(nodes.RecordIssue))
				s.tell().StoreDone(0, stored(nodes.RecordIssue), errDisk)
			},
			func(s *stage) {
				s.tell().StoreAsked(0, stored(nodes.RecordIssue))
				s.tell().StoreDone(0, stored(nodes.RecordIssue), nil)
				s.tell().StoreAsked(0, stored(nodes.RecordAttempts))
				s.tell().StoreDone(0, stored(nodes.RecordAttempts), errDisk)
			}},
		{AttemptNotSaved,
			func(s *stage) {
				s.tell().StoreAsked(0, stored(nodes.RecordAttempts))
				s.tell().StoreDone(0, stored(nodes.RecordAttempts), errDisk)
			},
			func(s *stage) {
				s.tell().StoreAsked(0, stored(nodes.RecordIssue))
				s.tell().StoreDone(0, stored(nodes.RecordIssue), errDisk)
			}},
		{PartOfWriteLeft,
			func(s *stage) { s.seen.Applied(world.Applied{Kind: world.Crash, Amount: 1}) },
			func(s *stage) {
				s.seen.Applied(world.Applied{Kind: world.Crash})
				s.seen.Applied(world.Applied{Kind: world.Delay, Amount: 1})
			}},
		{ServerPaused,
			func(s *stage) { s.applied(world.Pause, world.Nobody) },
			func(s *stage) { s.applied(world.Pause, 0); s.applied(world.Stall, world.Nobody) }},
		{TornLineFound,
			func(s *stage) { s.prints(`attempts.txt: the last line was torn, and is dropped: "x"`) },
			func(s *stage) { s.prints("I am listening") }},
		{AheadGivesBack,
			func(s *stage) {
				s.prints("tempIDs.txt: lines that were missing after a crash came back from tempIDs.txt.ahead: 3")
			},
			func(s *stage) { s.prints("I am listening") }},
		{UploadWithoutCount,
			func(s *stage) { s.prints("anna: incomplete upload: no count of lines") },
			func(s *stage) { s.prints(broken("0 of 3 lines")) }},
		{UploadCutAtTempID,
			func(s *stage) { s.prints(broken("3 of 6 lines")) },
			func(s *stage) {
				s.prints(broken("4 of 6 lines"))
				s.prints("received contact log from anna\nContact log checking")
				s.prints(broken("some of 6 lines"))
				s.prints(broken("3"))
			}},
		{UploadCutAtStart,
			func(s *stage) { s.prints(broken("4 of 6 lines")) },
			func(s *stage) { s.prints(broken("3 of 6 lines")); s.prints(broken("5 of 6 lines")) }},
		{UploadCutAtExpiry,
			func(s *stage) { s.prints(broken("2 of 6 lines")) },
			func(s *stage) { s.prints(broken("4 of 6 lines")) }},
		{UploadCutAtLastLine,
			func(s *stage) { s.prints(broken("5 of 6 lines")) },
			func(s *stage) { s.prints(broken("2 of 6 lines")) }},
		{UploadOfForeign,
			func(s *stage) {
				s.decided(0, true, nodes.ServerEvent{Kind: nodes.EventUploadDone, Entries: 2, Resolved: 1})
			},
			func(s *stage) {
				s.decided(0, true, nodes.ServerEvent{Kind: nodes.EventUploadDone, Entries: 2, Resolved: 2})
				s.decided(0, true, nodes.ServerEvent{Kind: nodes.EventUploadBroken, Entries: 2})
			}},
	} {
		reached[c.mark] = true
		t.Run(c.mark.Name(), func(t *testing.T) {
			for want, play := range []func(*stage){c.near, c.is} {
				if play == nil {
					continue
				}
				s := newStage(t)
				play(s)
				if got := s.seen.Counts[c.mark]; got != uint64(want) {
					t.Errorf("%s: counted %d times, want %d", c.mark.About(), got, want)
				}
				if s.told != s.telling {
					t.Errorf("%s: those who listen besides were told %d of %d things", c.mark.About(), s.told, s.telling)
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

// failed makes a beacon invalid.
func failed(e *nodes.PhoneEffect) { e.Err = protocol.ErrExpired }

// TestCatalogue: each has a name and a sentence of its own.
func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range All() {
		if m.Name() == "" || m.About() == "" || seen[m.Name()] || seen[m.About()] {
			t.Errorf("mark %d: name %q, about %q", m, m.Name(), m.About())
		}
		if strings.ContainsAny(m.Name(), " _") || m.Name() != strings.ToLower(m.Name()) {
			t.Errorf("mark %d is called %q", m, m.Name())
		}
		seen[m.Name()], seen[m.About()] = true, true
	}
	if len(All()) != int(ServerPaused)+1 {
		t.Errorf("%d marks", len(All()))
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
