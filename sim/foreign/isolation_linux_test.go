package foreign

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
)

// TestMain is also the main function of the programs that tests start.
func TestMain(m *testing.M) {
	if os.Getenv("FOREIGN_REEXEC") == "" {
		os.Exit(m.Run())
	}
	if os.Getenv("FOREIGN_REEXEC") == "refused" && os.Getenv(reexecuted) != "" {
		_, _ = os.NewFile(3, "answer").WriteString("no loopback")
		os.Exit(1)
	}
	if mark := os.Getenv("FOREIGN_REEXEC"); strings.HasPrefix(mark, "mark") {
		startAndWait(mark)
	}
	status, ended := Reexec()
	if !ended {
		status = reexecutedMain()
	}
	os.Exit(status)
}

// reexecutedMain describes the network on standard output, and waits for a signal.
func reexecutedMain() int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	i := Isolation()
	fmt.Println("own network:", i.Network, os.Args[1:], os.Getenv(reexecuted))
	if !i.Network {
		fmt.Println(i.Missing[0])
		return 1
	}
	fmt.Println("processes and files:", i.Processes, i.Files)
	names, err := net.Interfaces()
	fmt.Println("interfaces:", len(names), err)
	_, err = net.DialTimeout("tcp", "192.0.2.1:80", time.Minute)
	fmt.Println("outside is reached:", err == nil)
	port, err := FreePort()
	if err != nil {
		fmt.Println(err)
	}
	dir, err := os.MkdirTemp("", "bluetrace-reexec-")
	if err != nil {
		fmt.Println(err)
	}
	defer os.RemoveAll(dir)
	p, err := Start(Config{
		Folder: dir, Clock: clock.New(), Values: []string{"{port}", fmt.Sprint(port)},
		Line: func(s string) { fmt.Println(s) },
		Command: `exec python3 -c '
import socket
s = socket.socket()
s.bind((socket.gethostbyname(socket.gethostname()), {port}))
s.listen()
c, a = s.accept()
c.sendall(b"from the server")
c.recv(1)'`,
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("listens:", p.AwaitPort(context.Background(), port, time.Minute))
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		b := make([]byte, 100)
		n, _ := c.Read(b)
		fmt.Printf("read: %s\n", b[:n])
	} else {
		fmt.Println("read:", err)
	}
	p.End(time.Minute)
	fmt.Println("signal:", <-signals)
	return 7
}

// TestReexec: the second process has a network of its own with its programs, gets the signals of the first, and gives
// it its exit status.
func TestReexec(t *testing.T) {
	limit, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(limit, os.Args[0], "an argument")
	c.Env = append(os.Environ(), "FOREIGN_REEXEC=1")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for s := bufio.NewScanner(out); s.Scan(); {
		lines = append(lines, s.Text())
		if strings.HasPrefix(s.Text(), "read:") {
			_ = c.Process.Signal(syscall.SIGTERM)
		}
	}
	_ = c.Wait()
	if len(lines) > 0 && strings.HasPrefix(lines[0], "own network: false") {
		t.Skip("SKIPPED: the system refuses networks of processes: allow user name spaces")
	}
	want := []string{
		"own network: true [an argument] ",
		fmt.Sprintf("processes and files: %t %t", Isolation().Processes, Isolation().Files),
		"interfaces: 1 <nil>", "outside is reached: false", "listens: <nil>",
		"read: from the server", "signal: terminated",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%q\nwant %q", lines, want)
	}
	if status := c.ProcessState.ExitCode(); status != 7 {
		t.Errorf("exit status %d", status)
	}
}

