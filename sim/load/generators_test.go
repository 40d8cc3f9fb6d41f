package load_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/generators"
	"bluetrace/sim/load"
)

const ms = time.Millisecond

// stage is a crew of generators in one process, in the time of a synctest bubble.
type stage struct {
	t    *testing.T
	crew *generators.Crew
	// For each generator: the ends of its streams at the coordinator.
	fromThem []*io.PipeReader
	toThem   []*io.PipeWriter
	mute     []*atomic.Bool // their messages are lost
	signal   []context.CancelFunc
	running  sync.WaitGroup
}

var build = reports.Build{Go: "go1", Revision: "abc"}

// newStage starts n generators, whose servers answer after a time, three seconds before their coordinator. Messages to
// them take delay.
func newStage(t *testing.T, n int, delay time.Duration, answer func(string) time.Duration) *stage {
	return newStageOn(t, clock.New(), n, delay, answer)
}

// newStageOn is newStage with a clock of the generators.
func newStageOn(t *testing.T, of clock.Clock, n int, delay time.Duration, answer func(string) time.Duration) *stage {
	s := &stage{t: t}
	var streams []generators.Stream
	for i := range n {
		mute := new(atomic.Bool)
		s.mute = append(s.mute, mute)
		coordinatorIn, generatorOut := io.Pipe()
		generatorIn, coordinatorOut := io.Pipe()
		s.fromThem, s.toThem = append(s.fromThem, coordinatorIn), append(s.toThem, coordinatorOut)
		streams = append(streams, generators.Stream{Name: string(rune('a' + i)), In: coordinatorIn,
			Out: late{coordinatorOut, delay}})
		g := &generators.Generator{Build: build, Clock: of, Sleep: time.Sleep,
			Network: func(string) (load.Network, func() uint64) {
				return load.NewFake(answer), func() uint64 { return 0 }
			}}
		ctx, signal := context.WithCancel(t.Context())
		s.signal = append(s.signal, signal)
		s.running.Go(func() {
			if err := g.Serve(ctx, generatorIn, muted{generatorOut, mute}); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				t.Error(err)
			}
			generatorOut.Close()
			generatorIn.Close()
		})
	}
	time.Sleep(3 * time.Second) // virtual time of synctest
	var err error
	if s.crew, err = generators.Gather(t.Context(), clock.New(), build, streams); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stage) close() {
	for i := range s.toThem {
		s.toThem[i].Close()
	}
	s.running.Wait()
	for i := range s.fromThem {
		s.fromThem[i].Close()
	}
	s.crew.Close()
	time.Sleep(2 * time.Hour) // virtual time, in which the servers of the fakes end
}

// late is a stream whose messages take a time.
type late struct {
	to    io.Writer
	delay time.Duration
}

func (l late) Write(p []byte) (int, error) {
	time.Sleep(l.delay) // virtual time of synctest
	return l.to.Write(p)
}

// muted is a stream that may lose its messages.
type muted struct {
	to   io.Writer
	mute *atomic.Bool
}

func (m muted) Write(p []byte) (int, error) {
	if m.mute.Load() {
		return len(p), nil
	}
	return m.to.Write(p)
}

func quick(string) time.Duration { return 0 }

func traffic() scenarios.Traffic {
	t := load.Steady(60, 6*time.Second, scenarios.VerbLogin, scenarios.VerbDownload, scenarios.VerbUpload)
	t.LagBudget, t.CPUBudget = 5*ms, .7
	return t
}

