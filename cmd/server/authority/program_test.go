package authority

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	ossignal "os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/protocol"
)

// failing runs the program to its end and returns its status and standard error.
func failing(t *testing.T, line ...string) (status, string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := program{stdout: &stdout, stderr: &stderr, zone: time.UTC, clock: clock.New()}
	got := p.command(t.Context(), line)
	if stdout.Len() != 0 {
		t.Errorf("printed %q", stdout.String())
	}
	return got, stderr.String()
}

func TestItCannotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	good, empty := folder(t, "+61410888888 comp3331"), t.TempDir()
	missing := filepath.Join(empty, "missing")
	for _, row := range []struct {
		line string
		want []string
	}{
		{port + " 60 --host 127.0.0.1 --dir " + good, []string{`listening at "` + address + `": another program uses this port`}},
		{"0 60 --host 127.0.0.1 --metrics " + port + " --dir " + good, []string{`listening at "` + address + `": another program uses this port`}},
		{"0 60 --host 127.0.0.1 --dir " + missing, []string{"the folder " + strconv.Quote(missing) + " does not exist"}},
		{"0 60 --host 127.0.0.1 --dir " + empty, []string{strconv.Quote(filepath.Join(empty, "credentials.txt")), `"+61410888888 comp3331"`,
			": no such file or directory; it belongs in the folder " + strconv.Quote(empty) + ", or name another with --dir\n"}},
		{"0 60 --host 127.0.0.1 --dir " + good + "/credentials.txt", []string{strconv.Quote(good+"/credentials.txt") + " is not a folder; name one with --dir\n"}},
		{"0 60 --dir " + good + " --host 192.0.2.1", []string{`server: listening at "192.0.2.1:0": 192.0.2.1 is not an address of this machine; use another --host` + "\n"}},
		{"0 60 --dir " + good + " --host nobody.invalid", []string{
			`server: listening at "nobody.invalid:0": unknown host name "nobody.invalid"; use another --host` + "\n"}},
		{"0 60 --host 127.0.0.1 --dir " + good + " --metrics 192.0.2.1:1", []string{
			`server: listening at "192.0.2.1:1": 192.0.2.1 is not an address of this machine; use another --metrics` + "\n"}},
	} {
		got, text := failing(t, strings.Fields(row.line)...)
		if got != failed || strings.Count(text, "\n") != 1 {
			t.Errorf("%q: status %d, %q, want 1 and one line", row.line, got, text)
		}
		for _, want := range row.want {
			if !strings.Contains(text, want) {
				t.Errorf("%q: %q has no %q", row.line, text, want)
			}
		}
	}
	for dir, want := range map[string]int{good: 1, empty: 0} { // credentials.txt and no other file
		if names, err := os.ReadDir(dir); err != nil || len(names) != want {
			t.Errorf("%s has %v (%v), want %d files", dir, names, err, want)
		}
	}
}

// Bad lines are reported also if no line is good.
func TestOnlyBrokenCredentials(t *testing.T) {
	dir := folder(t, "secret", "phone secret ")
	got, text := failing(t, "0", "60", "--host", "127.0.0.1", "--dir", dir)
	want := "server: credentials.txt line 1 is skipped: it is not a username, one space and a password\n" +
		"server: credentials.txt line 2 is skipped: it ends with a space\n" +
		"server: the server needs the file " + strconv.Quote(dir+"/credentials.txt") + " with an account a line, username and password with one space between them, " +
		`like "+61410888888 comp3331": it has no account; it belongs in the folder ` + strconv.Quote(dir) + ", or name another with --dir\n"
	if got != failed || text != want {
		t.Errorf("status %d, %q, want %q", got, text, want)
	}
}

// full is a writer that fails.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
}

func TestHelpThatCannotBePrinted(t *testing.T) {
	var stderr bytes.Buffer
	p := program{stdout: full{}, stderr: &stderr, zone: time.UTC, clock: clock.New()}
	if got := p.command(t.Context(), []string{"--help"}); got != failed || stderr.String() != "server: printing the help: no space left on device\n" {
		t.Errorf("status %d, %q", got, stderr.String())
	}
}

// A second server in one folder is refused, and the first continues.
func TestASecondServerInTheFolder(t *testing.T) {
	file, dir := build(t), folder(t, "phone secret")
	first := start(t, file, "60", "--host", "127.0.0.1", "--dir", dir)
	first.listens()
	got, text := failing(t, "0", "60", "--host", "127.0.0.1", "--dir", dir)
	if got != failed || text != "server: another server uses this folder: "+strconv.Quote(dir+"/tempIDs.txt.lock")+" is locked; name another folder with --dir\n" {
		t.Errorf("status %d, %q", got, text)
	}
	if c, err := first.login("phone", "secret"); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
}

