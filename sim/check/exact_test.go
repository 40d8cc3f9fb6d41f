package check

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// newExactRig returns the rig of newRig, in virtual time.
func newExactRig(t *testing.T) *rig {
	return newRigWith(t, Rules{
		Start: start, Location: time.UTC, BlockDuration: 60 * second, Lifetime: 900 * second, Exact: true,
		Accounts:  map[string]string{"anna": "right1", "ben": "comp1"},
		Retention: []time.Duration{3 * time.Minute, 3 * time.Minute, time.Minute},
	})
}

// violated returns the invariants that were violated, in order.
func (r *rig) violated() (all []Invariant) {
	for _, v := range r.broken {
		all = append(all, v.Invariant)
	}
	return all
}

// receiving is a phone with a real Assembler whose datagrams and verdicts the invariants observe.
type receiving struct {
	*rig
	real   protocol.Assembler
	at     time.Duration
	change func(at *time.Duration, e *nodes.PhoneEffect) int // changes a verdict, and returns how often it is given
}

func sender(n int) protocol.Address {
	return protocol.Address{IP: [16]byte{byte(n / 2)}, Port: uint16(1000 + n%2)}
}

// arrives passes a datagram of a sender to the phone.
func (r *receiving) arrives(at time.Duration, from int, p string) {
	for due, ok := r.real.NextWake(); ok && due < at; due, ok = r.real.NextWake() {
		r.judge(due, r.real.Wake(due, nil))
	}
	r.at = at
	out := r.real.Wake(at, nil)
	r.judge(at, out)
	address := sender(from)
	r.DatagramSent(int64(at), int64(at))
	r.emit(int64(at), event.DatagramDelivered, event.Event{Node: 0, Peer: uint32(from / 2), Port: address.Port,
		Size: len(p), Sum: xxhash.Sum64String(p)})
	r.judge(at, r.real.Datagram(at, address, []byte(p), nil))
}

func (r *receiving) judge(at time.Duration, out []protocol.Assembled) {
	for _, a := range out {
		e := &nodes.PhoneEffect{Kind: nodes.PhoneJudged, From: a.From, Raw: a.Raw, HasVersion: a.HasVersion,
			OutOfTurn: a.OutOfTurn, FirstPart: a.FirstPart, Err: protocol.ErrTempID}
		times, when := 1, at
		if r.change != nil {
			times = r.change(&when, e)
		}
		e.At.Elapsed = when
		for range times {
			r.Judged(int64(when), 0, uint32(e.From.IP[0]), e)
		}
	}
	r.Stepped(int64(at), 0, r.logOf())
}

// letters returns n letters: no phone takes them for a valid beacon.
func letters(n int, of byte) string { return strings.Repeat(string(rune(of)), n) }

// TestTheRealAssemblerFitsTheModel plays random datagrams of several sources to the Assembler of package protocol.
func TestTheRealAssemblerFitsTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := &receiving{rig: newExactRig(t)}
		for range rapid.IntRange(1, 60).Draw(rt, "datagrams") {
			r.at += time.Duration(rapid.SampledFrom([]int64{0, 1, 1e6, 249_999_999, 250e6, 1e9}).Draw(rt, "later"))
			size := rapid.SampledFrom([]int{20, 19, 19, 1, 59, 0, 7}).Draw(rt, "size")
			r.arrives(r.at, rapid.IntRange(0, 3).Draw(rt, "source"),
				letters(size, byte(rapid.IntRange('a', 'd').Draw(rt, "letter"))))
		}
		r.arrives(r.at+time.Minute, 0, "")
		if len(r.broken) > 0 {
			rt.Fatalf("%+v", r.broken)
		}
	})
}