// TestReexecRefused: where the second process cannot start its network, the first goes on and has the reason.
func TestReexecRefused(t *testing.T) {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "FOREIGN_REEXEC=refused")
	out, err := c.Output()
	want := "own network: false [] \nthe programs share the network of this machine: "
	text, ok := strings.CutPrefix(string(out), want)
	if !ok || c.ProcessState.ExitCode() != 1 {
		t.Errorf("%v: %q\nwant %q", err, out, want)
	}
	if strings.Contains(text, "fork/exec") {
		t.Skip("SKIPPED: the system refuses networks of processes: allow user name spaces")
	} else if text != "no loopback\n" {
		t.Error(text)
	}
}

// startAndWait starts a program with a text in its arguments, prints its first line and waits for its end.
func startAndWait(text string) {
	isolation = func() Parts { return Parts{} }
	p, err := Start(Config{
		Command: "trap '' TERM; setsid sh -c 'echo ready; sleep 1000; true {text}' & wait",
		Values:  []string{"{text}", text}, Folder: os.Getenv("FOREIGN_FOLDER"), Clock: clock.New(), Line: func(s string) { fmt.Println(s) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-p.Ended()
}

// TestCallerIsKilled: the programs of a process end when it is killed.
func TestCallerIsKilled(t *testing.T) {
	mark := "mark" + rand.Text()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "FOREIGN_REEXEC="+mark, "FOREIGN_FOLDER="+t.TempDir())
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" || len(with(mark)) == 0 {
		t.Errorf("%q, %v", line, err)
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	checkGone(t, mark)
}

// TestListening: the sockets of a program are found, also those of its descendants, and no others.
func TestListening(t *testing.T) {
	eachIsolation(t, func(t *testing.T) {
		foreign, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer foreign.Close()
		asked := foreign.Addr().(*net.TCPAddr).AddrPort().Port()
		p, lines := run(t, Config{Command: `python3 -c '
import socket, time
a = socket.create_server(("127.0.0.1", 0))
b = socket.create_server(("::1", 0), family=socket.AF_INET6)
print(a.getsockname()[1], b.getsockname()[1])
time.sleep(1000)' & wait`})
		var a, b int
		if _, err := fmt.Sscan(await(t, p, lines), &a, &b); err != nil {
			t.Fatal(err)
		}
		got, err := p.Listening()
		if text := fmt.Sprint(got, err); text != fmt.Sprintf("[127.0.0.1:%d [::1]:%d] <nil>", a, b) {
			t.Error(text)
		}
		if err := p.AwaitPort(t.Context(), uint16(b), time.Minute); err != nil {
			t.Error(err)
		}
		ports := []string{fmt.Sprint(a), fmt.Sprint(b)}
		slices.Sort(ports)
		want := fmt.Sprintf("the server listens on %s and %s, not on %d", ports[0], ports[1], asked)
		if err := p.AwaitPort(t.Context(), asked, time.Millisecond); err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	})
}

// TestUsage: the use of resources has all processes of a program.
func TestUsage(t *testing.T) {
	eachIsolation(t, func(t *testing.T) {
		p, lines := run(t, Config{Command: `echo 'import threading, time
files = [open("/dev/null") for n in range(50)]
memory = bytearray(30 << 20)
threads = [threading.Thread(target=time.sleep, args=(1000,), daemon=True) for n in range(7)]
[thread.start() for thread in threads]
while time.process_time() < 0.3: pass
print("ready", flush=True)
time.sleep(1000)' >load.py
python3 load.py & setsid python3 load.py & wait`})
		await(t, p, lines)
		await(t, p, lines)
		u, err := p.Usage()
		if err != nil {
			t.Fatal(err)
		}
		if u.CPU < 500*time.Millisecond || u.CPU > time.Minute {
			t.Errorf("CPU %v", u.CPU)
		}
		if u.Memory < 60<<20 || u.Memory > 500<<20 {
			t.Errorf("memory %d", u.Memory)
		}
		if u.Processes != 3 || u.Threads != 1+2*8 {
			t.Errorf("%d processes, %d threads", u.Processes, u.Threads)
		}
		if u.Open < 2*53 || u.Open > 3*53 {
			t.Errorf("%d open", u.Open)
		}
	})
}
