package browser

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// run is the part of the JSON form of a run that the page shows.
type run struct {
	Scenario, Verdict, Digest string
	Seed                      uint64
	Checks                    []struct {
		Kind, Name, Verdict string
	}
	Operations []struct {
		Name  string
		Count uint64
		Delay map[string]float64 `json:"delay_ms"`
	}
	counts map[string]any // the other fields
}

// TestClassroom: the page of a long run.
func TestClassroom(t *testing.T) {
	t.Parallel()
	folder := simulate(t, "scenarios/classroom.yaml")
	b := open(t, "file://"+folder+"/classroom.html")
	b.equals(readJSON(t, folder, "classroom"))
	b.accessible()
	b.reachable()
}

// TestFailure: from the page of `blocking` with a block that is a second short one sees why it fails.
func TestFailure(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../scenarios/blocking.yaml")
	if err != nil {
		t.Fatal(err)
	}
	short := strings.Replace(string(text), "blocked + 60s, phone: owner", "blocked + 59s, phone: owner", 1)
	folder := simulate(t, scenario(t, "blocking", short))
	b := open(t, "file://"+folder+"/blocking.html")
	b.equals(readJSON(t, folder, "blocking"))
	problem := value[string](b, "document.querySelector('.problem').innerText")
	for _, want := range []string{"line 39", "Welcome to the BlueTrace Simulator!", "Your account is blocked"} {
		if !strings.Contains(problem, want) {
			t.Errorf("the head of the page has no %q: %q", want, problem)
		}
	}

	const seen = `(e => e && e.getBoundingClientRect().top < innerHeight && e.getBoundingClientRect().bottom > 0)`
	failures := value[int](b, "document.querySelectorAll('.failure[id]').length")
	if failures != 2 {
		t.Errorf("%d failures", failures)
	}
	b.is("!" + seen + "(document.querySelector('#failure-0 .message'))")
	b.click(".next button:last-child")
	b.is("document.activeElement.id === 'failure-0'")
	b.is(seen + "(document.querySelector('#failure-0'))")
	b.is("document.querySelectorAll('#failure-0 svg .message path').length > 4")
	b.is("getComputedStyle(document.querySelector('#failure-0 .band')).opacity === '1'")
	b.do(chromedp.KeyEvent("n"))
	b.is("document.activeElement.id === 'failure-1'")
	b.do(chromedp.KeyEvent("p"))
	b.is("document.activeElement.id === 'failure-0'")
	b.click("#failure-0 .meta a")
	b.is(seen + "(document.querySelector('#line-39')) && location.hash === '#line-39'")

	width := func() int {
		return value[int](b, "document.querySelector('#failure-0 svg').getBoundingClientRect().width|0")
	}
	original := width()
	b.click("#failure-0 .tools button:nth-of-type(1)")
	if larger := width(); larger <= original {
		t.Errorf("zoom: %d pixels of %d", larger, original)
	}
	b.run("document.querySelector('#failure-0 .scroll').focus()")
	b.do(chromedp.KeyEvent("0"))
	if again := width(); again != original {
		t.Errorf("original size: %d pixels of %d", again, original)
	}

	const shown = "Array.from(document.querySelectorAll('#failure-0 [data-k]')).filter(e => !e.classList.contains('off')).length"
	all := value[int](b, shown)
	for i := range value[int](b, "document.querySelectorAll('#failure-0 .tools input').length") {
		box := fmt.Sprintf("document.querySelectorAll('#failure-0 .tools input')[%d].click()", i)
		b.run(box)
		left := value[int](b, shown)
		b.run(box)
		if again := value[int](b, shown); left >= all || again != all {
			t.Errorf("filter %d: %d of %d are shown, then %d", i, left, all, again)
		}
	}
	b.accessible()
	b.reachable()
}

