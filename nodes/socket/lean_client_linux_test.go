package socket

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bluetrace/protocol"
)

// The lean client is the test program itself, started again with this variable. It
// is one thread that waits for all connections, in a process of its own, like
// redis-benchmark. A client with goroutines would use more of the two cores than
// the server that is measured.
const leanClientVariable = "BLUETRACE_LEAN_CLIENT"

func TestMain(m *testing.M) {
	if job := os.Getenv(leanClientVariable); job != "" {
		rate, err := leanJob(strings.Split(job, "\t"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(rate)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// leanAsk makes the lean client send request and await size bytes, n times over
// benchPhones connections. Each connection begins with login, unless that is
// empty, and its answer of loginSize bytes. It returns the number of requests per
// second.
func leanAsk(b *testing.B, at, login string, loginSize int, request string, size, n int) float64 {
	b.Helper()
	return leanRun(b, fmt.Sprintf("%s\t%s\t%d\t%s\t%d\t%d", at, login, loginSize, request, size, n))
}

// leanUpload makes the lean client upload a number of entries n times on one
// connection, with an answer to each line before the next. It returns the number
// of entries per second.
func leanUpload(b *testing.B, at, login string, entries, n int) float64 {
	b.Helper()
	return leanRun(b, fmt.Sprintf("%s\t%s\t%d\t%d", at, login, entries, n))
}

func leanRun(b *testing.B, job string) float64 {
	b.Helper()
	client := exec.CommandContext(b.Context(), os.Args[0])
	client.Env = append(os.Environ(), leanClientVariable+"="+job)
	client.Stderr = os.Stderr
	out, err := client.Output()
	if err != nil {
		b.Fatal(err)
	}
	rate, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		b.Fatal(err)
	}
	return rate
}

// leanPeer is one connection, with the number of bytes of the answer that are
// missing.
type leanPeer struct{ fd, missing int }

func leanJob(job []string) (rate float64, err error) {
	if len(job) == 4 {
		return leanUploads(job)
	}
	at, login, request := job[0], job[1], []byte(job[3])
	var loginSize, size, n int
	if _, err := fmt.Sscan(job[2], &loginSize); err != nil {
		return 0, err
	}
	if _, err := fmt.Sscan(job[4]+" "+job[5], &size, &n); err != nil {
		return 0, err
	}
	runtime.LockOSThread()
	poll, err := unix.EpollCreate1(0)
	if err != nil {
		return 0, err
	}
	peers := make([]leanPeer, min(benchPhones, n))
	buf := make([]byte, 1024)
	for i := range peers {
		if peers[i].fd, err = leanConnect(at, login, loginSize, buf); err != nil {
			return 0, err
		}
		e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, peers[i].fd, &e); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	if err := leanLoop(poll, peers, request, size, n, buf); err != nil {
		return 0, err
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

func leanLoop(poll int, peers []leanPeer, request []byte, size, n int, buf []byte) error {
	left, asked := n, 0
	ask := func(p *leanPeer) error {
		if asked == n {
			return nil
		}
		asked++
		p.missing = size
		_, err := unix.Write(p.fd, request)
		return err
	}
	for i := range peers {
		if err := ask(&peers[i]); err != nil {
			return err
		}
	}
	ready := make([]unix.EpollEvent, benchPhones)
	for left > 0 {
		k, err := unix.EpollWait(poll, ready, 30_000)
		if err == unix.EINTR {
			continue
		}
		if err != nil || k == 0 {
			return fmt.Errorf("no answer within 30 s, %d are missing: %w", left, err)
		}
		for _, e := range ready[:k] {
			p := &peers[e.Fd]
			got, err := unix.Read(p.fd, buf)
			if err != nil || got == 0 {
				return fmt.Errorf("the server ended a connection, %d answers are missing: %w", left, err)
			}
			if p.missing -= got; p.missing > 0 {
				continue
			}
			left--
			if err := ask(p); err != nil {
				return err
			}
		}
	}
	return nil
}

func leanUploads(job []string) (rate float64, err error) {
	var entries, n int
	if _, err := fmt.Sscan(job[2]+" "+job[3], &entries, &n); err != nil {
		return 0, err
	}
	runtime.LockOSThread()
	buf := make([]byte, 1024)
	fd, err := leanConnect(job[0], job[1], len(protocol.Welcome), buf)
	if err != nil {
		return 0, err
	}
	if err := leanSay(fd, protocol.CommandDownload, protocol.TempIDSize, buf); err != nil {
		return 0, err
	}
	lines := []string{string(buf[:protocol.TempIDSize]), "23/11/2026 06:32:38", "23/11/2026 06:47:38"}
	began := time.Now()
	for range n {
		requests := []string{protocol.CommandUpload, strconv.Itoa(3 * entries)}
		for i := range 3 * entries {
			requests = append(requests, lines[i%3])
		}
		for _, request := range requests {
			if err := leanSay(fd, request, len(protocol.Ack), buf); err != nil {
				return 0, err
			}
		}
	}
	return float64(n*entries) / time.Since(began).Seconds(), nil
}

// leanSay sends a request and reads an answer of size bytes into buf.
func leanSay(fd int, request string, size int, buf []byte) error {
	if _, err := unix.Write(fd, []byte(request)); err != nil {
		return err
	}
	for got := 0; got < size; {
		n, err := unix.Read(fd, buf[got:])
		if err != nil || n == 0 {
			return fmt.Errorf("%q is not answered: %w", request, err)
		}
		got += n
	}
	return nil
}

func leanConnect(at, login string, answer int, buf []byte) (fd int, err error) {
	_, port, _ := strings.Cut(at, ":")
	number, err := strconv.Atoi(port)
	if err != nil {
		return 0, err
	}
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return 0, err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: number, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	if login == "" {
		return fd, nil
	}
	return fd, leanSay(fd, login, answer, buf)
}
