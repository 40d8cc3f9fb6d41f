package virtual_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/virtual"
)

// short returns a world whose account has a name and a password of one byte, which
// no network can split.
func short(t *testing.T, tcp virtual.TCP) *rig {
	t.Helper()
	return newRig(t, virtual.Config{TCP: tcp, Credentials: []nodes.Credential{{User: "u", Password: "p"},
		{User: "a", Password: "pw-a"}}})
}

// rawLogin opens a connection of the script and logs in on it.
func (r *rig) rawLogin(who uint32) {
	r.t.Helper()
	r.RawOpen(who)
	r.until(r.Now() + second)
	r.RawSend(who, []byte("u"))
	r.until(r.Now() + second)
	r.RawSend(who, []byte("p"))
	r.until(r.Now() + second)
	if got := r.replyText(true); !strings.HasSuffix(got, protocol.Welcome) {
		r.t.Fatalf("the server answered %q, want the welcome", got)
	}
}

// TestBytesArriveInOrder checks that both streams carry the sent bytes in order,
// whatever the delays and pieces.
func TestBytesArriveInOrder(t *testing.T) {
	for _, tcp := range []virtual.TCP{
		{},
		{Delay: virtual.Delay{Max: 90 * ms}},
		{Delay: virtual.Delay{Max: 90 * ms}, Split: 3},
		{Delay: virtual.Delay{Max: 90 * ms}, Split: 7, Join: 20 * ms},
		{Delay: virtual.Delay{Mean: 30 * ms}, Join: 200 * ms},
	} {
		t.Run(fmt.Sprintf("%+v", tcp), func(t *testing.T) {
			r := short(t, tcp)
			r.rawLogin(0)
			src := rand.New(rand.NewPCG(1, 9))
			at, sent := r.Now(), "up"
			for range 300 {
				at += time.Duration(src.Int64N(int64(10 * ms)))
				p := []byte("Download_tempID")
				if src.IntN(4) == 0 {
					p = []byte(fmt.Sprint(src.Uint64()))
				}
				sent += string(p)
				r.Call(at, func() { r.RawSend(0, p) })
			}
			r.until(at + 30*second)
			if got := joinText(r.serverReads); got != sent {
				t.Errorf("the server read %d bytes that differ from the %d sent", len(got), len(sent))
			}
			if got, want := r.replyText(true), joinText(r.serverSends); got != want {
				t.Errorf("the phone read %d bytes that differ from the %d sent", len(got), len(want))
			}
			issued := strings.Count(sent, protocol.CommandDownload)
			if got := len(joinText(r.serverSends)) - len(protocol.Welcome); got != 20*issued ||
				r.Totals().TempIDs.Issued != uint64(issued) {
				t.Errorf("%d bytes of TempIDs and %d issued, want %d TempIDs", got, r.Totals().TempIDs.Issued, issued)
			}
		})
	}
}

// TestSplitPieces checks that both sides read pieces of the size Split.
func TestSplitPieces(t *testing.T) {
	r := short(t, virtual.TCP{Split: 4})
	r.rawLogin(0)
	r.RawSend(0, []byte("Download_tempID"))
	r.until(r.Now() + second)
	var pieces []string
	for _, read := range r.serverReads[2:] {
		pieces = append(pieces, read.text)
	}
	if want := []string{"Down", "load", "_tem", "pID"}; !slices.Equal(pieces, want) {
		t.Errorf("the server read %q, want %q", pieces, want)
	}
	var lengths []int
	for _, text := range phoneReads(r) {
		lengths = append(lengths, len(text))
	}
	if want := []int{4, 4, 4, 4, 4, 4, 4, 4, 3, 4, 4, 4, 4, 4}; !slices.Equal(lengths, want) {
		t.Errorf("the phone read pieces of %v bytes, want %v", lengths, want)
	}
}

// phoneReads returns the texts that phone a has read, as the trace shows them.
func phoneReads(r *rig) []string {
	var texts []string
	for _, m := range regexp.MustCompile(`(?m)a: reads c\d+ "(.*)"$`).FindAllStringSubmatch(r.trace.String(), -1) {
		texts = append(texts, m[1])
	}
	return texts
}

