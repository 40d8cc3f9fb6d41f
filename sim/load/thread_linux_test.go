package load

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestThreadLivesOn: what a thread started ends with it, the run's own server
// too, so that pacing must not end its thread, and must leave it as it was.
func TestThreadLivesOn(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	slackOf := func() int {
		n, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	was, slackWas, processors := unix.Gettid(), slackOf(), runtime.GOMAXPROCS(0)
	onThreadOfItsOwn(func() {
		if got := unix.Gettid(); got != was {
			t.Errorf("it is thread %d, called by %d", got, was)
		}
		if got := slackOf(); got != 1 {
			t.Errorf("sleeps may be %d ns too long", got)
		}
		if got := runtime.GOMAXPROCS(0); got != processors+1 {
			t.Errorf("%d processors, of %d and one more", got, processors)
		}
	})
	if unix.Gettid() != was || slackOf() != slackWas || runtime.GOMAXPROCS(0) != processors {
		t.Errorf("thread %d, slack %d, %d processors; want %d, %d, %d", unix.Gettid(), slackOf(), runtime.GOMAXPROCS(0), was, slackWas, processors)
	}
}
