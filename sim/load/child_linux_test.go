package load

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/scenarios"
)

// TestStopReportsADeadServer: Stop returns an ExitError for a server that was killed or
// that failed, and none for one that ended normally.
func TestStopReportsADeadServer(t *testing.T) {
	for script, died := range map[string]bool{"kill -9 $$": true, "exit 3": true, "exit 0": false} {
		c := &Child{command: exec.CommandContext(t.Context(), "sh", "-c", script), dir: t.TempDir(),
			clock: clock.NewMock()}
		out, err := c.command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.command.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(out); err != nil { // until it has ended
			t.Fatal(err)
		}
		err = c.Stop()
		if _, bad := errors.AsType[*ExitError](err); bad != died {
			t.Errorf("%q: %v; want one that died: %v", script, err, died)
		}
	}
}

// TestStopKillsAServerThatStandsStill: a server that does not end in time is killed, and
// that is reported.
func TestStopKillsAServerThatStandsStill(t *testing.T) {
	mock := clock.NewMock()
	c := &Child{command: exec.CommandContext(t.Context(), "sh", "-c", "trap '' TERM; echo; kill -STOP $$"),
		dir: t.TempDir(), clock: mock}
	out, err := c.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil { // from now on it ignores SIGTERM
		t.Fatal(err)
	}
	stopped := make(chan error)
	go func() { stopped <- c.Stop() }()
	for {
		select {
		case err := <-stopped:
			if err == nil || err.Error() != "the server ended badly: it did not end within 5s of SIGTERM, and was "+
				"killed" {
				t.Error(err)
			}
			return
		default:
			mock.Add(stopLimit)
		}
	}
}

// TestServerRemovesItsFolder: the server of a load removes the folder that was made for
// it when it ends, and no other.
func TestServerRemovesItsFolder(t *testing.T) {
	made, err := os.MkdirTemp(t.TempDir(), folderPrefix)
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	for _, arguments := range [][]string{{"0", "60s"}, {"0", "--dir", made, "--x"}, {"--dir", other}, {"--dir"}} {
		if got := ServeAsChild(t.Context(), arguments, func(context.Context) int { return 3 }); got != 3 {
			t.Errorf("%q: status %d, want that of the server, 3", arguments, got)
		}
	}
	if _, err := os.Stat(made); !os.IsNotExist(err) {
		t.Errorf("the folder of a load: %v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("another folder: %v", err)
	}
}

// TestInterruptedWaits checks the error of each wait before a load that a signal ends. The server, a shell, prints
// nothing.
func TestInterruptedWaits(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for want, wait := range map[string]func() error{
		"the server started": func() error {
			shell := []string{"sh", "-c", "sleep 60"}
			_, err := StartChild(ctx, clock.New(), shell, scenarios.Server{}, 1, []string{"zoe a"})
			return err
		},
		"connecting to the server at 127.0.0.1:1": func() error {
			_, err := Reach(ctx, "127.0.0.1:1", time.Minute)
			return err
		},
		"the server recovered from a step of the search": func() error {
			traffic := steady(10, time.Second, scenarios.VerbLogin)
			return Recover(ctx, faked(newFake(), 1, traffic), answerTime, time.Minute)
		},
	} {
		err := wait()
		if want = "interrupted by a signal while " + want; !errors.Is(err, context.Canceled) || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}
