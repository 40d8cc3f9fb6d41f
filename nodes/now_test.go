package nodes

import (
	"math"
	"testing"
	"time"
)

func TestUnixRoundsDown(t *testing.T) {
	for wall, want := range map[int64]int64{0: 0, 999_999_999: 0, 1_000_000_000: 1, -1: -1, -1_000_000_000: -1,
		-1_000_000_001: -2} {
		equal(t, "cut", Now{Wall: wall}.Unix(), want)
	}
}

func TestLaterDoesNotOverflow(t *testing.T) {
	equal(t, "sum", later(5, 6), 11)
	equal(t, "never", later(time.Hour, math.MaxInt64), math.MaxInt64)

	r := newServerRig(t, func(s *ServerSettings) { s.BlockDuration = math.MaxInt64 })
	r.at(time.Second)
	for c := range Conn(3) {
		r.tryLogin(c, alice, "bad")
	}
	equal(t, "a block without an end", r.at(time.Hour*24*365*100).tryLogin(3, alice, alicePassword), refused)
	equal(t, "its record", r.stored[2].Attempts.BlockedUntil, math.MaxInt64)
}
