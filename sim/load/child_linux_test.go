package load

import (
	"errors"
	"io"
	"os/exec"
	"testing"
)

// TestStopReportsADeadServer: Stop returns an ExitError for a server that was killed or
// that failed, and none for one that ended normally.
func TestStopReportsADeadServer(t *testing.T) {
	for script, died := range map[string]bool{"kill -9 $$": true, "exit 3": true, "exit 0": false} {
		c := &Child{command: exec.CommandContext(t.Context(), "sh", "-c", script), dir: t.TempDir()}
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
