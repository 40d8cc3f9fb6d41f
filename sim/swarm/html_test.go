package swarm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bluetrace/reports"
	"bluetrace/reports/page/pagetest"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

const hostile = "x\x1b[2J\x00\u202e</script></style><script>alert(1)</script>\"'><img src=x onerror=y>\xff"

// htmlOf returns the page of a summary, and its elements by their ids.
func htmlOf(t *testing.T, s *Summary, stories map[string]*Story, folder string) (string, map[string]string) {
	t.Helper()
	var b bytes.Buffer
	if err := s.HTML(&b, stories, folder); err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, n := range pagetest.Elements(t, b.String()) {
		if id := pagetest.Attribute(n, "id"); id != "" {
			if _, twice := sections[id]; twice {
				t.Errorf("the id %s is there twice", id)
			}
			sections[id] = pagetest.Content(n)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" || n.Data == "img" {
				t.Errorf("%s has the attribute %s", n.Data, a.Key)
			}
		}
	}
	if text := b.String(); strings.ContainsAny(text, "\x00\x1b\u202e") || strings.Contains(text, "ZgotmplZ") ||
		strings.Contains(text, "%!") || strings.Contains(text, "://") {
		t.Error("the page has a control character, a refused text or a foreign address")
	}
	return b.String(), sections
}

// hostileSummary returns the summary of 20 runs with two causes, whose texts are hostile.
func hostileSummary(t *testing.T) *Summary {
	t.Helper()
	s := swarmOf(t, Options{Seeds: Range{1, 40}.Seeds(), Jobs: 1, RepeatEvery: 10, Engine: fakeEngine, Situations: true})
	s.WallSeconds, s.Jobs = 2, 2
	s.Invariants = []reports.KindCount{{Kind: "never " + hostile}, {Kind: "often", Count: 1234567}}
	s.Adversaries = []reports.KindCount{{Kind: "forge", Count: 1200}}
	s.Reasons = []string{hostile}
	g := &s.Failures[0]
	g.Repeat, g.Plan.Drawn, g.Check.LastEvents = "sim swarm "+hostile, []string{hostile}, []string{hostile}
	g.Check.Found, g.Drawn = hostile, filepath.Join("out", "drawn-"+strings.ReplaceAll(hostile, "/", "|")+".yaml")
	g.Later = []LaterCause{{hostile, 3}}
	return s
}

// TestPageEqualsTheJSON compares every count of the page with the JSON.
func TestPageEqualsTheJSON(t *testing.T) {
	s := hostileSummary(t)
	text, sections := htmlOf(t, s, nil, "out")
	var document map[string]any
	if err := json.Unmarshal([]byte(jsonOf(t, s)), &document); err != nil {
		t.Fatal(err)
	}
	number := func(v any) string { return reports.FormatCount(uint64(v.(float64))) }
	has := func(section string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(sections[section], want) {
				t.Errorf("%s lacks %q: %s", section, want, sections[section])
			}
		}
	}
	has("runs", "seeds 1-40", "runs "+number(document["runs"]), "repeated "+number(document["twice"]),
		number(document["events"])+" events")
	for _, f := range document["files"].([]any) {
		f := f.(map[string]any)
		has("runs", fmt.Sprintf("%s %s %s", f["file"], number(f["runs"]), number(f["failed"])))
	}
	for _, kind := range []string{"faults", "adversaries"} {
		for _, k := range document[kind].([]any) {
			k := k.(map[string]any)
			has("counts", fmt.Sprintf("%s %s", k["kind"], number(k["count"])))
		}
	}
	never := 0
	for _, m := range document["marks"].([]any) {
		m := m.(map[string]any)
		want := fmt.Sprintf("%s %s %s", m["name"], m["about"], number(m["count"]))
		if m["count"].(float64) == 0 {
			never++
			want = fmt.Sprintf("%s %s never", m["name"], m["about"])
		}
		has("situations", want)
	}
	has("situations", fmt.Sprintf("Situations: %d of %d reached", len(s.Situations)-never, len(s.Situations)))
	has("invariants", "Invariants: 1 of 2 exercised", "onerror=y>\\xff never", "often 1,234,567")
	for i, f := range document["failures"].([]any) {
		f := f.(map[string]any)
		card := fmt.Sprintf("cause-%d-card", i+1)
		var seeds []string
		for _, seed := range f["first_seeds"].([]any) {
			seeds = append(seeds, fmt.Sprint(seed))
		}
		has(card, fmt.Sprintf("runs %s of %s; first: seed %v of %s", number(f["runs"]), number(document["runs"]),
			f["seed"], f["file"]), "first seeds "+strings.Join(seeds, ", "))
	}
	has("cause-1-card", "found x\\x1b[2J", "first seeds 5, 10, 15, 20, 25", "Files: drawn-x", "Draws of seed 5 (1)",
		"Later failures of these runs (1)", "Last events of seed 5")
	if !strings.Contains(text, "failed: 12 of 40 runs failed, of 2 causes; x\\x1b") {
		t.Error("the page lacks the verdict")
	}
}