// TestJoinedReads checks that a receiver reads 5 ms after the first unread byte, and
// takes all bytes that have come by then.
func TestJoinedReads(t *testing.T) {
	r := short(t, virtual.TCP{Join: 5 * ms})
	r.rawLogin(0)
	seen, answers := len(r.serverReads), len(r.replies)
	began := r.Now()
	for i, text := range []string{"Download_", "tempIDDown", "load_tempID", "Download_tempID", "?"} {
		r.Call(began+[]time.Duration{0, ms, 2 * ms, 5*ms - 1, 5*ms + 1}[i], func() { r.RawSend(0, []byte(text)) })
	}
	r.until(began + second)
	want := []transfer{
		{began + 5*ms, 0, "Download_tempIDDownload_tempIDDownload_tempID"},
		{began + 10*ms + 1, 0, "?"},
	}
	if got := r.serverReads[seen:]; !slices.Equal(got, want) {
		t.Errorf("the server read %v, want %v", got, want)
	}
	got := r.replies[answers:]
	if len(got) != 3 || len(got[0].text) != 20 || got[0].at != began+10*ms || got[2].at != began+10*ms {
		t.Errorf("the answers were %v, want three TempIDs, 5 ms later", got)
	}
	if reads := phoneReads(r); len(reads[len(reads)-1]) != 60 {
		t.Errorf("the phone read %q, want three TempIDs at once", reads)
	}
}

// TestReadsAreAtMost1024 checks that a longer send is read in several reads.
func TestReadsAreAtMost1024(t *testing.T) {
	r := short(t, virtual.TCP{})
	r.rawLogin(0)
	seen := len(r.serverReads)
	r.RawSend(0, []byte(strings.Repeat("#", 2500)))
	r.until(r.Now() + second)
	var lengths []int
	for _, read := range r.serverReads[seen:] {
		lengths = append(lengths, len(read.text))
	}
	if want := []int{1024, 1024, 452}; !slices.Equal(lengths, want) {
		t.Errorf("reads of %v bytes, want %v", lengths, want)
	}
}

// TestHalfClose checks that a peer gets the answers to its requests after its end of
// file, including those that wait for the disk.
func TestHalfClose(t *testing.T) {
	for _, disk := range []time.Duration{0, 100 * ms} {
		t.Run(disk.String(), func(t *testing.T) {
			r := newRig(t, virtual.Config{
				Credentials: []nodes.Credential{{User: "u", Password: "p"}},
				DiskDelay:   virtual.Delay{Min: disk, Max: disk},
				TCP:         virtual.TCP{Delay: virtual.Delay{Min: 10 * ms, Max: 10 * ms}},
			})
			r.rawLogin(0)
			began := r.Now()
			r.RawSend(0, []byte(protocol.CommandDownload))
			r.RawEnd(0, false)
			r.until(began + second)
			last := r.replies[len(r.replies)-1]
			if len(last.text) != protocol.TempIDSize || last.at != began+20*ms+disk {
				t.Errorf("disk %s: the phone read %q at %s, want 20 digits at %s", disk, last.text, last.at,
					began+20*ms+disk)
			}
			if want := []ending{{began + 20*ms + disk, 0, true}}; !slices.Equal(r.endings, want) {
				t.Errorf("disk %s: the connection ended %v, want %v", disk, r.endings, want)
			}
			if n := r.Totals().Sessions; n.Opened != 1 || n.Closed != 1 || r.RawIsOpen(0) {
				t.Errorf("disk %s: sessions %+v, still open: %t", disk, n, r.RawIsOpen(0))
			}
			if got := r.decisions[len(r.decisions)-1]; got.Kind != nodes.EventSessionEnded ||
				got.Reason != nodes.ReasonEOF {
				t.Errorf("disk %s: the last decision is %+v, want the end of the session", disk, got)
			}

		})
	}
}

// TestReset checks that a reset discards unread bytes and ends the session.
func TestReset(t *testing.T) {
	r := newRig(t, virtual.Config{
		Credentials: []nodes.Credential{{User: "u", Password: "p"}},
		DiskDelay:   virtual.Delay{Min: 100 * ms, Max: 100 * ms},
	})
	r.rawLogin(0)
	began := r.Now()
	r.RawSend(0, []byte(protocol.CommandDownload))
	r.RawSend(0, []byte(protocol.CommandDownload)) // unread until the first is stored
	r.Call(began+50*ms, func() { r.RawEnd(0, true) })
	r.until(began + second)
	if got := r.Totals().TempIDs.Issued; got != 1 {
		t.Errorf("%d TempIDs issued, want the first alone", got)
	}
	if n := r.Totals().Sessions; n.Opened != 1 || n.Closed != 1 {
		t.Errorf("sessions %+v, want one opened and closed", n)
	}
	if r.RawIsOpen(0) {
		t.Error("the script still has a connection")
	}
}