// TestTheModelFindsWrongVerdicts changes one verdict of a phone: the model must find it.
func TestTheModelFindsWrongVerdicts(t *testing.T) {
	other := func(change func(at *time.Duration, e *nodes.PhoneEffect)) func(*time.Duration, *nodes.PhoneEffect) int {
		return func(at *time.Duration, e *nodes.PhoneEffect) int { change(at, e); return 1 }
	}
	for name, change := range map[string]func(*time.Duration, *nodes.PhoneEffect) int{
		"given twice":           func(*time.Duration, *nodes.PhoneEffect) int { return 2 },
		"never given":           func(*time.Duration, *nodes.PhoneEffect) int { return 0 },
		"a nanosecond late":     other(func(at *time.Duration, _ *nodes.PhoneEffect) { *at++ }),
		"without its version":   other(func(_ *time.Duration, e *nodes.PhoneEffect) { e.HasVersion = !e.HasVersion }),
		"out of turn":           other(func(_ *time.Duration, e *nodes.PhoneEffect) { e.OutOfTurn = true }),
		"begun at another time": other(func(_ *time.Duration, e *nodes.PhoneEffect) { e.FirstPart++ }),
		"another TempID":        other(func(_ *time.Duration, e *nodes.PhoneEffect) { e.Raw[0]++ }),
		"another expiry":        other(func(_ *time.Duration, e *nodes.PhoneEffect) { e.Raw[57]++ }),
		"another port":          other(func(_ *time.Duration, e *nodes.PhoneEffect) { e.From.Port++ }),
		"another sender":        other(func(_ *time.Duration, e *nodes.PhoneEffect) { e.From.IP[0]++ }),
	} {
		for _, form := range []string{"whole", "split", "without its fourth part"} {
			t.Run(name+", "+form, func(t *testing.T) {
				r := &receiving{rig: newExactRig(t)}
				r.change = func(at *time.Duration, e *nodes.PhoneEffect) int {
					r.change = nil
					return change(at, e)
				}
				if parts := []int{20, 19, 19, 1}; form == "whole" {
					r.arrives(second, 0, letters(59, 'a'))
				} else {
					for i, size := range parts {
						if i < 3 || form == "split" {
							r.arrives(second, 0, letters(size, byte('a'+i)))
						}
					}
				}
				r.arrives(5*second, 2, letters(20, 'z'))
				if got := r.violated(); !slices.Equal(got, []Invariant{BeaconsAssembled}) {
					t.Errorf("violated %v, want %v: %+v", got, BeaconsAssembled, r.broken)
				}
			})
		}
	}
}

// TestTheModelForgetsLikeAPhone has faults that stop or pause a phone with a begun beacon.
func TestTheModelForgetsLikeAPhone(t *testing.T) {
	for name, c := range map[string]struct {
		stop func(r *receiving)
		want int
	}{
		"nothing happens": {func(*receiving) {}, 1},
		"it stops":        {func(r *receiving) { r.PhoneStopped(int64(2*second), 0) }, 0},
		"it is paused": {func(r *receiving) {
			r.emit(int64(2*second), event.FaultApplied, event.Event{Node: 0, Fault: fault.Pause, InForce: true})
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := &receiving{rig: newExactRig(t)}
			r.arrives(2*second, 0, letters(20, 'a'))
			r.arrives(2*second, 0, letters(19, 'b'))
			r.arrives(2*second, 0, letters(19, 'c'))
			c.stop(r)
			r.Compare(int64(4*second), 0, r.logOf())
			if len(r.broken) != c.want {
				t.Errorf("%d violations, want %d: %+v", len(r.broken), c.want, r.broken)
			}
		})
	}
}

// TestSourcesOfTheModel checks the limits of the sources of one phone and of all.
func TestSourcesOfTheModel(t *testing.T) {
	r := &receiver{}
	for i := range maxSourcesPerPhone + 1 {
		r.add(source{verdict: verdict{origin: origin{1, uint16(i)}}})
	}
	if n := len(r.sources); n != maxSourcesPerPhone || r.sources[0].port != 1 {
		t.Errorf("%d sources of one phone, the oldest of port %d", n, r.sources[0].port)
	}
	for i := range maxSources {
		r.add(source{verdict: verdict{origin: origin{event.Node(i + 2), 1}}})
	}
	if n := len(r.sources); n != maxSources || r.sources[0].phone != 2 {
		t.Errorf("%d sources, the oldest of phone %d", n, r.sources[0].phone)
	}
}

// The output of the server.

// accepts lets the server accept a connection and print that it listens before the first.
func (r *rig) acceptsConn(c nodes.Conn) {
	r.emit(0, event.Accepted, event.Event{Slot: c, Conn: uint64(c) + 1})
}

func (r *rig) endsConn(c nodes.Conn) {
	r.emit(0, event.ServerEnded, event.Event{Conn: uint64(c) + 1, Closed: true})
}

// logsIn starts the server and logs anna in on connection 0.
func (r *rig) logsIn() {
	r.ServerPrinted(0, "I am listening")
	r.acceptsConn(0)
	r.exchange(0, 0, "anna")
	r.exchange(0, 0, "right1", protocol.Welcome)
}