func TestPageOfAnEmptySwarm(t *testing.T) {
	s := NewSummary()
	s.Verdict = reports.NotRun
	text, sections := htmlOf(t, s, nil, "")
	if !strings.Contains(text, "not run: no seed was run") || sections["causes"] != "" {
		t.Errorf("the page is %s", text)
	}
}

// storyOf returns the story of a scenario in which a beacon is lost.
func storyOf(t *testing.T, name string) *Story {
	t.Helper()
	text := fmt.Sprintf(`name: lossy
phones: [{name: %q, beacon: single}, {name: ben}]
faults: [{lose: 100%%, at: 10s, for: 1s}]
script:
  - {at: 1s, phone: %[1]q, login: right}
  - {at: 2s, phone: %[1]q, do: Download_tempID}
  - {at: 10s, phone: %[1]q, do: Beacon, to: ben}
  - {at: 11s, phone: ben, expect: {log: 1}}
length: 20s
`, name)
	s, err := scenarios.Parse("found.yaml", []byte(text), scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := sim.Run(t.Context(), s, sim.Options{Scene: true})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(r.Run.Checks, func(c reports.Check) bool { return c.Verdict == reports.Failed })
	if i < 0 {
		t.Fatalf("the run has no failure: %+v", r.Run.Checks)
	}
	return &Story{Shrunk: &Shrunk{File: []byte(text), Run: &r.Run, Check: &r.Run.Checks[i]}, Repeat: "sim run found.yaml"}
}

// TestPageHasTheStoryOfACause: the small scenario, its diagram and the command that runs it.
func TestPageHasTheStoryOfACause(t *testing.T) {
	s := hostileSummary(t)
	s.Failures[0].Shrunk = filepath.Join("out", "found.yaml")
	story := storyOf(t, "anna")
	story.Diagram = filepath.Join("out", "found.md")
	text, sections := htmlOf(t, s, map[string]*Story{s.Failures[0].Cause: story}, "out/")
	card := sections["cause-1-card"]
	for _, want := range []string{"run it sim run found.yaml", "name: lossy", "failure at", "anna -> ben: datagram 1",
		"8 ✗ failed - {at: 11s, phone: ben", "Contact logs at", "found.yaml , found.md"} {
		if !strings.Contains(card, want) {
			t.Errorf("the first cause lacks %q: %s", want, card)
		}
	}
	if strings.Count(text, `class="ev message lost"`) != 1 || !strings.Contains(text, `<a href="./found.yaml">`) ||
		sections["cause-1-line-8"] == "" || strings.Contains(card, "Last events") {
		t.Error("the page has no lost message, no link or no lines of the scenario")
	}
}

// TestStoriesAreBounded: the page of a swarm with many causes has the diagrams of the first ones.
func TestStoriesAreBounded(t *testing.T) {
	s, stories := hostileSummary(t), map[string]*Story{}
	story := storyOf(t, "anna")
	for i := range 2 * MaxStories {
		g := s.Failures[0]
		g.Cause = fmt.Sprintf("cause %d", i)
		s.Failures, stories[g.Cause] = append(s.Failures, g), story
	}
	text, _ := htmlOf(t, s, stories, "out")
	if n := strings.Count(text, `<svg class="scene"`); n < MaxStories-2 || n > MaxStories || len(text) > 3_000_000 {
		t.Errorf("%d diagrams, %d bytes", n, len(text))
	}
}

func TestMarkdownOfAStory(t *testing.T) {
	got := string(storyOf(t, "anna").Markdown("liveness: `x` @someone " + hostile))
	for _, want := range []string{
		"# sim swarm: `liveness: 'x' @someone x\\x1b[2J", "- step: `at: 11s, phone: ben",
		"- expected: `", "\n```sh\nsim run found.yaml\n```\n\n```mermaid\n%%{init: {\"sequence\": {\"wrap\": true}}}%%\nsequenceDiagram\n    participant p0 as anna\n",
		"    p0-xp1: 10.000000000 s datagram 1 lost\n", "Note over p0,p2: failure",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if !IsGenerated([]byte(got)) || strings.Contains(got, "\n<") {
		t.Error("the next swarm would not replace it")
	}
	if (&Story{Shrunk: &Shrunk{}}).Markdown("x") != nil {
		t.Error("there is a document without a run")
	}
}