// TestRefusedWhileTheServerIsDown checks that connects to a server that is down are
// refused.
func TestRefusedWhileTheServerIsDown(t *testing.T) {
	r := short(t, virtual.TCP{Delay: virtual.Delay{Min: 10 * ms, Max: 10 * ms}})
	r.Call(second, func() { r.RestartServer(5 * second) })
	r.Call(2*second, func() { r.loginOK(0) })
	r.Call(3*second, func() { r.RawOpen(1); r.RawSend(1, []byte("lost")) })
	r.Call(6*second-10*ms, func() { r.login(0, "pw-a") }) // arrives when it is up again
	r.until(10 * second)
	wantOutcomes(t, r.outcomes(0),
		outcome{0, nodes.OpLogin, nodes.OutcomeConnectionLost}, outcome{0, nodes.OpLogin, nodes.OutcomeOK})
	if want := []ending{{3*second + 20*ms, 1, true}}; !slices.Equal(r.endings, want) {
		t.Errorf("the script's connection ended %v, want %v", r.endings, want)
	}
	if r.RawIsOpen(1) {
		t.Error("the script still has the connection that was refused")
	}
	if want := []string{"I am listening", "I am listening", "users: a"}; !slices.Equal(r.serverPrints, want) {
		t.Errorf("the server printed %q, want %q", r.serverPrints, want)
	}
	if n := r.Totals().Sessions; n.Opened != 1 || n.Closed != 0 {
		t.Errorf("sessions %+v, want one opened", n)
	}
	if strings.Contains(joinText(r.serverReads), "lost") {
		t.Error("the server has read bytes that were sent while it was down")
	}
}

// TestSecondConnectionOfAScript checks that the first connection of a script stays
// open, and that its end does not end the second.
func TestSecondConnectionOfAScript(t *testing.T) {
	r := short(t, virtual.TCP{Delay: virtual.Delay{Min: 10 * ms, Max: 10 * ms}})
	r.RawOpen(0)
	r.until(second)
	r.RawOpen(0)
	r.RawSend(0, []byte("u"))
	r.until(2 * second)
	r.RawSend(0, []byte("p"))
	// the first connection never logs in: the server ends it after two minutes
	r.until(130 * second)
	if got := r.replyText(true); got != protocol.Welcome {
		t.Errorf("the script read %q, want the welcome", got)
	}
	if len(r.endings) != 1 || !r.RawIsOpen(0) {
		t.Errorf("the end of the first connection ended the second: %v", r.endings)
	}
	r.RawSend(0, []byte(protocol.CommandDownload))
	r.until(140 * second)
	if got := r.replyText(true); len(got) != len(protocol.Welcome)+protocol.TempIDSize {
		t.Errorf("the script read %q, want the welcome and a TempID", got)
	}
	r.RawSend(0, []byte(protocol.CommandLogout))
	r.until(150 * second)
	if n := r.Totals().Sessions; n.Opened != 2 || n.Closed != 2 || len(r.endings) != 2 {
		t.Errorf("sessions %+v and %d endings seen, want both closed and two endings", n, len(r.endings))
	}
	if got := fmt.Sprint(r.accepted); got != "[0 1]" {
		t.Errorf("the connections were %s, want [0 1]", got)
	}
	r.RawOpen(1)
	r.RawOpen(2)
	r.until(160 * second)
	if got := fmt.Sprint(r.accepted[2:]); got != "[1 0]" && got != "[0 1]" {
		t.Errorf("new connections are %s, want both numbers used again", got)
	}
}