// Ctrl-C, SIGTERM and SIGHUP end the program with status 0, with everything saved and every
// session closed.
func TestASignalEndsIt(t *testing.T) {
	file := build(t)
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if signal == syscall.SIGHUP && ossignal.Ignored(signal) {
			t.Log("SKIPPED: SIGHUP: it is ignored here (nohup), and so by the program")
			continue
		}
		dir := folder(t, "phone secret")
		r := start(t, file, "60", "--host", "127.0.0.1", "--dir", dir)
		r.listens()
		c, err := r.login("phone", "secret")
		if err != nil {
			t.Fatal(err)
		}
		id := make([]byte, protocol.TempIDSize)
		io.WriteString(c, protocol.CommandDownload)
		if _, err := io.ReadFull(c, id); err != nil {
			t.Fatal(err)
		}
		if err := r.cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(c); err != nil || len(rest) != 0 {
			t.Errorf("%v: heard %q (%v), want the end of file", signal, rest, err)
		}
		c.Close()
		if err := r.wait(); err != nil {
			t.Errorf("%v: ended with %v, want status 0", signal, err)
		}
		want := []string{"I am listening", "users: phone", "user: phone", "TempID:", string(id), "phone logout"}
		if got := strings.Join(r.lines, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("%v: printed %q, want %q", signal, got, want)
		}
		text, err := os.ReadFile(filepath.Join(dir, "tempIDs.txt"))
		if err != nil || !strings.HasPrefix(string(text), "phone "+string(id)+" ") {
			t.Errorf("%v: tempIDs.txt has %q (%v)", signal, text, err)
		}
	}
}

// TestTheSecondSignalEndsItAtOnce: signals within a second have one cause, as those of the
// command timeout, and a terminal that closes may send several SIGHUP at any time.
func TestTheSecondSignalEndsItAtOnce(t *testing.T) {
	stop, exits, times := make(chan os.Signal), make(chan struct{}, 1), make(chan time.Time)
	ctx := UntilSignal(stop, func() time.Time { return <-times }, func() { exits <- struct{}{} })
	if ctx.Err() != nil {
		t.Error("ended without a signal")
	}
	began := time.Unix(0, 0)
	stop <- syscall.SIGTERM
	times <- began
	<-ctx.Done()
	stop <- syscall.SIGTERM
	times <- began.Add(time.Second - 1)
	stop <- syscall.SIGHUP
	stop <- os.Interrupt
	if len(exits) > 0 {
		t.Error("a signal of the same cause, or a SIGHUP, ended it")
	}
	times <- began.Add(time.Second)
	<-exits
}

// The server reports the zone of its times, and has the time zone database in itself. An
// unknown zone is refused, instead of UTC.
func TestTheZone(t *testing.T) {
	file := build(t)
	for _, row := range []struct{ tz, want string }{
		{"Australia/Sydney", `server: times are in the time zone "Australia/Sydney" (`},
		{":America/New_York", `server: times are in the time zone "America/New_York" (`},
		{"", `server: times are in the time zone "UTC" (UTC, UTC+00:00)`},
	} {
		cmd := exec.Command(file, "0", "60", "--host", "127.0.0.1", "--dir", folder(t, "phone secret"))
		cmd.Env = append(os.Environ(), "TZ="+row.tz, "ZONEINFO=/nowhere")
		r := startCommand(t, cmd)
		r.await("the zone", func([]string) bool {
			return slices.ContainsFunc(r.stderr, func(line string) bool { return strings.HasPrefix(line, row.want) })
		})
		r.kill()
	}
	cmd := exec.Command(file, "0", "60", "--host", "127.0.0.1", "--dir", folder(t, "phone secret"))
	cmd.Env = append(os.Environ(), "TZ=Mars/Phobos")
	out, err := cmd.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	const want = "server: unknown time zone TZ=\"Mars/Phobos\": must be a name like Australia/Sydney, or not set\n"
	if !ok || exit.ExitCode() != 1 || string(out) != want {
		t.Errorf("an unknown zone: %v, %q", err, out)
	}
}

