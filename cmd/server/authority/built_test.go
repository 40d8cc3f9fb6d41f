package authority

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bluetrace/protocol"
)

// hang is the time limit of a wait. It is no statement about speed.
const hang = 60 * time.Second

// build builds the program and returns its path.
func build(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "server")
	if out, err := exec.Command("go", "build", "-o", file, "..").CombinedOutput(); err != nil {
		t.Fatalf("building the server: %v\n%s", err, out)
	}
	return file
}

// running is a built server in a process of its own.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	at    string // host:port
	ended chan error

	mu     sync.Mutex
	lines  []string // lines of its standard output
	stderr []string
	more   chan struct{} // has room for one signal that lines have come
}

// start starts the server on a free port and does not wait until it listens.
func start(t *testing.T, file string, arguments ...string) *running {
	t.Helper()
	return startCommand(t, exec.Command(file, append([]string{"0"}, arguments...)...))
}

func startCommand(t *testing.T, cmd *exec.Cmd) *running {
	t.Helper()
	r := &running{t: t, cmd: cmd, ended: make(chan error, 1), more: make(chan struct{}, 1)}
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
	var read sync.WaitGroup
	read.Go(func() { r.follow(out, &r.lines) })
	read.Go(func() { r.follow(errs, &r.stderr) })
	go func() {
		read.Wait()
		r.ended <- r.cmd.Wait()
	}()
	t.Cleanup(func() { r.kill() })
	return r
}

func (r *running) follow(from io.Reader, lines *[]string) {
	in := bufio.NewReader(from)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			r.mu.Lock()
			*lines = append(*lines, strings.TrimSuffix(line, "\n"))
			r.mu.Unlock()
		}
		select {
		case r.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// await waits until done returns true for the output so far.
func (r *running) await(what string, done func(lines []string) bool) {
	r.t.Helper()
	timeUp := time.After(hang)
	for {
		r.mu.Lock()
		ok := done(r.lines)
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-r.more:
		case <-timeUp:
			r.t.Fatalf("waited in vain for %s; output %q, errors %q", what, r.lines, r.stderr)
		}
	}
}

// listens waits until the server accepts connections, and reads its address.
func (r *running) listens() {
	r.t.Helper()
	r.await("I am listening", func(lines []string) bool {
		for _, line := range r.stderr {
			if _, port, ok := strings.Cut(line, "listening at [::]:"); ok {
				r.at = "127.0.0.1:" + port
			}
			if at, ok := strings.CutPrefix(line, "server: listening at 127"); ok {
				r.at = "127" + at
			}
		}
		return r.at != "" && len(lines) > 0
	})
}

// kill sends SIGKILL and waits for the end.
func (r *running) kill() {
	_ = r.cmd.Process.Kill() // it may have ended by itself
	_ = r.wait()
}

func (r *running) wait() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		r.ended <- err
		return err
	case <-time.After(hang):
		r.t.Fatal("the server does not end")
		return nil
	}
}

// dial connects to the server. The connection has the time limit hang.
func (r *running) dial() (net.Conn, error) {
	c, err := net.Dial("tcp", r.at)
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(hang))
}

// login sends the name and the right password in one send.
func (r *running) login(user, password string) (net.Conn, error) {
	c, err := r.dial()
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c, user+password); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	welcome := make([]byte, len(protocol.Welcome))
	if _, err := io.ReadFull(c, welcome); err != nil || string(welcome) != protocol.Welcome {
		return nil, errors.Join(fmt.Errorf("waiting for the welcome of %s: %q: %w", user, welcome, err), c.Close())
	}
	return c, nil
}

// folder makes a folder whose credentials.txt has these lines.
func folder(t *testing.T, lines ...string) string {
	t.Helper()
	dir := t.TempDir()
	text := strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "credentials.txt"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