// TestConnectionNumbersAreUsedAgain checks that no connection number is lost after
// 10,000 sessions that end in every way (500 in a short run, because a restart reads
// every TempID that was issued).
func TestConnectionNumbersAreUsedAgain(t *testing.T) {
	sessions := 10_000
	if testing.Short() {
		sessions = 500
	}
	for _, tcp := range []virtual.TCP{
		{},
		{Delay: virtual.Delay{Min: ms, Max: 9 * ms}},
		{Delay: virtual.Delay{Min: ms, Max: 9 * ms}, Join: 20 * ms},
	} {
		t.Run(fmt.Sprintf("%+v", tcp), func(t *testing.T) {
			r := newRig(t, virtual.Config{TCP: tcp, DiskDelay: virtual.Delay{Max: 3 * ms}})
			end := []func(){
				func() { r.Type(0, protocol.CommandLogout) },
				func() { r.Type(0, protocol.CommandDownload); r.Type(0, protocol.CommandLogout) },
				func() { r.Open(0) }, // hangs up and connects again: one session more
				func() { r.RawOpen(0); r.Call(r.Now()+40*ms, func() { r.RawEnd(0, false) }) },
				func() { r.RawOpen(0); r.RawSend(0, []byte("x")); r.RawEnd(0, true) },
				func() { r.RawOpen(0); r.RawEnd(0, true) },
				func() { r.RawOpen(0); r.RawClose(0) },
				func() { r.RawOpen(0); r.RawOpen(0); r.RawClose(0) }, // the first one times out
				func() { r.RestartServer(0) },
				func() { r.RestartServer(200 * ms) },
			}
			at := time.Duration(0)
			for i := range sessions {
				r.Call(at, func() { r.loginOK(0) })
				r.Call(at+300*ms, end[i%len(end)])
				at += 700 * ms
			}
			r.until(at + 10*time.Minute)
			r.Type(0, protocol.CommandLogout)
			r.until(at + 20*time.Minute)
			n := r.Totals().Sessions
			if n.Opened < uint64(sessions) || n.Opened != n.Closed {
				t.Errorf("%d sessions opened, %d closed, want at least %d and as many", n.Opened, n.Closed, sessions)
			}
			most := slices.Max(r.accepted)
			// each first connection of two waits two minutes for its end
			if most > 60 {
				t.Errorf("connection number %d was given for at most a few open at once", most)
			}
			seen := len(r.accepted)
			for range most + 1 {
				r.RawOpen(0)
			}
			r.until(at + 21*time.Minute)
			again := slices.Sorted(slices.Values(r.accepted[seen:]))
			for i, c := range again {
				if int(c) != i {
					t.Fatalf("after all sessions ended, new ones got the numbers %v, want 0 to %d", again, most)
				}
			}
		})
	}
}

// TestHeldBackReadOfAnEndedConnection checks that a delayed read of an ended
// connection is not a read of the next connection with its number.
func TestHeldBackReadOfAnEndedConnection(t *testing.T) {
	r := short(t, virtual.TCP{Join: 200 * ms})
	r.RawOpen(0)
	r.Call(second, func() { r.RawSend(0, []byte("x")) })
	r.Call(second+ms, func() { r.RawEnd(0, false) })
	r.Call(second+10*ms, func() { r.RawOpen(1) })
	r.Call(second+150*ms, func() { r.RawSend(1, []byte("u")) })
	r.until(3 * second)
	want := []string{"x", "u"}
	at := []time.Duration{second + ms, second + 350*ms}
	if len(r.serverReads) != 2 {
		t.Fatalf("the server read %v, want %q", r.serverReads, want)
	}
	for i, read := range r.serverReads {
		if read.text != want[i] || read.at != at[i] {
			t.Errorf("read %d is %q at %s, want %q at %s", i, read.text, read.at, want[i], at[i])
		}
	}
}

// TestEndBehindABlock checks that the end of a connection is emitted once, also if
// it comes with the text that makes the phone hang up.
func TestEndBehindABlock(t *testing.T) {
	for _, join := range []time.Duration{0, 20 * ms} {
		t.Run(join.String(), func(t *testing.T) {
			r := newRig(t, virtual.Config{TCP: virtual.TCP{Join: join}})
			r.login(0, "wrong")
			for i := range 2 {
				r.Call(time.Duration(i+1)*second, func() { r.Type(0, "wrong") })
			}
			r.until(10 * second)
			if want := []ending{{2*second + join, 0, false}}; !slices.Equal(r.endings, want) {
				t.Errorf("join %s: the connection ended %v, want %v", join, r.endings, want)
			}

		})
	}
}
