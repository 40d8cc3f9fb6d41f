package socket

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"bluetrace/protocol"
)

// TestWithoutPolls runs the tests of the server with a goroutine for each connection, as on
// systems without epoll.
func TestWithoutPolls(t *testing.T) {
	if os.Getenv(plainVariable) != "" {
		t.Skip("SKIPPED: this is the run without polls; the one with them starts it")
	}
	// The tests of memory are left out, which the run with polls measures, and those of phones and of the output, which
	// have no polls.
	tests := exec.CommandContext(t.Context(), os.Args[0], "-test.short", "-test.count=1", "-test.run=^Test[^M]",
		"-test.skip=^Test(GarbageCostsNoMemory|PrinterLimits|Phone.*)$")
	tests.Env = append(os.Environ(), plainVariable+"=1")
	out, err := tests.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

// awaitWatched waits until the polls watch n connections, all of them idle.
func (r *rig) awaitWatched(n int) {
	r.t.Helper()
	if os.Getenv(plainVariable) != "" {
		return
	}
	r.await(fmt.Sprintf("%d connections to be watched", n), func() bool {
		watched := 0
		for _, x := range r.server.alive {
			if x.poll != nil && !x.taken {
				watched++
			}
		}
		return watched == n
	})
}

// A session that is logged in and idle has no goroutine. It gets one for its end.
func TestAWatchedConnectionHasNoGoroutine(t *testing.T) {
	if os.Getenv(plainVariable) != "" {
		t.Skip("SKIPPED: there are no polls in this run; the one with them has this test")
	}
	r := newRig(t, nil)
	r.dial().login(userA, passwordA)
	r.awaitWatched(1)
	before := runtime.NumGoroutine()
	peers := make([]*peer, 20)
	for i := range peers {
		peers[i] = r.dial()
		peers[i].login(userA, passwordA)
		peers[i].say(protocol.CommandDownload)
		peers[i].tempID()
	}
	r.awaitWatched(21)
	r.await("their goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
	for _, p := range peers {
		p.say(protocol.CommandLogout)
		p.hearEnd()
	}
	r.awaitAlive(1)
	r.awaitWatched(1)
}

// Bytes that arrive while a session waits for the disk, in any number of pieces,
// are read afterwards.
func TestBytesDuringAStoreAreReadAfterwards(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial()
	p.login(userA, passwordA)
	r.awaitWatched(1)
	gate := make(chan struct{})
	r.disk.set(func() { r.disk.gate = gate })
	p.piece(protocol.CommandDownload)
	r.awaitDisk(1)
	for range 3 {
		p.say(protocol.CommandDownload)
		yield()
	}
	p.say(protocol.CommandUpload)
	p.CloseWrite()
	close(gate)
	for i := range 4 {
		if id := p.tempID(); r.disk.kept()[i].Issue.TempID != id {
			t.Errorf("answer %d is %s, which is not the stored one", i, id)
		}
	}
	p.hear("1")
	p.hearEnd()
	r.awaitOutput("+61410888888: incomplete upload: no count of lines\n+61410888888 logout\n")
}

// Input longer than one read is read completely.
func TestMoreThanOneRead(t *testing.T) {
	r := newRig(t, func(_ *rig, c *ServerConfig) { c.Inline = true })
	p := r.dial()
	p.login(userA, passwordA)
	r.awaitWatched(1)
	for _, n := range []int{1, 68, 69, 200} { // 15 bytes each; a read takes 1,024
		p.say(strings.Repeat(protocol.CommandDownload, n))
		for range n {
			p.tempID()
		}
	}
	p.say(strings.Repeat(" ", protocol.MaxMessage-len(protocol.CommandLogout)) + protocol.CommandLogout)
	p.hearEnd()
}

// The end of file may come with the last bytes, before or after they are read. The number of a
// session is used again after its end.
func TestTheEndWithTheLastBytes(t *testing.T) {
	r := newRig(t, nil)
	for range 200 {
		p := r.dial()
		p.login(userA, passwordA)
		p.say(protocol.CommandDownload)
		p.CloseWrite()
		p.tempID()
		p.hearEnd()
	}
	r.awaitAlive(0)
	r.await("one number for all, one after the other", func() bool { return len(r.server.conns) == 1 })
}

// narrowListener accepts connections with a small send buffer.
type narrowListener struct{ net.Listener }

func (l narrowListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(1)
	}
	return c, err
}

// A peer that starts to read late gets every answer, in order.
func TestAPeerThatReadsLate(t *testing.T) {
	r := newRig(t, func(_ *rig, c *ServerConfig) {
		c.Inline = true
		c.Listener = narrowListener{c.Listener}
	})
	p := r.dial()
	if err := p.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	p.login(userA, passwordA)
	const asked = 3000
	flooded := make(chan error, 1)
	go func() {
		_, err := io.WriteString(p, strings.Repeat(protocol.CommandDownload, asked))
		flooded <- err
	}()
	r.awaitStill()
	if n := len(r.disk.kept()); n == asked {
		t.Error("everything was read, although the answers were not taken")
	}
	var got []protocol.TempID
	for range asked {
		got = append(got, p.tempID())
	}
	if err := <-flooded; err != nil {
		t.Fatal(err)
	}
	if n := len(r.disk.kept()); n != asked {
		t.Fatalf("%d were stored, want %d", n, asked)
	}
	for i, record := range r.disk.kept() {
		if record.Issue.TempID != got[i] {
			t.Fatalf("answer %d is %s, but %s was stored", i, got[i], record.Issue.TempID)
		}
	}
	p.say(protocol.CommandLogout)
	p.hearEnd()
}

// The receive buffer of a phone, SO_RCVBUF, is larger than that of another socket.
func TestReceiveBuffer(t *testing.T) {
	granted := func(u *net.UDPConn) (size int) {
		raw, err := u.SyscallConn()
		expect(t, "the socket", err, nil)
		err = raw.Control(func(fd uintptr) {
			size, _ = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET,
				syscall.SO_RCVBUF)
		})
		expect(t, "its option", err, nil)
		return size
	}
	u := loopbackUDP(t)
	usual := granted(u)
	u.Close()
	if got := granted(newPhoneRig(t, nil).phone.config.UDP); got <= usual {
		t.Errorf("granted %d bytes, and without asking %d", got, usual)
	}
}