// TestGeneratorsAreOneLoad: a load on three generators has the arrivals, the figures and the metrics of one process.
func TestGeneratorsAreOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := func(message string) time.Duration { return time.Duration(3+len(message)%10) * ms }
		one := load.Faked(load.NewFake(answer), 90, traffic())
		whole, err := load.Run(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		s := newStage(t, 3, 0, answer)
		defer s.close()
		several := load.Faked(load.NewFake(answer), 90, traffic())
		several.Generators, several.Meter = s.crew, reports.NewMeter("", "")
		several.Progress = func(at, _ time.Duration, now *reports.LoadNow) {
			if at > 1600*ms && now.Achieved != 60 {
				t.Errorf("after %v there are %v arrivals/s, want 60", at, now.Achieved)
			}
		}
		var judged atomic.Int64
		several.Judge = func(so *reports.Load, at time.Duration) load.Status {
			if at > 3*time.Second && so.Arrivals.Due < uint64(60*(at.Seconds()-2)) {
				t.Errorf("after %v %d arrivals were due", at, so.Arrivals.Due)
			}
			if judged.Add(1); so.All.Count() > uint64(60*4*at.Seconds())+4 {
				t.Errorf("after %v there are %d operations", at, so.All.Count())
			}
			return load.Status{}
		}
		m, err := load.Run(t.Context(), several)
		if err != nil {
			t.Fatal(err)
		}
		a, b := whole.Report(one.Traffic), m.Report(several.Traffic)
		if a.Arrivals.Due != 360 || b.Arrivals.Due != 360 || b.Arrivals.OK != 360 || b.Seconds != 6 ||
			judged.Load() < 5 {
			t.Errorf("arrivals %+v, of one process %+v; %v s; judged %d times", b.Arrivals, a.Arrivals, b.Seconds,
				judged.Load())
		}
		for i, o := range a.Operations {
			of := b.Operations[i]
			if of.Name != o.Name || of.OK != o.OK || of.OK != 360 {
				t.Errorf("%s: %d ok, of one process %s: %d", of.Name, of.OK, o.Name, o.OK)
			}
			for _, q := range []float64{50, 95, 99} {
				x, y := of.Response.ValueAtQuantile(q), o.Response.ValueAtQuantile(q)
				if d := time.Duration(x - y).Abs(); d > 250*time.Microsecond+time.Duration(y/500) {
					t.Errorf("%s: p%v is %v, of one process %v", o.Name, q, time.Duration(x), time.Duration(y))
				}
			}
		}
		if c := m.BalanceCheck(several.Traffic, b); c.Verdict != reports.Passed || c.Evaluations < 60 {
			t.Errorf("%+v", c)
		}
		if len(b.Generators) != 3 || b.Generators[2].Name != "c" || b.Generators[0].Arrivals != 120 {
			t.Errorf("generators %+v", b.Generators)
		}
		for i, e := range b.Expected {
			if d := e.Ms - a.Expected[i].Ms; !e.WarmUp || d < -.3 || d > .3 {
				t.Errorf("expected %+v, of one process %+v", e, a.Expected[i])
			}
		}
		if why := m.Overloads(5 * ms); len(why) > 0 {
			t.Errorf("overloads %q", why)
		}
	})
}

// TestGeneratorsSearchAgain: generators carry out one load after the other.
func TestGeneratorsSearchAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 2, 0, quick)
		defer s.close()
		for range 2 {
			c := load.Faked(load.NewFake(quick), 90, traffic())
			c.Generators = s.crew
			if m, err := load.Run(t.Context(), c); err != nil || m.Arrivals.OK != 360 {
				t.Fatal(m, err)
			}
		}
	})
}

// TestLostGenerator: a load of which a generator ends or falls silent allows no conclusion, and ends soon.
func TestLostGenerator(t *testing.T) {
	for name, lose := range map[string]func(*stage){
		"ends":      func(s *stage) { s.fromThem[1].Close() },
		"is silent": func(s *stage) { s.mute[1].Store(true) },
		"a signal":  func(s *stage) { s.signal[1]() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, 3, 0, quick)
				defer s.close()
				c := load.Faked(load.NewFake(quick), 90, traffic())
				c.Traffic.Stages[0].Duration = time.Hour
				c.Generators = s.crew
				began := time.Now()
				time.AfterFunc(10*time.Second, func() { lose(s) })
				_, err := load.Run(t.Context(), c)
				lost, is := errors.AsType[*generators.Lost](err)
				if !is || lost.Name != "b" || time.Since(began) > 25*time.Second {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
			})
		})
	}
}

// TestEndOfGenerators: an interrupt and a threshold end the load of all generators, with all figures until then.
func TestEndOfGenerators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 3, 0, quick)
		defer s.close()
		c := load.Faked(load.NewFake(quick), 90, traffic())
		c.Traffic.Stages[0].Duration = time.Hour
		c.Generators = s.crew
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(11*time.Second, cancel) // 1 s until the begin, 2 s of warm-up
		m, err := load.Run(ctx, c)
		if err != nil || !m.Interrupted || m.Arrivals.Due < 460 || m.Arrivals.Due > 490 {
			t.Fatalf("%+v, %v", m.Arrivals, err)
		}
		if b := m.BalanceCheck(c.Traffic, m.Report(c.Traffic)); b.Verdict != reports.Passed {
			t.Errorf("%+v", b)
		}
		c.Judge = func(_ *reports.Load, at time.Duration) load.Status {
			if at >= 5*time.Second {
				return load.Status{Broken: 1, Abort: "login.p99"}
			}
			return load.Status{}
		}
		m, err = load.Run(t.Context(), c)
		if err != nil || m.Aborted != "login.p99" || m.Length < 5*time.Second || m.Length > 6500*ms ||
			m.Arrivals.OK < 300 || m.Arrivals.OK != m.Arrivals.Started {
			t.Fatalf("%+v, %v, %+v", m, err, m.Arrivals)
		}
	})
}