// TestEmptyRun: the page of a run in which nothing happens.
func TestEmptyRun(t *testing.T) {
	t.Parallel()
	folder := simulate(t, scenario(t, "empty", "name: empty\nphones: [{name: a}]\nlength: 1s\ninvariants: true\n"))
	b := open(t, "file://"+folder+"/empty.html")
	b.equals(readJSON(t, folder, "empty"))
	b.accessible()
	b.reachable()
}

// hostile is a scenario with unsafe text wherever a text is allowed.
const hostile = `name: hostile
about: "</style><script>alert(1)</script> \u2028\u202e\u0007 {{.}} ]]>"
phones: [{name: a}, {name: b}]
length: 20s
script: # </script><img src=x onerror=alert(1)>
  - {at: 1s, phone: a, login: right, as: moment, expect: {reply: "</script><script>alert(2)</script>\u202e"}}
`

// TestHostileTexts: no text of a scenario becomes a part of the page.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	folder := simulate(t, scenario(t, "hostile", hostile))
	pages, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	opened := 0
	for _, page := range pages {
		if !strings.HasSuffix(page.Name(), ".html") {
			continue
		}
		opened++
		b := open(t, "file://"+folder+"/"+page.Name())
		b.is("document.querySelectorAll('script').length === " + strconv.Itoa(1-strings.Count(page.Name(), "index")))
		b.is("document.images.length === 0")
		b.is(`!/[\u0000-\u0008\u202e\u2028]/.test(document.documentElement.outerHTML)`)
		if page.Name() == "hostile.html" {
			b.is("document.body.innerText.includes('</script>')")
		}
		b.accessible()
	}
	if opened != 2 {
		t.Errorf("%d pages", opened)
	}
}

// TestIndex: the page over all runs leads to each of them.
func TestIndex(t *testing.T) {
	t.Parallel()
	folder := simulate(t, "scenarios/blocking.yaml", "scenarios/expiry.yaml")
	b := open(t, "file://"+folder+"/index.html")
	b.allowed = "file://" + folder + "/"
	b.accessible()
	b.reachable()
	b.is("document.querySelectorAll('#runs tbody tr').length === 2")
	b.click("#runs tbody a")
	b.await("document.querySelector('#checks')")
	b.is("document.querySelector('h1').innerText === 'blocking'")
}

// TestLoad: the page of a load.
func TestLoad(t *testing.T) {
	t.Parallel()
	folder := simulate(t, scenario(t, "steady", strings.Replace(steadyLoad, "10s", "2s", 1)))
	b := open(t, "file://"+folder+"/steady.html")
	b.head(readJSON(t, folder, "steady"))
	b.accessible()
	b.reachable()
}

// TestSwarm: the page of a swarm.
func TestSwarm(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	c := exec.Command(os.Getenv("BROWSER_SIM"), "swarm", "--seeds", "1-4", "--out", folder, "scenarios/blocking.yaml")
	c.Dir = "../.."
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b := open(t, "file://"+folder+"/swarm.html")
	b.accessible()
	b.reachable()
}

// TestComparison: the page of a comparison of loads, and of runs in virtual time.
func TestComparison(t *testing.T) {
	t.Parallel()
	load := scenario(t, "steady", strings.Replace(steadyLoad, "10s", "8s", 1))
	before := simulate(t, "--seed", "1", load, "scenarios/classroom.yaml")
	after := simulate(t, "--seed", "2", load, "scenarios/classroom.yaml")
	folder := t.TempDir()
	c := exec.Command(os.Getenv("BROWSER_SIM"), "compare", "--budget", "response_time:p50=+10%", "--out", folder, before,
		after)
	c.Dir = "../.."
	if out, err := c.CombinedOutput(); err != nil && c.ProcessState.ExitCode() != 99 {
		t.Fatalf("%v: %s", err, out)
	}
	b := open(t, "file://"+folder+"/compare.html")
	b.is("document.querySelectorAll('#loads [aria-label=Times] tbody tr').length >= 8")
	b.is("document.querySelectorAll('#loads svg.intervals').length > 8")
	b.is("document.querySelector('[aria-label=Budgets] tbody th').innerText === 'response_time:p50=+10%'")
	b.is("document.querySelector('[aria-label=Differences] tbody tr')")
	b.accessible()
	b.reachable()
}

