package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bluetrace/cmd/fleet/broker"
)

// fakeLoad is a sim that coordinates a load: it sends each generator "ask", and ends when all have answered or ended. It
// prints the names and answers. With lost generators its status is 112.
func fakeLoad() int {
	in, out := bufio.NewReader(os.NewFile(3, "in")), os.NewFile(4, "out")
	var names []string
	if first, err := in.ReadBytes('\n'); err != nil || json.Unmarshal(first, &names) != nil {
		return 107
	}
	for i := range names {
		fmt.Fprintf(out, "%d ask %s\n", i, strings.Repeat("x", 600_000)) // several messages of the engine
	}
	answers := make([]string, len(names))
	got := 0
	for left := len(names); left > 0; left-- {
		line, err := in.ReadString('\n')
		if err != nil {
			return 107
		}
		var i int
		var answer string
		if n, _ := fmt.Sscan(line, &i, &answer); n < 2 {
			got = 112
			answer = "lost"
		}
		answers[i] = names[i] + ": " + answer
	}
	slices.Sort(answers)
	fmt.Println(strings.Join(answers, ", "))
	return got
}

// fakeGenerator answers a line with its length, until its input ends. The kind "mute" ends without an answer.
func fakeGenerator(kind string) int {
	if kind == "mute" {
		return 1
	}
	for in := bufio.NewReader(os.Stdin); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return 0
		}
		fmt.Println(len(line))
	}
}

// TestLoadOnTheLoopback carries the messages of a load between sim and two workers. A third worker gets no seat and
// waits.
func TestLoadOnTheLoopback(t *testing.T) {
	for kind, want := range map[string]struct {
		status status
		out    string
	}{
		"right": {statusPassed, "one: 600005, two: 600005\n"},
		"mute":  {statusNoResult, "one: lost, two: lost\n"},
	} {
		t.Run(kind, func(t *testing.T) {
			self := loopback(t, kind)
			var workers sync.WaitGroup
			ctx, end := context.WithCancel(t.Context())
			work := func(name string) {
				workers.Go(func() {
					got, _, errs := runUntil(ctx, "work", "--join", "join", "--name", name, "--sim", self, "--once")
					if got != statusPassed {
						t.Errorf("worker %s: status %d\n%s", name, got, errs)
					}
				})
			}
			work("one")
			work("two")
			got, out, errs := run(t, "run", "--join", "join", "--workers", "2", "--sim", self, "x.yaml")
			work("three")
			end()
			workers.Wait()
			if got != want.status || out != want.out {
				t.Errorf("status %d, %q; want %d, %q\n%s", got, out, want.status, want.out, errs)
			}
		})
	}
}

// TestLoadWithoutWorkers ends after --wait, and at once if sim refuses the command line.
func TestLoadWithoutWorkers(t *testing.T) {
	self := loopback(t, "right")
	got, _, errs := run(t, "run", "--join", "join", "--wait", "10ms", "--sim", self, "x.yaml")
	if got != statusError || !strings.Contains(errs, "fleet: 0 of 1 workers came within 10ms\n") {
		t.Errorf("status %d, %q", got, errs)
	}
	if got, _, errs := run(t, "run", "--join", "join", "--sim", self, "--wrong", "x.yaml"); got != statusInvalid {
		t.Errorf("status %d, %q", got, errs)
	}
	got, _, errs = run(t, "run", "--sim", self, "--workers", "0", "x.yaml")
	if got != statusInvalid || errs != "fleet: invalid --workers 0: must be 1 to 1000\n" {
		t.Errorf("status %d, %q", got, errs)
	}
	ctx, end := context.WithCancel(t.Context())
	end()
	if got, _, errs := runUntil(ctx, "run", "--join", "join", "--sim", self, "x.yaml"); got != statusInterrupted {
		t.Errorf("after an interrupt: status %d, %q", got, errs)
	}
}

// TestSeatsAreGivenTogether: workers get seats when as many as there are seats have asked within five seconds. One that
// asks again has left its seat.
func TestSeatsAreGivenTogether(t *testing.T) {
	loopback(t, "right")
	var errs buffer
	now := time.Unix(0, 0)
	p := &program{stderr: &errs, now: func() time.Time { return now }, access: accessFlags{join: "join"}}
	conn, err := p.connect("test")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := &seats{program: p, conn: conn, build: fakeBuild, run: "load-x", free: 2, waiting: map[string]time.Time{}}
	defer s.end()
	ask := func(after time.Duration, worker string, leaving bool) (seat int, last bool) {
		now = now.Add(after)
		seat = -1
		last = s.answer(broker.Question{
			Status: broker.Status{Protocol: broker.Protocol, Worker: worker, Build: fakeBuild, Leaving: leaving},
			Answer: func(a broker.Answer) error {
				if a.Seat != nil {
					seat = a.Seat.Number
				}
				return nil
			},
		})
		return seat, last
	}
	for i, c := range []struct {
		after   time.Duration
		worker  string
		leaving bool
		seat    int
		last    bool
	}{
		{0, "one", false, -1, false},
		{time.Second, "one", false, -1, false},
		{5*time.Second + 1, "two", false, -1, false}, // one does not ask any more
		{time.Second, "one", false, 0, false},
		{5 * time.Second, "one", false, -1, false}, // two does not ask any more, and one has left the seat
		{time.Second, "two", true, -1, false},
		{time.Second, "one", false, -1, false},
		{time.Second, "three", false, 1, false},
		{time.Second, "one", false, 2, true},
		{time.Second, "two", false, -1, false},
		{time.Second, "three", false, -1, false}, // the load has begun
	} {
		if seat, last := ask(c.after, c.worker, c.leaving); seat != c.seat || last != c.last {
			t.Errorf("question %d, of %s: seat %d, the last: %v; want %d, %v", i, c.worker, seat, last, c.seat, c.last)
		}
	}
	if len(s.taken) != 2 || s.taken[0].worker != "three" || s.taken[1].worker != "one" {
		t.Errorf("seats %+v\n%s", s.taken, errs.String())
	}
}