// TestGeneratorsWithoutAnswer: a warm-up without an answer is the error of one process, and not of a generator.
func TestGeneratorsWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := func(string) time.Duration { return time.Hour }
		s := newStage(t, 2, 0, never)
		defer s.close()
		c := load.Faked(load.NewFake(quick), 90, traffic())
		c.Generators = s.crew
		_, err := load.Run(t.Context(), c)
		if none, is := errors.AsType[*load.NoMedianError](err); !is || none.Operation != "login" {
			t.Error(err)
		}
	})
}

// TestClocksOfGenerators: the error of a clock is half the time of the quickest message there and back, and a load whose
// clocks differ by more than the lag may be is not valid.
func TestClocksOfGenerators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 2, 40*ms, quick)
		defer s.close()
		c := load.Faked(load.NewFake(quick), 90, traffic())
		c.Generators = s.crew
		m, err := load.Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		why := m.Overloads(5 * ms)
		if len(why) != 2 || !strings.Contains(why[0], "the clock of the generator a may differ by ") {
			t.Errorf("%q", why)
		}
		if e := m.Report(c.Traffic).Generators[0].ClockErrorMs; e < 20 || e > 45 {
			t.Errorf("the error of the clock is %v ms, want 20 to 45", e)
		}
		if why := m.Overloads(50 * ms); len(why) > 0 {
			t.Errorf("with a budget of 50 ms: %q", why)
		}
	})
}

// TestOtherBuildIsRefused: a generator of another build takes no part.
func TestOtherBuildIsRefused(t *testing.T) {
	in, out := io.Pipe()
	defer in.Close()
	go func() { _, _ = io.WriteString(out, `{"kind":"hello","build":{"go":"go1","revision":"abd"}}`+"\n") }()
	_, err := generators.Gather(t.Context(), clock.New(), build,
		[]generators.Stream{{Name: "a", In: in, Out: io.Discard}})
	if err == nil || !strings.Contains(err.Error(), "the generator a is of the build (abd, go1)") {
		t.Error(err)
	}
}

// scripted is a generator that sends the lines of its script in a load, and after that only answers to pings. The line
// READY, BEGUN or STOPPED waits for such a message of the coordinator.
func scripted(in io.Reader, out io.Writer, script []string) {
	var mu sync.Mutex
	send := func(line string) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.WriteString(out, line+"\n") // the coordinator has left
	}
	came := map[string]chan bool{"READY": make(chan bool, 9), "BEGUN": make(chan bool, 9), "STOPPED": make(chan bool, 9)}
	go func() {
		send(`{"kind":"hello","build":{"go":"go1","revision":"abc"}}`)
		for _, line := range script {
			if wait := came[line]; wait != nil {
				<-wait
				continue
			}
			send(line)
		}
	}()
	for lines := json.NewDecoder(in); ; {
		var m struct {
			Kind   string
			Number int
		}
		if lines.Decode(&m) != nil {
			for _, wait := range came {
				close(wait)
			}
			return
		}
		switch m.Kind {
		case "ping":
			go send(fmt.Sprintf(`{"kind":"pong","number":%d,"clock":1}`, m.Number))
		case "load":
			came["READY"] <- true
		case "begin":
			came["BEGUN"] <- true
		case "stop":
			came["STOPPED"] <- true
		}
	}
}

