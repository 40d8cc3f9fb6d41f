//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"bluetrace/protocol"
)

// builtIn is the folder of the built program, or empty before the first build.
var builtIn string

// built builds the program once and returns its path.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "client")
	if err != nil {
		return "", err
	}
	builtIn = dir
	path := filepath.Join(dir, "client")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
	os.Exit(code)
}

// process is a running process of the built program.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	out    lockedBuffer
	errors lockedBuffer
	udp    string
	log    string
}

func newProcess(t testing.TB, server string, flags ...string) *process {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, udp: freePort(t), log: filepath.Join(t.TempDir(), "contacts.txt")}
	p.cmd = exec.Command(path, append([]string{"127.0.0.1", server, p.udp, "--host=127.0.0.1", "--contact-log", p.log},
		flags...)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.errors
	p.cmd.Env = append(os.Environ(), "TZ=UTC", "TERM=xterm")
	return p
}

func (p *process) start() {
	p.t.Helper()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
}

// ends waits for the end of the process.
func (p *process) ends(want int) {
	p.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.cmd.Wait()
	}()
	within(p.t, done)
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		p.t.Errorf("exit status %d, want %d (%v); errors: %s", got, want, p.cmd.ProcessState, p.errors.String())
	}
}

func (p *process) shows(text string) {
	p.t.Helper()
	for end := time.Now().Add(hang); !strings.Contains(p.out.String(), text); yield() {
		if time.Now().After(end) {
			p.t.Fatalf("%q is not shown: %q; errors: %s", text, p.out.String(), p.errors.String())
		}
	}
}

// hears sends a valid beacon and waits until it is shown.
func (p *process) hears() (lines string) {
	p.t.Helper()
	now := time.Now().UTC()
	start, expiry := now.Add(-time.Minute).Format("02/01/2006 15:04:05"),
		now.Add(time.Hour).Format("02/01/2006 15:04:05")
	u := udpSocket(p.t)
	for _, part := range []string{someTempID, start, expiry, "1"} {
		if _, err := u.WriteToUDPAddrPort([]byte(part), netip.MustParseAddrPort("127.0.0.1:"+p.udp)); err != nil {
			p.t.Fatal(err)
		}
	}
	p.shows("The beacon is valid.")
	return someTempID + "\n" + start + "\n" + expiry + "\n"
}

// silentServer starts a server that welcomes every user and answers nothing more. got
// receives the bytes of each read.
func silentServer(t testing.TB) (port string, got chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got = make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go serveSilently(c, got)
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, got
}

func serveSilently(c net.Conn, got chan<- string) {
	b := make([]byte, protocol.MaxMessage)
	for {
		n, err := c.Read(b)
		if err != nil {
			got <- "end"
			return
		}
		got <- string(b[:n])
		if strings.HasSuffix(string(b[:n]), password) {
			io.WriteString(c, protocol.Welcome)
		}
	}
}

func TestBuiltStatuses(t *testing.T) {
	p := newProcess(t, "no-port")
	p.start()
	p.ends(2)
	expect(t, "errors", p.errors.String(),
		`client: invalid server_port "no-port": must be 1 to 65535; usage: `+usage+"\n")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, nobody, _ := net.SplitHostPort(l.Addr().String())
	p = newProcess(t, nobody)
	p.start()
	p.ends(1)
	expect(t, "errors", p.errors.String(),
		"client: cannot connect to the server at 127.0.0.1:"+nobody+": connection refused; is it running there?\n")
}

// The end of input and each stop signal end the program with status 0 and everything
// saved.
func TestBuiltEnds(t *testing.T) {
	server, got := silentServer(t)
	ends := map[string]func(p *process, keys io.Closer){
		"end of input": func(_ *process, keys io.Closer) { keys.Close() },
		"SIGINT":       func(p *process, _ io.Closer) { p.cmd.Process.Signal(syscall.SIGINT) },
		"SIGTERM":      func(p *process, _ io.Closer) { p.cmd.Process.Signal(syscall.SIGTERM) },
		"SIGHUP":       func(p *process, _ io.Closer) { p.cmd.Process.Signal(syscall.SIGHUP) },
	}
	if signal.Ignored(syscall.SIGHUP) {
		t.Log("SKIPPED: SIGHUP: it is ignored here (nohup), and so by the program")
		delete(ends, "SIGHUP")
	}
	for name, end := range ends {
		p := newProcess(t, server)
		keys, err := p.cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p.start()
		p.shows("Username: ")
		want := p.hears()
		end(p, keys)
		p.ends(0)
		expect(t, name+": the log", file(t, p.log), want)
		expect(t, name+": errors", p.errors.String(), zoneLine)
		expect(t, name+": the connection", <-got, "end")
	}
}

