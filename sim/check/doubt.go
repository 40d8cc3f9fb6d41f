package check

import (
	"fmt"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// doubt is what is not known of an account after a kill.
type doubt struct {
	last time.Duration // when the last attempt was read, by the server's clock
	// over is when every block is that the restart may have found, by the server's
	// clock; 0: not known.
	over time.Duration
	// attempts counts all, unanswered those that had no answer so far.
	attempts, unanswered int32
	// wrongs counts the wrong passwords that were answered as such since, one after
	// the other.
	wrongs int32
	// unsure: a kill fell between an attempt and its answer, or what was counted
	// could not be saved, so that a restart may have found it or not. Answers that
	// were worked out in an epoch before it was settled again say nothing.
	epoch  int32
	unsure bool
}

// doubtful judges the answer to an attempt of which it is not known what was
// counted before.
func (a *accounts) doubtful(at int64, s *session, got string) {
	acc, v := s.account, a.v
	v.times[NoWelcomeDuringBlock]++
	v.times[BlockLastsExactly]++
	v.times[ThirdWrongBlocks]++
	found := fmt.Sprintf("%q", got)
	if acc.exists {
		found += " to " + s.name
	}
	switch {
	case got == protocol.Welcome && !s.right:
		v.violate(ThirdWrongBlocks, at, -1, "no welcome for a wrong password", found)
	case s.right && (got == protocol.TryAgain || got == protocol.NowBlocked):
		v.violate(ThirdWrongBlocks, at, -1, "a welcome for the right password, or the words of a block", found)
	case !acc.unsure:
		return
	case acc.unanswered > 1:
		acc.wrongs = 0 // an attempt that nobody was told of may have begun a block
	case got == protocol.IsBlocked && acc.over != 0 && a.clock.ElapsedAt(s.lastRead) >= acc.over:
		v.violate(BlockLastsExactly, at, -1, fmt.Sprintf("no block longer than %s after a restart", v.rules.BlockDuration), found)
	case got == protocol.TryAgain && acc.wrongs == wrongBeforeBlock-1:
		v.violate(ThirdWrongBlocks, at, -1, fmt.Sprintf("%q, the third time", protocol.NowBlocked), found)
	}
	if got == protocol.TryAgain {
		acc.wrongs++
	}
	a.settle(s, got)
}

// settle takes the system's word for an account whose count a kill left open,
// unless something was counted between the attempt and its answer.
func (a *accounts) settle(s *session, got string) {
	acc := s.account
	switch {
	case got != protocol.Welcome && got != protocol.NowBlocked:
		return
	case got == protocol.Welcome && s.nth == acc.attempts:
		acc.wrong, acc.blocked = 0, false
	case got == protocol.NowBlocked && (s.nth == acc.attempts || acc.last < a.clock.ElapsedAt(s.lastRead)+a.v.rules.BlockDuration):
		a.block(s.lastRead, acc)
	default:
		acc.wrongs = 0
		return
	}
	acc.unsure = false
	acc.epoch++
}

// perhaps: whether a joined username and password was taken depends on what is
// not known; the name of both together may have been counted instead.
func (a *accounts) perhaps(s *session, acc *account, name int) {
	s.perhaps = int32(name)
	acc.unanswered++
	if other := a.named(s.name); other != nil {
		other.leaveOpen()
	}
}

func (acc *account) leaveOpen() {
	if !acc.unsure {
		acc.unsure, acc.wrongs, acc.over = true, 0, 0
	}
}

// restarted: the sessions are gone, counts and blocks stay; an attempt without
// an answer may or may not have been counted. A refusal counts nothing.
func (a *accounts) restarted() {
	for i := range a.sessions {
		s := &a.sessions[i]
		if s.awaited != "" && s.awaited != protocol.IsBlocked && s.account != nil {
			s.account.leaveOpen()
		}
		if s.silent != nil {
			s.silent.leaveOpen()
		}
		a.sessions[i] = session{}
	}
	for _, acc := range a.known {
		acc.forget(acc.asked > 0 || acc.unsaved)
	}
	for _, acc := range a.unknown {
		acc.forget(a.asked > 0 || a.failing)
	}
	a.asked, a.failing = 0, false
}

// forget: of what was not saved, nobody knows what the disk has.
func (acc *account) forget(unsaved bool) {
	if unsaved {
		acc.leaveOpen()
	}
	acc.asked, acc.unsaved, acc.unanswered, acc.wrongs = 0, false, 0, 0
}

// started: blocks go on by wall time, with what is left of them, never less than
// nothing nor more than a whole one (PROTOCOL.md section 1, Two clocks).
func (a *accounts) started(at int64) {
	for _, acc := range a.known {
		a.resume(at, acc)
	}
	for _, acc := range a.unknown {
		a.resume(at, acc)
	}
}

func (a *accounts) resume(at int64, acc *account) {
	full, now := a.v.rules.BlockDuration, a.clock.ElapsedAt(at)
	acc.over = now + full
	if !acc.blocked {
		return
	}
	left := min(max(time.Duration(acc.until-a.clock.WallAt(at)), 0), full)
	acc.since = now - (full - left)
}

// stores follows what the server saves of its accounts: begun, or done with an
// error.
func (a *accounts) stores(records []nodes.Record, begun bool, err error) {
	for i := range records {
		r := &records[i]
		if r.Kind != nodes.RecordAttempts {
			continue
		}
		asked, unsaved := &a.asked, &a.failing
		acc := a.known[r.Attempts.User]
		known := r.Attempts.Known && acc != nil
		if known {
			asked, unsaved = &acc.asked, &acc.unsaved
		}
		switch {
		case begun:
			*asked++
		default:
			*asked = max(*asked-1, 0)
			*unsaved = err != nil || *unsaved && !known
		}
	}
}
