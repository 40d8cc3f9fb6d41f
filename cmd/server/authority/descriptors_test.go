package authority

import (
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"bluetrace/protocol"
)

func TestFitConnections(t *testing.T) {
	for _, row := range []struct {
		asked         int
		descriptors   uint64
		want, sockets int
		lowered       string
	}{
		{asked: 10_000, descriptors: 1 << 20, want: 10_000, sockets: 1<<20 - 32},
		{asked: 10_000, descriptors: 10_064, want: 10_000, sockets: 10_032},
		{asked: 10_000, descriptors: 10_063, want: 9_999, sockets: 10_031,
			lowered: "--max-connections 10000 is lowered to 9999: a process may open 10063 files here; raise that limit (ulimit -n)"},
		{asked: 100, descriptors: 10_000, want: 100, sockets: 9_968},
		{asked: 2, descriptors: 64, want: 1, sockets: 33,
			lowered: "--max-connections 2 is lowered to 1: a process may open 64 files here; raise that limit (ulimit -n)"},
		{asked: 10_000, descriptors: 1<<64 - 1, want: 10_000, sockets: math.MaxInt32},
	} {
		t.Run(fmt.Sprintf("%d of %d", row.asked, row.descriptors), func(t *testing.T) {
			var a arguments
			a.settings.MaxConnections = row.asked
			a.fitConnections(row.descriptors)
			if a.settings.MaxConnections != row.want || a.sockets != row.sockets || a.lowered != row.lowered {
				t.Errorf("%d sessions, %d descriptors: %d sessions, %d sockets, %q, want %d, %d, %q",
					row.asked, row.descriptors, a.settings.MaxConnections, a.sockets, a.lowered, row.want, row.sockets, row.lowered)
			}
		})
	}
}

// With few file descriptors the server lowers its limit of sessions, prints that, and
// still saves and accepts logins.
func TestFewFileDescriptors(t *testing.T) {
	if _, ok := openDescriptors(); !ok {
		t.Skip("SKIPPED: this system has no limit of file descriptors: run it on Linux, macOS or a BSD")
	}
	dir := folder(t, "phone secret")
	file := build(t)
	r := startCommand(t, exec.Command("sh", "-c", `ulimit -n 100; exec "$0" "$@"`, file, "0", "60", "--host", "127.0.0.1", "--dir", dir))
	r.listens()
	const want = "server: --max-connections 10000 is lowered to 36: a process may open 100 files here; raise that limit (ulimit -n)"
	r.await("the lower limit", func([]string) bool { return slices.Contains(r.stderr, want) })
	var idle []net.Conn
	for range 120 {
		c, err := r.dial()
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	for range 3 {
		c, err := r.login("phone", "secret")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, protocol.CommandDownload)
		if _, err := io.ReadFull(c, make([]byte, protocol.TempIDSize)); err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for _, c := range idle {
		c.Close()
	}
	r.cmd.Process.Signal(os.Interrupt)
	if err := r.wait(); err != nil {
		t.Errorf("ended with %v, want status 0", err)
	}
	if text := strings.Join(r.lines, "\n"); strings.Contains(text, "cannot") {
		t.Errorf("printed %q", text)
	}
}
