package check

import (
	"errors"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

var errDisk = errors.New("no space left on device")

// clock sets the server's clocks: elapsed and wall are ahead of those of the world
// by these durations.
func (w *rig) clock(at, elapsed, wall time.Duration, ppm float64) {
	w.ClockSet(int64(at), event.Server, at+elapsed, start*int64(second)+int64(at+wall), ppm)
}

// restarts kills the server, and starts another one.
func (w *rig) restarts(killed, started time.Duration) {
	w.ServerStopped(int64(killed))
	w.ServerStarted(int64(started), func(protocol.TempID) (nodes.Issue, bool) { return nodes.Issue{}, false })
}

func attemptsOf(user string) []nodes.Record {
	return []nodes.Record{{Kind: nodes.RecordAttempts, Attempts: nodes.Attempts{Known: user != "", User: user}}}
}

// wrong makes an attempt of anna with a wrong password. Its store ends with err, and
// it is answered.
func (w *rig) wrong(at time.Duration, c nodes.Conn, err error, answer string) {
	w.opens(at, c)
	w.exchange(at, c, "wrong")
	w.StoreAsked(int64(at), attemptsOf("anna"))
	w.StoreDone(int64(at), attemptsOf("anna"), err)
	w.ServerSent(int64(at), c, []byte(answer))
}

// TestBlocksByTheServersClock checks that a block lasts by the elapsed time of the
// server, whatever its wall clock shows.
func TestBlocksByTheServersClock(t *testing.T) {
	// At 1000 ppm 60 s of the server are 59.94006 s of the world.
	const minute = 59940059941 * time.Nanosecond
	checkHistories(t, []history{
		{"a fast clock, refused to the last nanosecond", func(w *rig) {
			w.clock(0, 0, 0, 1000)
			w.blocked()
			w.attempt(2*second+minute-2, 1, "right", protocol.IsBlocked)
			w.attempt(2*second+minute, 2, "right", protocol.Welcome)
		}, nil},
		{"a fast clock, refused for a minute of the world", func(w *rig) {
			w.clock(0, 0, 0, 1000)
			w.blocked()
			w.attempt(62*second-1, 1, "right", protocol.IsBlocked)
		}, []Invariant{BlockLastsExactly}},
		{"a slow clock, welcomed after a minute of the world", func(w *rig) {
			w.clock(0, 0, 0, -1000)
			w.blocked()
			w.attempt(62*second, 1, "right", protocol.Welcome)
		}, []Invariant{NoWelcomeDuringBlock}},
		{"a slow clock", func(w *rig) {
			w.clock(0, 0, 0, -1000)
			w.blocked()
			w.attempt(62*second, 1, "right", protocol.IsBlocked)
			w.attempt(62*second+60060061*time.Microsecond, 2, "right", protocol.Welcome)
		}, nil},
		{"stepped ahead in a block, which goes on", func(w *rig) {
			w.blocked()
			w.clock(10*second, 0, time.Hour, 0)
			w.attempt(62*second-1, 1, "right", protocol.IsBlocked)
			w.attempt(62*second, 2, "right", protocol.Welcome)
		}, nil},
		{"stepped ahead in a block, which ends with it", func(w *rig) {
			w.blocked()
			w.clock(10*second, 0, time.Hour, 0)
			w.attempt(11*second, 1, "right", protocol.Welcome)
		}, []Invariant{NoWelcomeDuringBlock}},
		{"stepped back in a block, which grows with it", func(w *rig) {
			w.blocked()
			w.clock(10*second, 0, -time.Hour, 0)
			w.attempt(62*second, 1, "right", protocol.IsBlocked)
		}, []Invariant{BlockLastsExactly}},
	})
}

// TestBlocksOverRestarts checks that a block continues by wall time, with a
// remainder between nothing and a whole block.
func TestBlocksOverRestarts(t *testing.T) {
	checkHistories(t, []history{
		{"goes on", func(w *rig) {
			w.blocked()
			w.restarts(10*second, 30*second)
			w.attempt(62*second-1, 1, "right", protocol.IsBlocked)
			w.attempt(62*second, 2, "right", protocol.Welcome)
		}, nil},
		{"is forgotten", func(w *rig) {
			w.blocked()
			w.restarts(10*second, 30*second)
			w.attempt(62*second-1, 1, "right", protocol.Welcome)
		}, []Invariant{NoWelcomeDuringBlock}},
		{"begins anew", func(w *rig) {
			w.blocked()
			w.restarts(10*second, 30*second)
			w.attempt(62*second, 1, "right", protocol.IsBlocked)
		}, []Invariant{BlockLastsExactly}},
		{"the time that the server was down does not count", func(w *rig) {
			w.blocked()
			w.restarts(10*second, 30*second)
			w.attempt(81*second, 1, "right", protocol.IsBlocked)
		}, []Invariant{BlockLastsExactly}},
		{"is over when the server starts", func(w *rig) {
			w.blocked()
			w.restarts(10*second, 70*second)
			w.attempt(70*second, 1, "right", protocol.Welcome)
		}, nil},
		{"stepped back: a whole one is left, and no more", func(w *rig) {
			w.blocked()
			w.clock(10*second, 0, -time.Hour, 0)
			w.restarts(20*second, 30*second)
			w.attempt(90*second-1, 1, "right", protocol.IsBlocked)
			w.attempt(90*second, 2, "right", protocol.Welcome)
		}, nil},
		{"stepped back: blocked for the hour as well", func(w *rig) {
			w.blocked()
			w.clock(10*second, 0, -time.Hour, 0)
			w.restarts(20*second, 30*second)
			w.attempt(90*second, 1, "right", protocol.IsBlocked)
		}, []Invariant{BlockLastsExactly}},
		{"stepped ahead: nothing is left", func(w *rig) {
			w.blocked()
			w.clock(10*second, 0, time.Hour, 0)
			w.restarts(20*second, 30*second)
			w.attempt(30*second, 1, "right", protocol.Welcome)
		}, nil},
		{"stepped ahead: refused all the same", func(w *rig) {
			w.blocked()
			w.clock(10*second, 0, time.Hour, 0)
			w.restarts(20*second, 30*second)
			w.attempt(30*second, 1, "right", protocol.IsBlocked)
		}, []Invariant{BlockLastsExactly}},
		{"twice", func(w *rig) {
			w.blocked()
			w.restarts(10*second, 20*second)
			w.restarts(30*second, 40*second)
			w.attempt(62*second-1, 1, "right", protocol.IsBlocked)
			w.attempt(62*second, 2, "right", protocol.Welcome)
		}, nil},
		{"an unread refusal does not change the block", func(w *rig) {
			w.blocked()
			w.opens(9*second, 7)
			w.exchange(9*second, 7, "right")
			w.restarts(10*second, 20*second)
			w.attempt(30*second, 1, "right", protocol.Welcome)
		}, []Invariant{NoWelcomeDuringBlock}},
	})
}

// TestAttemptsOverRestarts checks that an attempt that was saved and answered
// counts, and that any other may or may not count.
func TestAttemptsOverRestarts(t *testing.T) {
	twice := func(w *rig, err error) {
		w.wrong(0, 0, nil, protocol.TryAgain)
		w.wrong(second, 1, err, protocol.TryAgain)
	}
	// killedBeforeAnswer kills the server before the answer to the second attempt.
	killedBeforeAnswer := func(w *rig) {
		w.wrong(0, 0, nil, protocol.TryAgain)
		w.opens(second, 1)
		w.exchange(second, 1, "wrong")
		w.StoreAsked(int64(second), attemptsOf("anna"))
		w.restarts(second, 2*second)
	}
	checkHistories(t, []history{
		{"saved: the third blocks", func(w *rig) {
			twice(w, nil)
			w.restarts(2*second, 3*second)
			w.attempt(4*second, 2, "wrong", protocol.NowBlocked)
		}, nil},
		{"saved, and forgotten", func(w *rig) {
			twice(w, nil)
			w.restarts(2*second, 3*second)
			w.attempt(4*second, 2, "wrong", protocol.TryAgain)
		}, []Invariant{ThirdWrongBlocks}},
		{"not saved: the third blocks", func(w *rig) {
			twice(w, errDisk)
			w.restarts(2*second, 3*second)
			w.attempt(4*second, 2, "wrong", protocol.NowBlocked)
		}, nil},
		{"not saved: the third does not", func(w *rig) {
			twice(w, errDisk)
			w.restarts(2*second, 3*second)
			w.attempt(4*second, 2, "wrong", protocol.TryAgain)
		}, nil},
		{"not saved, no restart: memory counts", func(w *rig) {
			twice(w, errDisk)
			w.attempt(4*second, 2, "wrong", protocol.TryAgain)
		}, []Invariant{ThirdWrongBlocks}},
		{"not saved, but another name's was, and with it this one", func(w *rig) {
			twice(w, errDisk)
			w.StoreAsked(int64(2*second), attemptsOf("ben"))
			w.StoreDone(int64(2*second), attemptsOf("ben"), nil)
			w.restarts(2*second, 3*second)
			w.attempt(4*second, 2, "wrong", protocol.TryAgain)
		}, []Invariant{ThirdWrongBlocks}},
		{"not saved, and another name's neither", func(w *rig) {
			twice(w, errDisk)
			w.StoreAsked(int64(2*second), attemptsOf("ben"))
			w.StoreDone(int64(2*second), attemptsOf("ben"), errDisk)
			w.restarts(2*second, 3*second)
			w.attempt(4*second, 2, "wrong", protocol.TryAgain)
		}, nil},
		{"not saved, but the next one was", func(w *rig) {
			w.wrong(0, 0, errDisk, protocol.TryAgain)
			w.wrong(second, 1, nil, protocol.TryAgain)
			w.restarts(2*second, 3*second)
			w.attempt(4*second, 2, "wrong", protocol.TryAgain)
		}, []Invariant{ThirdWrongBlocks}},
		{"of another: it counts", func(w *rig) {
			twice(w, nil)
			w.StoreAsked(0, attemptsOf("ben"))
			w.restarts(2*second, 3*second)
			w.attempt(4*second, 2, "wrong", protocol.TryAgain)
		}, []Invariant{ThirdWrongBlocks}},
		{"under way, saved", func(w *rig) {
			killedBeforeAnswer(w)
			w.attempt(4*second, 2, "wrong", protocol.NowBlocked)
			w.attempt(5*second, 3, "right", protocol.IsBlocked)
			w.attempt(64*second, 4, "right", protocol.Welcome)
		}, nil},
		{"under way, lost", func(w *rig) {
			killedBeforeAnswer(w)
			w.attempt(4*second, 2, "wrong", protocol.TryAgain)
			w.attempt(5*second, 3, "wrong", protocol.NowBlocked)
		}, nil},
		{"under way: known again from the next block on", func(w *rig) {
			killedBeforeAnswer(w)
			w.attempt(4*second, 2, "wrong", protocol.NowBlocked)
			w.attempt(64*second-1, 3, "right", protocol.Welcome)
		}, []Invariant{NoWelcomeDuringBlock}},
		{"under way: known again from a welcome on", func(w *rig) {
			killedBeforeAnswer(w)
			w.attempt(4*second, 2, "right", protocol.Welcome)
			w.attempt(5*second, 3, "wrong", protocol.TryAgain)
			w.attempt(6*second, 4, "wrong", protocol.NowBlocked)
		}, []Invariant{ThirdWrongBlocks}},
		{"under way: two more are wrong and none blocks", func(w *rig) {
			killedBeforeAnswer(w)
			for i := range 2 {
				w.attempt(time.Duration(4+i)*second, nodes.Conn(2+i), "wrong", protocol.TryAgain)
			}
		}, []Invariant{ThirdWrongBlocks}},
		{"under way: a wrong one is welcomed", func(w *rig) {
			killedBeforeAnswer(w)
			w.attempt(4*second, 2, "wrong", protocol.Welcome)
		}, []Invariant{ThirdWrongBlocks}},
		{"in progress: the correct password is answered with try again", func(w *rig) {
			killedBeforeAnswer(w)
			w.attempt(4*second, 2, "right", protocol.TryAgain)
		}, []Invariant{ThirdWrongBlocks}},
		{"under way: the right one blocks", func(w *rig) {
			killedBeforeAnswer(w)
			w.attempt(4*second, 2, "right", protocol.NowBlocked)
		}, []Invariant{ThirdWrongBlocks}},
		{"under way: refused for longer than any block can be", func(w *rig) {
			killedBeforeAnswer(w)
			w.attempt(62*second-1, 2, "right", protocol.IsBlocked)
			w.attempt(62*second, 3, "right", protocol.IsBlocked)
		}, []Invariant{BlockLastsExactly}},
		{"in progress: the block that refuses was not announced", func(w *rig) {
			killedBeforeAnswer(w)
			w.opens(50*second, 2)
			w.exchange(50*second, 2, "wrong") // it went away before its answer
			w.attempt(62*second, 3, "right", protocol.IsBlocked)
		}, nil},
		{"under way: a welcome that a wrong one overtook", func(w *rig) {
			killedBeforeAnswer(w)
			w.opens(4*second, 2)
			w.exchange(4*second, 2, "right")
			w.opens(5*second, 3)
			w.exchange(5*second, 3, "wrong")
			w.ServerSent(int64(6*second), 2, []byte(protocol.Welcome))
			w.ServerSent(int64(7*second), 3, []byte(protocol.TryAgain))
			w.attempt(8*second, 4, "wrong", protocol.TryAgain)
			w.attempt(9*second, 5, "wrong", protocol.NowBlocked)
		}, nil},
		{"under way: a joined wrong one overtakes a welcome, and counts from zero", func(w *rig) {
			killedBeforeAnswer(w)
			w.opens(4*second, 2)
			w.exchange(4*second, 2, "right")
			w.Accepted(int64(4*second), 3)
			w.exchange(4*second, 3, "annawrong")
			w.ServerSent(int64(9*second), 2, []byte(protocol.Welcome))
			w.attempt(10*second, 4, "wrong", protocol.TryAgain)
			w.attempt(11*second, 5, "wrong", protocol.NowBlocked)
		}, nil},
		{"under way: a joined wrong one that was not counted", func(w *rig) {
			killedBeforeAnswer(w)
			w.opens(4*second, 2)
			w.exchange(4*second, 2, "right")
			w.Accepted(int64(4*second), 3)
			w.exchange(4*second, 3, "annawrong")
			w.ServerSent(int64(9*second), 2, []byte(protocol.Welcome))
			w.attempt(10*second, 4, "wrong", protocol.TryAgain)
			w.attempt(11*second, 5, "wrong", protocol.TryAgain)
		}, []Invariant{ThirdWrongBlocks}},
		{"in progress: two at once, answered in order, determine the stored count", func(w *rig) {
			killedBeforeAnswer(w)
			for c := range nodes.Conn(2) {
				w.opens(4*second, 2+c)
				w.exchange(4*second, 2+c, "wrong")
			}
			w.ServerSent(int64(5*second), 2, []byte(protocol.TryAgain))
			w.ServerSent(int64(5*second), 3, []byte(protocol.NowBlocked)) // one was
			w.attempt(63*second, 4, "right", protocol.IsBlocked)
			w.attempt(64*second, 5, "right", protocol.Welcome)
		}, nil},
		{"under way: two at once, one of them too many", func(w *rig) {
			killedBeforeAnswer(w)
			for c := range nodes.Conn(2) {
				w.opens(4*second, 2+c)
				w.exchange(4*second, 2+c, "wrong")
			}
			w.ServerSent(int64(5*second), 2, []byte(protocol.TryAgain))
			w.ServerSent(int64(5*second), 3, []byte(protocol.TryAgain))
		}, []Invariant{ThirdWrongBlocks}},
		{"in progress: a block that is over before it is announced", func(w *rig) {
			killedBeforeAnswer(w)
			w.opens(4*second, 2)
			w.exchange(4*second, 2, "wrong")
			w.opens(65*second, 3)
			w.exchange(65*second, 3, "wrong")
			w.ServerSent(int64(66*second), 2, []byte(protocol.NowBlocked))
			w.ServerSent(int64(67*second), 3, []byte(protocol.TryAgain))
			w.attempt(68*second, 4, "wrong", protocol.TryAgain)
			w.attempt(69*second, 5, "wrong", protocol.NowBlocked)
		}, nil},
		{"the third was under way: blocked, or not", func(w *rig) {
			twice(w, nil)
			w.opens(2*second, 2)
			w.exchange(2*second, 2, "wrong")
			w.StoreAsked(int64(2*second), attemptsOf("anna"))
			w.restarts(2*second, 3*second)
			w.attempt(4*second, 3, "right", protocol.IsBlocked)
			w.attempt(63*second, 4, "right", protocol.Welcome)
		}, nil},
		{"joined with its name, when it is not known whether it is blocked", func(w *rig) {
			twice(w, nil)
			w.opens(2*second, 2)
			w.exchange(2*second, 2, "wrong")
			w.StoreAsked(int64(2*second), attemptsOf("anna"))
			w.restarts(2*second, 3*second)
			w.Accepted(int64(4*second), 3)
			w.exchange(4*second, 3, "annaright", protocol.Welcome)
			w.exchange(4*second, 3, protocol.CommandDownload, idOne)
			w.printUpload(uploaded(idOne), []string{"anna", "30/07/2020 09:00:04", "30/07/2020 09:15:04"})
			w.attempt(5*second, 4, "wrong", protocol.TryAgain)
		}, nil},
		{"joined with its name when that may be blocked: an unknown name", func(w *rig) {
			twice(w, nil)
			w.opens(2*second, 2)
			w.exchange(2*second, 2, "wrong")
			w.StoreAsked(int64(2*second), attemptsOf("anna"))
			w.restarts(2*second, 3*second)
			w.Accepted(int64(4*second), 3)
			w.exchange(4*second, 3, "annaright") // no answer: it is blocked
			w.exchange(5*second, 3, "x", protocol.TryAgain)
			w.attempt(6*second, 4, "right", protocol.Welcome)
		}, []Invariant{NoWelcomeDuringBlock}},
		{"killed twice: an attempt in progress at the first kill may be on the disk of the second server", func(w *rig) {
			killedBeforeAnswer(w)
			w.restarts(4*second, 5*second)
			w.attempt(6*second, 2, "wrong", protocol.TryAgain)
			w.attempt(7*second, 3, "wrong", protocol.NowBlocked)
		}, nil},
		{"killed twice: an attempt answered in between is on the disk of the second server", func(w *rig) {
			killedBeforeAnswer(w)
			w.attempt(4*second, 2, "wrong", protocol.TryAgain) // so one was found
			w.restarts(5*second, 6*second)
			w.attempt(7*second, 3, "wrong", protocol.TryAgain)
		}, []Invariant{ThirdWrongBlocks}},
		{"an unknown name, in progress, its connection lost", func(w *rig) {
			for c := range nodes.Conn(2) {
				w.Accepted(0, c)
				w.exchange(0, c, "nobody")
				w.exchange(0, c, "x")
				w.StoreAsked(0, attemptsOf(""))
				if c == 0 {
					w.StoreDone(0, attemptsOf(""), nil)
					w.ServerSent(0, c, []byte(protocol.TryAgain))
				}
			}
			w.Accepted(int64(second), 1) // by another user
			w.restarts(2*second, 3*second)
			w.Accepted(int64(4*second), 0)
			w.exchange(4*second, 0, "nobody")
			w.exchange(4*second, 0, "x", protocol.TryAgain)
		}, nil},
		{"an unknown name, saved", func(w *rig) {
			w.Accepted(0, 0)
			w.exchange(0, 0, "nobody")
			for range 2 {
				w.exchange(0, 0, "x")
				w.StoreAsked(0, attemptsOf(""))
				w.StoreDone(0, attemptsOf(""), nil)
				w.ServerSent(0, 0, []byte(protocol.TryAgain))
			}
			w.restarts(2*second, 3*second)
			w.Accepted(int64(4*second), 0)
			w.exchange(4*second, 0, "nobody")
			w.exchange(4*second, 0, "x", protocol.TryAgain)
		}, []Invariant{ThirdWrongBlocks}},
	})
}