// A closed output stops neither the server nor its saving.
func TestABrokenStdout(t *testing.T) {
	dir := folder(t, "phone secret")
	r := &running{t: t, ended: make(chan error, 1), more: make(chan struct{}, 1)}
	r.cmd = exec.Command(build(t), "0", "60", "--host", "127.0.0.1", "--dir", dir)
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.Close() // before the first line
	r.lines = []string{"(closed)"}
	go func() {
		r.follow(errs, &r.stderr)
		r.ended <- r.cmd.Wait()
	}()
	t.Cleanup(r.kill)
	r.listens()
	for range 3 {
		c, err := r.login("phone", "secret")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, protocol.CommandDownload)
		if _, err := io.ReadFull(c, make([]byte, protocol.TempIDSize)); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	r.cmd.Process.Signal(os.Interrupt)
	if err := r.wait(); err != nil {
		t.Errorf("ended with %v, want status 0", err)
	}
	if text := strings.Join(r.stderr, "\n"); strings.Count(text, "the server continues and prints nothing more") != 1 {
		t.Errorf("said %q, want that the output is gone, once", text)
	}
	text, err := os.ReadFile(filepath.Join(dir, "tempIDs.txt"))
	if err != nil || strings.Count(string(text), "\n") != 3 {
		t.Errorf("tempIDs.txt has %q (%v), want three lines", text, err)
	}
}

// An edit of credentials.txt while the server runs takes effect at the next login. A
// bad line is reported with its number.
func TestEditedCredentials(t *testing.T) {
	dir := folder(t, "phone secret")
	r := start(t, build(t), "60", "--host", "127.0.0.1", "--dir", dir)
	r.listens()
	text := []byte("phone secret\nnonsense\nother password\n")
	if err := os.WriteFile(filepath.Join(dir, "credentials.txt"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := r.login("other", "password")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	r.await("the broken line to be named", func(lines []string) bool {
		return strings.Contains(strings.Join(lines, "\n"), "credentials.txt line 2 ")
	})
}

// The metrics of a running server over HTTP, and the line with their address. A second server in the folder knows the
// TempID of the first.
func TestMetricsOverHTTP(t *testing.T) {
	dir := folder(t, "phone secret")
	for known := range 2 {
		servesMetrics(t, dir, known)
	}
}

// servesMetrics runs a server in a folder with a number of TempIDs. A phone downloads one more.
func servesMetrics(t *testing.T, dir string, known int) {
	printed, stdout := io.Pipe()
	errs, told := io.Pipe()
	p := program{stdout: stdout, stderr: told, zone: time.UTC, clock: clock.New()}
	ctx, cancel := context.WithCancel(t.Context())
	ends := make(chan status, 1)
	go func() {
		ends <- p.command(ctx, []string{"0", "60", "--host", "127.0.0.1", "--dir", dir, "--metrics", "0"})
	}()
	text := make([]byte, 4096)
	var at, phones string
	for n := 0; at == ""; {
		k, err := errs.Read(text[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += k
		before, rest, ok := strings.Cut(string(text[:n]), "server: metrics at ")
		if ok && strings.HasSuffix(rest, "\n") {
			at = strings.TrimSuffix(rest, "\n")
			phones = strings.TrimSuffix(strings.TrimPrefix(before, "server: listening at "), "\n")
		}
	}
	go io.Copy(io.Discard, errs) // the lines that follow
	if !strings.HasPrefix(at, "http://127.0.0.1:") {
		t.Fatalf("metrics at %q", at)
	}
	has := func(lines ...string) {
		t.Helper()
		got, err := http.Get(at)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(got.Body)
		if err := errors.Join(err, got.Body.Close()); err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if !strings.Contains(string(body), "\n"+line) {
				t.Errorf("the metrics have no line %q", line)
			}
		}
	}
	has("bluetrace_server_sessions_open 0\n", fmt.Sprintf("bluetrace_server_tempids_known %d\n", known),
		"bluetrace_server_store_records_count 0\n", "go_goroutines ", "process_open_fds ")
	const listening = "I am listening\n"
	first := make([]byte, len(listening))
	if _, err := io.ReadFull(printed, first); err != nil || string(first) != listening {
		t.Errorf("printed %q: %v", first, err)
	}
	go io.Copy(io.Discard, printed)
	c, err := (&running{t: t, at: phones}).login("phone", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, protocol.CommandDownload)
	if _, err := io.ReadFull(c, make([]byte, protocol.TempIDSize)); err != nil {
		t.Fatal(err)
	}
	has("bluetrace_server_sessions_open 1\n", "bluetrace_server_sessions_total 1\n",
		"bluetrace_server_logins_total{outcome=\"welcomed\"} 1\n",
		fmt.Sprintf("bluetrace_server_tempids_known %d\n", known+1),
		"bluetrace_server_store_records_count 1\n", "bluetrace_server_store_seconds_count 1\n")
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if got := <-ends; got != ended {
		t.Errorf("status %d, want 0", got)
	}
}