// zoneLine is the line about the zone, which processes of the tests have by TZ.
const zoneLine = "client: times are in the time zone \"UTC\" (UTC, UTC+00:00)\n"

// A closed output ends the program, with everything saved.
func TestBuiltOutputGone(t *testing.T) {
	server, _ := silentServer(t)
	p := newProcess(t, server)
	keys, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	p.cmd.Stdout = nil
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.start()
	io.ReadFull(out, make([]byte, len("Username: ")))
	out.Close()
	u := udpSocket(t)
	u.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("127.0.0.1:"+p.udp))
	p.ends(1)
	expect(t, "errors", p.errors.String(), zoneLine+"client: writing to the output: broken pipe\n")
}

// The same when the first prompt cannot be written.
func TestBuiltOutputFull(t *testing.T) {
	server, _ := silentServer(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("SKIPPED: there is no disk that is always full (%v): run it on Linux", err)
	}
	defer full.Close()
	p := newProcess(t, server)
	p.cmd.Stdin = strings.NewReader(user + "\n" + password + "\n")
	p.cmd.Stdout = full
	p.start()
	p.ends(1)
	expect(t, "errors", p.errors.String(), zoneLine+"client: writing to the output: no space left on device\n")
}

// pty opens a pseudo-terminal and returns its two ends.
func pty(t testing.TB) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("SKIPPED: no terminal can be made (%v): run it on Linux, with /dev/ptmx in the container", err)
	}
	t.Cleanup(func() { person.Close() })
	raw, err := person.SyscallConn() // with Fd, Close would wait for a Read
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	raw.Control(func(fd uintptr) {
		if n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); err == nil {
			err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		}
	})
	if err == nil {
		program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// onTerminal starts the program on a terminal of its own.
func onTerminal(t testing.TB, server string) (p *process, person, program *os.File) {
	t.Helper()
	person, program = pty(t)
	p = newProcess(t, server)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = program, program, program
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	p.start()
	go io.Copy(&p.out, person)
	p.shows("Username: ")
	return p, person, program
}

func settingsOf(t testing.TB, f *os.File) unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *s
}

// On a terminal the password is not echoed, Ctrl-C works while an answer is awaited,
// and the end restores the terminal's settings.
func TestBuiltOnATerminal(t *testing.T) {
	server, got := silentServer(t)
	_, other := pty(t)
	before := settingsOf(t, other)
	p, person, program := onTerminal(t, server)
	if settingsOf(t, program) == before {
		t.Error("the terminal echoes by itself")
	}
	io.WriteString(person, user+"\r")
	p.shows("Password: ")
	expect(t, "sent", <-got, user)
	io.WriteString(person, password+"\r")
	p.shows(protocol.Welcome + "\r\ninput the command: ")
	expect(t, "sent", <-got, password)
	io.WriteString(person, "Download_tempID\r")
	expect(t, "sent", <-got, "Download_tempID")
	want := p.hears()
	io.WriteString(person, "typed ahead\r\x03")
	p.ends(0)
	expect(t, "the connection", <-got, "end")
	expect(t, "the log", file(t, p.log), want)
	if diff := cmp.Diff(before, settingsOf(t, program)); diff != "" {
		t.Errorf("the terminal (-before +after):\n%s", diff)
	}
	if strings.Contains(p.out.String(), password) {
		t.Errorf("the password was shown: %q", p.out.String())
	}
}

func TestBuiltCtrlD(t *testing.T) {
	server, _ := silentServer(t)
	p, person, _ := onTerminal(t, server)
	io.WriteString(person, "half\x15\x04")
	p.ends(0)
}

// Everything is saved when the terminal is closed.
func TestBuiltTerminalGone(t *testing.T) {
	server, _ := silentServer(t)
	p, person, program := onTerminal(t, server)
	want := p.hears()
	program.Close()
	person.Close()
	p.ends(0)
	expect(t, "the log", file(t, p.log), want)
}
