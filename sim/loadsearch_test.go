package sim

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/sim/load"
)

// queue is a network in the time of a synctest bubble. One server goroutine
// handles every message in turn, each for the same time.
type queue struct {
	mu    sync.Mutex
	free  time.Time // the server is busy until then
	takes time.Duration
	dead  atomic.Bool // from then on it answers nothing

	running sync.WaitGroup // goroutines of connections

	second        int64 // of dials, which are counted by the second
	dials, before int
	stuck         bool // after the first connection a message takes a minute

	breaks func(message string) bool // the server closes the connection instead of an answer; nil: never
}

func (q *queue) Dial(handler load.ConnHandler) load.Conn {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now := time.Now().Unix(); now != q.second {
		q.second, q.before, q.dials = now, q.dials, 0
	}
	q.dials++
	if q.stuck && q.dials+q.before > 1 {
		q.takes = time.Minute
	}
	here, there := net.Pipe()
	q.running.Go(func() { q.serve(there) })
	q.running.Go(func() {
		handler.OnOpen(nil)
		p := make([]byte, 1024)
		for {
			n, err := here.Read(p)
			if err != nil {
				handler.OnEnd(err)
				return
			}
			handler.OnData(p[:n])
		}
	})
	return pipe{here}
}

// pipe is a connection to the server of a queue.
type pipe struct{ net.Conn }

func (p pipe) Write(b []byte) error {
	_, err := p.Conn.Write(b)
	return err
}

func (q *queue) serve(c net.Conn) {
	defer c.Close()
	p := make([]byte, 1024)
	for {
		n, err := c.Read(p)
		if err != nil || q.dead.Load() {
			return
		}
		q.mu.Lock()
		if now := time.Now(); q.free.Before(now) {
			q.free = now
		}
		q.free = q.free.Add(q.takes)
		done := q.free
		q.mu.Unlock()
		time.Sleep(time.Until(done)) // virtual time of synctest
		if q.breaks != nil && q.breaks(string(p[:n])) {
			return
		}
		answer := protocol.Welcome
		switch string(p[:n]) {
		case protocol.CommandDownload:
			answer = "12345678901234567890"
		case protocol.CommandLogout:
			return
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

func (q *queue) Listen(load.DatagramHandler) (load.Datagrams, error) {
	return nil, errors.New("no beacons here")
}

func (q *queue) Dropped(map[netip.AddrPort]bool) uint64 { return 0 }

func (q *queue) Close() error { return nil }

const smallSearch = `name: small
phones: [{name: a, count: 400, password_pause: 0s}]
load:
  executor: search
  start_rate: 100
  max_rate: 5000
  duration: 3s
  confirm: 10s
  warm_up: 1s
  graceful_stop: 1s
  timeout: 5s
  session: [login, Download_tempID]
thresholds: {response_time: ["p(99)<50"], operations_unknown: "rate<0.01"}
`

// searchIn runs a search in the time of the bubble.
func searchIn(t *testing.T, q *queue, text string, change func(*loadRun)) *reports.Run {
	t.Helper()
	s := loadScenario(t, text)
	phones, _, _, err := loadPhones(s, s.Load, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &loadRun{
		scenario: s, traffic: s.Load, phones: phones, network: q, sleep: time.Sleep, options: Options{Load: &Load{}},
	}
	if change != nil {
		change(r)
	}
	out, err := r.play(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	q.running.Wait()
	return out
}

// TestSearchFindsTheCapacity checks that a server that needs 2 ms for each of the two
// messages of a session handles 250 sessions per second.
func TestSearchFindsTheCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reports.NewMeter("small", "1")
		out := searchIn(t, &queue{takes: 2 * time.Millisecond}, smallSearch, func(r *loadRun) { r.options.Meter = m })
		s := out.Load.Search
		if out.Verdict != reports.Passed || s.Capacity < 236 || s.Capacity > 253 || s.FailedRate <= s.Capacity ||
			s.FailedRate > 1.05*s.Capacity {
			t.Errorf("verdict %s, capacity %g, refused %g; want 250 within 5 %%", out.Verdict, s.Capacity, s.FailedRate)
		}
		if s.AtLeast || s.FailedBy != reports.StepFailed || s.Confidence == nil || *s.Confidence < 0.95 {
			t.Errorf("%+v", s)
		}
		last := s.Steps[s.ReportedStep]
		if !last.Confirming || last.Rate != s.Capacity || last.Seconds != 10 || last.Achieved < 0.99*last.Rate ||
			last.Response.P99 >= 50 {
			t.Errorf("the confirming step: %+v", last)
		}
		if l := out.Load; l.Seconds != 10 || l.Arrivals.Due != uint64(10*s.Capacity+.5) || len(l.Timeline) != 11 ||
			len(l.All.Intervals) != 3 {
			t.Errorf("the figures are not those of the confirming step: %.0f s, %+v, %d seconds",
				l.Seconds, l.Arrivals, len(l.Timeline))
		}
		if c := out.Checks[len(out.Checks)-1]; c.Found != s.Summary() || c.Verdict != reports.Passed ||
			c.Place != "f.yaml:4:3" {
			t.Errorf("%+v", c)
		}
		if n := m.Phase("step-1").Due.Value(); n != 300 {
			t.Errorf("the meter has %d arrivals of the first step, want 300", n)
		}
	})
}

func TestSearchThatFindsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := searchIn(t, &queue{takes: 6 * time.Millisecond}, smallSearch, nil)
		s := out.Load.Search
		if out.Verdict != reports.Failed || s.Capacity != 0 || s.FailedRate != 100 || len(s.Steps) != 2 ||
			s.Steps[1].Outcome != reports.StepFailed {
			t.Errorf("%s: %+v", out.Verdict, s)
		}
		if c := out.Checks[len(out.Checks)-1]; c.Verdict != reports.Failed || c.Found != "not even at 100/s" {
			t.Errorf("%+v", c)
		}
	})
}

func TestSearchUpToTheMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := searchIn(t, &queue{takes: time.Millisecond / 10}, strings.Replace(smallSearch, "5000", "150", 1), nil)
		if s := out.Load.Search; out.Verdict != reports.Passed || s.Capacity != 150 || !s.AtLeast || s.FailedRate != 0 {
			t.Errorf("%s: %+v", out.Verdict, s)
		}
	})
}

// TestSearchLimitedByTheGenerator checks that a step that the generator limits shows nothing
// about the server.
func TestSearchLimitedByTheGenerator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{takes: time.Microsecond}
		out := searchIn(t, q, strings.Replace(smallSearch, "5000", "800", 1), func(r *loadRun) {
			r.sleep = func(d time.Duration) {
				q.mu.Lock()
				if q.before > 300 { // connections in the last second
					d += 20 * time.Millisecond
				}
				q.mu.Unlock()
				time.Sleep(d) // virtual time of synctest
			}
		})
		s := out.Load.Search
		if out.Verdict != reports.Passed || !s.AtLeast || s.Capacity < 285 || s.Capacity > 300 ||
			s.FailedBy != reports.StepGeneratorLimited {
			t.Errorf("%s: %+v", out.Verdict, s)
		}
		if why := strings.Join(out.Notes, "; "); len(out.Load.Invalid) > 0 || !strings.HasPrefix(why,
			"search: above the capacity the generator was the bottleneck: at "+reports.FormatRate(s.FailedRate)+
				"/s its schedule lag has a p99 of ") {
			t.Errorf("invalid: %q, notes: %s", out.Load.Invalid, why)
		}
		if c := out.Checks[len(out.Checks)-1]; c.Verdict != reports.Passed || !strings.HasPrefix(c.Found, "at least ") {
			t.Errorf("%+v", c)
		}
	})
}

// TestSearchOfAServerThatDies checks that the results so far are kept.
func TestSearchOfAServerThatDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{takes: time.Millisecond}
		time.AfterFunc(10*time.Second, func() { q.dead.Store(true) })
		out := searchIn(t, q, smallSearch, nil)
		s := out.Load.Search
		if out.Verdict != reports.Failed || !strings.Contains(s.Stopped, "the server had not recovered 1m0s later") ||
			len(s.Steps) == 0 {
			t.Errorf("%s: %+v", out.Verdict, s)
		}
	})
}

func TestSearchInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := loadScenario(t, smallSearch)
		phones, _, _, err := loadPhones(s, s.Load, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		q := &queue{takes: time.Millisecond}
		r := &loadRun{
			scenario: s, traffic: s.Load, phones: phones, network: q, sleep: time.Sleep, options: Options{Load: &Load{}},
		}
		out, err := r.play(ctx)
		if err != nil {
			t.Fatal(err)
		}
		q.running.Wait()
		var answers []reports.StepOutcome
		for _, step := range out.Load.Search.Steps {
			answers = append(answers, step.Outcome)
		}
		want := []reports.StepOutcome{reports.StepPassed, reports.StepPassed, reports.StepInterrupted}
		if d := cmp.Diff(want, answers); d != "" || out.Verdict != reports.Interrupted ||
			out.Load.Search.Capacity != 0 {
			t.Errorf("%s: %s", out.Verdict, d)
		}
	})
}

// TestSearchOnRealSockets runs a search of the run's own server, at a rate that any
// machine holds and without a threshold on times.
func TestSearchOnRealSockets(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes ten seconds of real time; run without -short")
	}
	t.Parallel()
	text := strings.NewReplacer("max_rate: 5000", "max_rate: 10\n  generator: {lag: 1m, cpu: 100%}", "start_rate: 100",
		"start_rate: 10",
		"duration: 3s", "duration: 500ms", "warm_up: 1s", "warm_up: 300ms", "confirm: 10s", "confirm: 8s",
		"p(99)<50", "p(99)<60000").Replace(smallSearch)
	r, err := Run(t.Context(), loadScenario(t, text), Options{Load: loadServer(t)})
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Run.Load.Search; r.Run.Verdict != reports.Passed || s.Capacity != 10 || !s.AtLeast ||
		len(s.Steps) != 2 || *s.Confidence != 1 {
		t.Errorf("%s: %+v", r.Run.Verdict, s)
	}
}

func TestPhasesOfStepsAreFew(t *testing.T) {
	names := map[string]bool{}
	for n := range 1000 {
		names[phaseOfStep(n+1)] = true
	}
	if len(names) != phasesMax || !names["step-1"] || !names["later-steps"] {
		t.Errorf("%d names: %v", len(names), names)
	}
}

// TestSearchOfAServerThatNeverAnswers checks that a step without an answer in its warm-up
// does not hold, unless the generator itself was late.
func TestSearchOfAServerThatNeverAnswers(t *testing.T) {
	for _, late := range []time.Duration{0, 50 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			out := searchIn(t, &queue{takes: time.Millisecond, stuck: true}, smallSearch, func(r *loadRun) {
				r.sleep = func(d time.Duration) { time.Sleep(d + late) } // virtual time of synctest
			})
			s, want := out.Load.Search, reports.StepFailed
			if late > 0 {
				want = reports.StepGeneratorLimited
			}
			if len(s.Steps) == 0 || s.Steps[0].Outcome != want || s.Steps[0].Seconds != 0 {
				t.Errorf("late by %v: %+v", late, s)
			}
			if s.Capacity != 0 || out.Load.All.Count() != 0 {
				t.Errorf("late by %v: %+v", late, out.Load)
			}
		})
	}
}