func TestPrintedLines(t *testing.T) {
	lines, secret := []Invariant{LinesPrinted}, []Invariant{NothingSecret}
	whole := func(w *rig) { w.logsIn(); w.ServerPrinted(0, "users: anna") }
	downloaded := func(printed ...string) func(w *rig) {
		return func(w *rig) {
			whole(w)
			w.exchange(0, 0, protocol.CommandDownload, idOne)
			for _, p := range printed {
				w.ServerPrinted(0, p)
			}
			w.exchange(0, 0, "garbage")
		}
	}
	prints := func(text string) func(w *rig) { return func(w *rig) { whole(w); w.ServerPrinted(0, text) } }
	failsLogin := func(name, password, text string) func(w *rig) {
		return func(w *rig) {
			whole(w)
			w.acceptsConn(1)
			w.exchange(0, 1, name)
			w.exchange(0, 1, password, protocol.TryAgain)
			w.ServerPrinted(0, text)
		}
	}
	for _, c := range []history{
		{"a login and a logout", func(w *rig) { whole(w); w.ServerPrinted(0, "anna logout"); w.endsConn(0) }, nil},
		{"a login without its line", func(w *rig) { w.logsIn(); w.exchange(0, 0, "x") }, lines},
		{"a login without its line at the end", func(w *rig) { w.logsIn(); w.Balance(0, &world.Counts{}, 0) }, lines},
		{"a login of another", func(w *rig) { w.logsIn(); w.ServerPrinted(0, "users: ben"); w.exchange(0, 0, "x") },
			lines},
		{"a login printed twice", prints("users: anna"), lines},
		{"a download", downloaded("user: anna\nTempID:\n" + idOne), nil},
		{"a download without its lines", downloaded(), lines},
		{"a download of another TempID", downloaded("user: anna\nTempID:\n" + idTwo), lines},
		{"a download in parts", downloaded("user: anna", "TempID:\n"+idOne), lines},
		{"a logout of another account", func(w *rig) { whole(w); w.ServerPrinted(0, "ben logout"); w.endsConn(0) },
			lines},
		{"a logout without an end", func(w *rig) { whole(w); w.ServerPrinted(0, "anna logout"); w.exchange(0, 0, "x") },
			lines},
		{"an end without a logout", func(w *rig) { whole(w); w.endsConn(0) }, lines},
		{"the end of a connection that is not logged in", func(w *rig) { whole(w); w.acceptsConn(1); w.endsConn(1) },
			nil},
		{"a logout of a connection that is not logged in", func(w *rig) {
			whole(w)
			w.acceptsConn(1)
			w.ServerPrinted(0, "anna logout")
			w.endsConn(1)
		}, lines},
		{"it listens twice", prints("I am listening"), lines},
		{"it does not listen", func(w *rig) { w.acceptsConn(0) }, lines},
		{"a message between", func(w *rig) {
			w.logsIn()
			w.ServerPrinted(0, "the disk is slow")
			w.ServerPrinted(0, "users: anna")
		}, nil},
		{"a line in a message", prints("no command: 3\nusers: ben"), lines},
		{"a restart", func(w *rig) { whole(w); w.ServerStopped(0); w.ServerPrinted(0, "I am listening") }, nil},

		{"an escape sequence", prints("anna: no command: \x1b[2J"), secret},
		{"half a character", prints("anna: \xc3"), secret},
		{"an accent", prints("the café is closed"), nil},
		{"a wrong password", failsLogin("ben", "comp1!!", "ben tried comp1!!"), secret},
		{"a right password", prints("anna has the password right1"), secret},
		{"a name without an account", failsLogin("hunter22", "x", "no account: hunter22"), secret},
		{"a short or an ordinary word", failsLogin("space", "left", "no space left on the device"), nil},
		{"a part of a name", failsLogin("anna", "x", "attempts of anna could not be saved"), nil},
		{"an unknown name on the disk", func(w *rig) {
			w.emit(0, event.StoreAsked, event.Event{Records: attemptsOf("hunter22")})
		}, secret},
		{"an account on the disk", func(w *rig) {
			w.StoreAsked(0, attemptsOf("anna"))
			w.StoreAsked(0,
				attemptsOf(""))
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newExactRig(t)
			c.feed(w)
			if got := w.violated(); !slices.Equal(got, c.want) {
				t.Errorf("violated %v, want %v: %+v", got, c.want, w.broken)
			}
		})
	}
}

// TestUnsavedAttemptsAreStoredAgain has a disk that refuses a store of attempts at 1 s.
func TestUnsavedAttemptsAreStoredAgain(t *testing.T) {
	again := []nodes.Record{{Kind: nodes.RecordUnsaved}}
	issue := []nodes.Record{{Kind: nodes.RecordIssue}}
	for name, c := range map[string]struct {
		feed func(w *rig)
		want bool
	}{
		"after a second": {func(w *rig) { w.StoreAsked(int64(2*second), again) }, false},
		"later":          {func(w *rig) { w.StoreAsked(int64(2*second+3), again) }, true},
		"never":          {func(w *rig) { w.Accepted(0, 0); w.ServerRead(int64(3*second), 0, []byte("anna")) }, true},
		"only a TempID is": {func(w *rig) { w.StoreAsked(int64(second), issue); w.StoreAsked(int64(3*second), again) },
			true},
		"refused again": {func(w *rig) {
			w.StoreAsked(int64(2*second), again)
			w.StoreDone(int64(3*second), again, errDisk)
			w.StoreAsked(int64(5*second), again)
		}, true},
		"another was saved": {func(w *rig) {
			w.StoreDone(int64(second), attemptsOf("ben"), nil)
			w.StoreAsked(int64(3*second), again)
		}, false},
		"the server is killed": {func(w *rig) { w.ServerStopped(int64(second)); w.StoreAsked(int64(3*second), again) },
			false},
		"the server is paused": {func(w *rig) {
			w.emit(int64(second), event.FaultApplied, event.Event{Node: event.Server, Fault: fault.Pause,
				InForce: true})
			w.StoreAsked(int64(3*second), again)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newExactRig(t)
			w.StoreAsked(0, attemptsOf("anna"))
			w.StoreDone(int64(second), attemptsOf("anna"), errDisk)
			c.feed(w)
			if got := slices.Contains(w.violated(), PasswordsAnswered); got != c.want {
				t.Errorf("violated %v, want it to have the saving: %v", w.violated(), c.want)
			}
		})
	}
}