// TestFiguresThatCannotBe: a generator whose messages are not possible ends the load with an error, soon, and does not
// stop the messages of the others.
func TestFiguresThatCannotBe(t *testing.T) {
	part := func(kind, fields string) []string {
		return []string{"READY", `{"kind":"ready","number":1}`, "BEGUN",
			`{"kind":"` + kind + `","number":1,"part":{` + fields + `}}`, `{"kind":"pong"}`}
	}
	for name, c := range map[string]struct {
		script []string
		want   string
	}{
		"no JSON":          {[]string{"READY", "{", `{"kind":"pong"}`}, `the generator x\n was lost: reading a message: `},
		"no figures":       {part("sofar", "")[:3], `the generator x\n was lost: its load has not ended within 50s`},
		"null":             {append(part("sofar", "")[:3], `{"kind":"sofar","number":1}`), `the generator x\n was lost: a message had no figures`},
		"a negative count": {part("sofar", `"arrivals":{"due":-1}`), `the generator x\n was lost: reading a message: `},
		"sessions":         {part("sofar", `"in_flight":-1`), `reading the figures of the generator "x\n": -1 sessions in flight`},
		"a length":         {part("done", `"length":9000000000000000000`), `reading the figures of the generator "x\n": a load of `},
		"samples": {part("sofar", `"phases":[{},{"operations":[{"response":[[1000,9000000000000]]}]}]`),
			`reading the figures of the generator "x\n": 9000000000000 samples of operations`},
		"seconds": {part("sofar", `"phases":[{"not_ok":[[0,0,0]`+strings.Repeat(",[0,0,0]", 999)+`]},{}]`),
			`reading the figures of the generator "x\n": figures of 1000 seconds`},
		"processors": {part("sofar", `"has_own":true`), `reading the figures of the generator "x\n": 0 processors`},
		"two lines":  {[]string{"READY", `{"kind":"error","number":1,"text":"a\nb"}`}, `the generator x\n: a\nb`},
		"no reason":  {[]string{"READY", `{"kind":"error","number":1}`}, `the generator x\n: it gave no reason`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fromThem, out := io.Pipe()
				in, toThem := io.Pipe()
				go scripted(in, out, c.script)
				crew, err := generators.Gather(t.Context(), clock.New(), build, []generators.Stream{{Name: "x\n", In: fromThem, Out: toThem}})
				if err != nil {
					t.Fatal(err)
				}
				of := load.Faked(load.NewFake(quick), 90, traffic())
				of.Traffic.Expected = map[string]time.Duration{"connect": ms, "login": ms, "tempid": ms}
				of.Generators, of.Judge = crew, func(*reports.Load, time.Duration) load.Status { return load.Status{} }
				began := time.Now()
				_, err = load.Run(t.Context(), of)
				if err == nil || !strings.HasPrefix(err.Error(), c.want) || time.Since(began) > 2*time.Minute {
					t.Errorf("after %v: %v, want %q", time.Since(began), err, c.want)
				}
				toThem.Close()
				out.Close()
				fromThem.Close()
				in.Close()
				crew.Close()
			})
		})
	}
}

// TestStopThatIsIgnored: the load of a generator that does not end after an interrupt ends all the same.
func TestStopThatIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fromThem, out := io.Pipe()
		in, toThem := io.Pipe()
		go scripted(in, out, []string{"READY", `{"kind":"ready","number":1}`})
		crew, err := generators.Gather(t.Context(), clock.New(), build, []generators.Stream{{Name: "x", In: fromThem, Out: toThem}})
		if err != nil {
			t.Fatal(err)
		}
		c := load.Faked(load.NewFake(quick), 90, traffic())
		c.Traffic.Stages[0].Duration, c.Traffic.Session = time.Hour, []scenarios.Verb{scenarios.VerbLogin}
		c.Traffic.Expected = map[string]time.Duration{"connect": ms, "login": ms}
		c.Generators = crew
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		_, err = load.Run(ctx, c)
		if _, is := errors.AsType[*generators.Lost](err); !is || time.Since(began) > time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		toThem.Close()
		out.Close()
		fromThem.Close()
		in.Close()
		crew.Close()
	})
}

// quicker is a clock that gains a thousandth.
type quicker struct {
	clock.Clock
	from time.Time
}

func (q quicker) Now() time.Time {
	passed := time.Since(q.from)
	return q.from.Add(passed + passed/1000)
}
func (q quicker) Since(t time.Time) time.Duration { return q.Now().Sub(t) }

// TestDriftOfClocks: a clock that gains during the load makes it invalid.
func TestDriftOfClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStageOn(t, quicker{clock.New(), time.Now()}, 2, 0, quick)
		defer s.close()
		c := load.Faked(load.NewFake(quick), 90, traffic())
		c.Generators = s.crew
		m, err := load.Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if e := m.Report(c.Traffic).Generators[0].ClockErrorMs; e < 8 || e > 12 { // in 9 s
			t.Errorf("the error of the clock is %v ms, want 8 to 12", e)
		}
	})
}

// TestWarmUpNeedsTheFiguresOfAll: without the figures of one generator no median is known, and the server is not blamed.
func TestWarmUpNeedsTheFiguresOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, 2, 0, quick)
		defer s.close()
		c := load.Faked(load.NewFake(quick), 90, traffic())
		c.Generators = s.crew
		time.AfterFunc(500*ms, func() { s.mute[1].Store(true) }) // the load begins after a second
		time.AfterFunc(2900*ms, func() { s.mute[1].Store(false) })
		_, err := load.Run(t.Context(), c)
		const want = "figures of 1 of 2 generators had come"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	})
}