// head checks that the verdict and the numbers of checks at the head of the page are those of the JSON form.
func (b *tab) head(r run) {
	b.Helper()
	if title := value[string](b, "document.title"); !strings.HasPrefix(title, r.Verdict) {
		b.Errorf("the title is %q, the verdict %s", title, r.Verdict)
	}
	verdicts := map[string]int{}
	for _, c := range r.Checks {
		verdicts[c.Verdict]++
	}
	heads := value[map[string]int](b, `Object.fromEntries(Array.from(document.querySelectorAll('.count'),
		e => [e.lastElementChild.lastChild.textContent.trim(), Number(e.querySelector('strong').textContent)]))`)
	if fmt.Sprint(heads) != fmt.Sprint(verdicts) {
		b.Errorf("the page counts %v checks, the JSON form has %v", heads, verdicts)
	}
}

// equals checks that the figures of the page are those of the JSON form.
func (b *tab) equals(r run) {
	b.Helper()
	b.head(r)
	content := value[string](b, "document.body.textContent.replace(/\\s+/g, ' ')")
	for _, want := range []string{r.Digest, strconv.FormatUint(r.Seed, 10)} {
		if !strings.Contains(content, want) {
			b.Errorf("the page has no %s", want)
		}
	}
	rows := value[int](b, "document.querySelectorAll('#checks tbody tr').length")
	if rows != len(r.Checks) {
		b.Errorf("%d rows of checks, want %d", rows, len(r.Checks))
	}
	b.equalDelays(r)
	b.equalCounts(r)
}

// equalDelays compares the table of delays.
func (b *tab) equalDelays(r run) {
	b.Helper()
	cells := value[map[string][]string](b, `Object.fromEntries(Array.from(document.querySelectorAll('#delays tbody tr'),
		e => [e.querySelector('th').innerText, Array.from(e.querySelectorAll('td'), d => d.innerText.replaceAll(',', ''))]))`)
	for _, o := range r.Operations {
		of := cells[o.Name]
		if o.Count == 0 && of == nil {
			continue
		}
		want := []float64{float64(o.Count)}
		for _, name := range []string{"min", "mean", "p50", "p90", "p95", "p99", "max"} {
			want = append(want, o.Delay[name])
		}
		if len(of) != len(want) {
			b.Errorf("%s: delays %v, want %v", o.Name, of, want)
			continue
		}
		for i, text := range of {
			if got, err := strconv.ParseFloat(text, 64); err != nil || got < want[i]*0.994 || got > want[i]*1.006 {
				b.Errorf("%s: delays %v, want %v", o.Name, of, want)
			}
		}
	}
}

// equalCounts compares the numbers of each group of counts.
func (b *tab) equalCounts(r run) {
	b.Helper()
	groups := value[map[string]string](b, `Object.fromEntries(Array.from(document.querySelectorAll('#counts dl > div'),
		e => [e.querySelector('dt').innerText, Array.from(e.querySelectorAll('strong'), n => n.innerText.replaceAll(',', ''))
			.sort().join(' ')]))`)
	compared := 0
	for group, of := range r.counts {
		numbers, _ := of.(map[string]any)
		var want []string
		for _, n := range numbers {
			if number, ok := n.(float64); ok {
				want = append(want, strconv.FormatFloat(number, 'f', -1, 64))
			}
		}
		slices.Sort(want)
		if got, ok := groups[group]; ok {
			if compared++; got != strings.Join(want, " ") {
				b.Errorf("counts of %s: %s, want %v", group, got, want)
			}
		}
	}
	if compared < 5 {
		b.Errorf("only %d groups of counts were compared: %v", compared, groups)
	}
}