// TestAnswersComeInTime has programs that wait.
func TestAnswersComeInTime(t *testing.T) {
	asks := func(w *rig, at time.Duration) {
		w.ProgramConnects(0, 0, 0)
		w.PhoneSent(0, 0, []byte("anna"))
		w.PhoneSent(int64(at), 0, []byte("right1"))
	}
	for name, c := range map[string]struct {
		feed func(w *rig)
		want bool
	}{
		"told in time": {func(w *rig) { asks(w, second); w.PhonePrinted(int64(11*second), 0, "no answer") }, false},
		"told late":    {func(w *rig) { asks(w, second); w.PhonePrinted(int64(11*second+1), 0, "no answer") }, true},
		"never told":   {func(w *rig) { asks(w, second); w.Compare(int64(12*second), 0, w.logOf()) }, true},
		"the run ends": {func(w *rig) { asks(w, second); w.Compare(int64(11*second), 0, w.logOf()) }, false},
		"only the name": {func(w *rig) {
			w.ProgramConnects(0, 0, 0)
			w.PhoneSent(0, 0, []byte("anna"))
			w.Compare(int64(time.Hour), 0, w.logOf())
		}, false},
		"the next line": {func(w *rig) {
			asks(w, second)
			w.PhoneSent(int64(9*second), 0, []byte("3"))
			w.Compare(int64(18*second), 0, w.logOf())
		}, false},
		"a second try": {func(w *rig) {
			asks(w, second)
			w.ProgramConnects(int64(11*second), 0, 1)
			w.Compare(int64(time.Hour), 0, w.logOf())
		}, false},
		"done": {func(w *rig) {
			asks(w, second)
			w.emit(int64(2*second), event.OperationDone, event.Event{Phone: &nodes.PhoneEffect{}})
			w.Compare(int64(time.Hour), 0, w.logOf())
		}, false},
		"it stops": {func(w *rig) {
			asks(w, second)
			w.PhoneStopped(int64(2*second), 0)
			w.Compare(int64(time.Hour), 0, w.logOf())
		}, false},
		"after a move": {func(w *rig) {
			asks(w, second)
			w.SessionMoved(int64(2*second), 1, 0)
			w.Compare(int64(12*second), 1, w.logOf())
		}, true},
		"moved away": {func(w *rig) {
			asks(w, second)
			w.SessionMoved(int64(2*second), 1, 0)
			w.Compare(int64(12*second), 0, w.logOf())
		}, false},
		"by a slow clock": {func(w *rig) {
			w.ClockSet(0, 0, 0, start*int64(second), -1000)
			asks(w, second)
			w.PhonePrinted(int64(11*second+10_010_010), 0, "no answer")
		}, false},
		"paused": {func(w *rig) {
			asks(w, second)
			w.emit(int64(2*second), event.FaultApplied, event.Event{Node: 0, Fault: fault.Pause, InForce: true})
			w.Compare(int64(time.Hour), 0, w.logOf())
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newExactRig(t)
			c.feed(w)
			if got := slices.Contains(w.violated(), AnswersCome); got != c.want {
				t.Errorf("violated %v, want %v: %+v", got, c.want, w.broken)
			}
		})
	}
}

// TestACrowdIsNotFollowed checks that the models that follow each datagram are not used for a crowd.
func TestACrowdIsNotFollowed(t *testing.T) {
	for phones, want := range map[int]bool{followedPhones: true, followedPhones + 1: false} {
		r := newRigWith(t, Rules{Start: start, Location: time.UTC, Exact: true,
			Retention: slices.Repeat([]time.Duration{time.Minute}, phones)})
		if got := r.assembly.receivers != nil; got != want {
			t.Errorf("%d phones: followed %v, want %v", phones, got, want)
		}
	}
}
