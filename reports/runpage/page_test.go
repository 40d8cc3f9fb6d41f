package runpage

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/net/html"

	"bluetrace/reports"
	"bluetrace/reports/counts"
	"bluetrace/reports/page"
	"bluetrace/reports/page/pagetest"
)

// hostile is text that is unsafe in HTML, in a script and on a screen.
const hostile = "x\x1b[2J\x00\u202e</script></style><script>alert(1)</script>\"'><img src=x onerror=y>\xff"

const source = "name: lossy\nscript:\n  - {phone: anna, do: Beacon}\n  - {phone: ben}\nexpect:\n  - beacons.valid > 5\n"

// sample returns a failed run. A beacon of anna is lost, a login of anna is answered in two reads, and ben is down.
func sample() *reports.Run {
	at, late := 12.5, 30.0
	h := hdrhistogram.New(1, 3_600_000_000_000, 3)
	for i := range 1500 {
		_ = h.RecordValue(int64(i) * 12_345)
	}
	event := func(
		at time.Duration, k reports.EventKind, node, peer string, n uint64, text, data string,
	) reports.SceneEvent {
		return reports.SceneEvent{At: at, Kind: k, Node: node, Peer: peer, Number: n, Bytes: data, Text: text}
	}
	ms := time.Millisecond
	events := []reports.SceneEvent{
		event(12_000*ms, reports.BytesSent, "anna", "server", 7, `anna -> server: c7 "a"`, "name1"),
		event(12_010*ms, reports.BytesCame, "server", "anna", 7, `server: reads "nam"`, "nam"),
		event(12_011*ms, reports.BytesCame, "server", "anna", 7, `server: reads "e1"`, "e1"),
		event(12_100*ms, reports.DatagramSent, "anna", "ben", 1, "anna -> ben: datagram 1", ""),
		event(12_100*ms+1, reports.DatagramLost, "anna", "ben", 2, "anna -> ben: datagram 2, lost", ""),
		event(12_103*ms, reports.DatagramCame, "ben", "anna", 1, "ben <- anna: datagram 1", ""),
		event(12_104*ms, reports.InvalidMark, "ben", "anna", 0, "ben: beacon of anna is invalid", ""),
		event(12_105*ms, reports.PrintMark, "ben", "", 0, "ben: prints "+hostile, ""),
		event(12_600*ms, reports.StatusMark, "ben", "", 0, "ben: is killed", ""),
	}
	return &reports.Run{
		Scenario: "lossy " + hostile, File: "a:b/" + hostile + ".yaml", About: hostile, World: reports.Virtual,
		Seed:   42,
		Digest: "00c0ffee00c0ffee", Verdict: reports.Failed, Repeat: "sim run " + hostile, VirtualSeconds: 40,
		Events: 1234567, Phones: 2, Notes: []string{hostile},
		Counts: counts.Counts{
			Beacons:   counts.Beacons{Sent: 14100, Valid: 13999, Invalid: 1, Kept: 13998, Expired: 13001},
			Datagrams: counts.Datagrams{Sent: 56400, Lost: 598},
		},
		Faults:     []reports.KindCount{{Kind: "lose", Count: 598}},
		Operations: []reports.Operation{{Name: "beacon", Histogram: h}, {Name: "login"}},
		Checks: []reports.Check{
			{Kind: reports.ExpectationCheck, Name: "beacons.valid > 5", Place: "a:b/x.yaml:6:5",
				Verdict: reports.Failed, Expected: "beacons.valid > 5", Found: "beacons.valid is 1"},
			{Kind: reports.InvariantCheck, Name: "a block lasts", Verdict: reports.Failed, Evaluations: 1234,
				Found: hostile, AtSeconds: &late, LastEvents: []string{hostile}},
			{Kind: reports.ExpectationCheck, Name: "phone: anna, expect: {log: 1} " + hostile, Place: "a:b/x.yaml:3:9",
				Verdict: reports.Failed, Evaluations: 1, Expected: "valid " + hostile, Found: "invalid", AtSeconds: &at},
			{Kind: reports.ExpectationCheck, Name: "step", Place: "a:b/x.yaml:4:5", Verdict: reports.Unknown},
			{Kind: reports.InvariantCheck, Name: "kept", Verdict: reports.Passed, Evaluations: 56789},
			{Kind: reports.InvariantCheck, Name: "never", Verdict: reports.Passed},
		},
		Scene: &reports.Scene{
			Source: source + "# " + hostile, Start: time.Unix(0, 0).UTC(), Recorded: 10_000,
			MoreMoments: 3, MoreBands: 1,
			Build: reports.Build{Go: "go1", Revision: "abc"},
			Samples: []reports.Sample{{At: 0}, {At: 20 * time.Second, Faults: 1, Counts: counts.Counts{
				Beacons: counts.Beacons{Sent: 100, Valid: 90}}}, {At: 40 * time.Second, Counts: counts.Counts{
				Beacons: counts.Beacons{Sent: 14100, Valid: 13999, Invalid: 1}}}},
			Bands: []reports.Band{{Kind: reports.FaultBand, From: 0, To: 20 * time.Second, Text: hostile},
				{Kind: reports.DownBand, From: 12_600 * ms, To: 13 * time.Second, Node: "ben", Text: "ben is down"}},
			Moments: []reports.Moment{{At: 11 * time.Second, Of: hostile, Events: events[:3]},
				{At: 12_500 * ms, Of: "a:b/x.yaml:3:9", Failed: true, Events: events, Contacts: &reports.Contacts{
					At: 12_500 * ms, Phones: []string{"anna", "ben", hostile}, All: 3,
					Heard: []reports.Contact{{From: 0, To: 1, Entries: 7}, {From: 2, To: 1, Entries: 1}}}}},
			Contacts: &reports.Contacts{At: 40 * time.Second, Phones: []string{"anna", "ben"}, All: 1234, Unknown: 5},
		},
	}
}

func written(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func pageOf(t *testing.T, r *reports.Run) (string, []*html.Node) {
	t.Helper()
	text := written(t, func(w io.Writer) error { return Write(w, r) })
	return text, pagetest.Elements(t, text)
}

// withClass returns the elements that have all words of classes.
func withClass(list []*html.Node, classes string) (found []*html.Node) {
	for _, n := range list {
		have := strings.Fields(pagetest.Attribute(n, "class"))
		if !slices.ContainsFunc(strings.Fields(classes), func(c string) bool { return !slices.Contains(have, c) }) {
			found = append(found, n)
		}
	}
	return found
}

// elements are all names of elements that pages may have: none loads anything.
var elements = strings.Fields("html head meta title style script body a header div h1 h2 h3 span p nav ul li strong " +
	"main section article dl dt dd code pre details summary table thead tbody tr th td br figure figcaption " +
	"svg g path circle line rect text")

func TestPagesLoadNothingAndRunOnlyTheirOwnScript(t *testing.T) {
	empty := &reports.Run{Scene: &reports.Scene{}}
	for name, r := range map[string]*reports.Run{"failed": sample(), "empty": empty, "load": loaded(t),
		"search":     searched(t),
		"empty load": {Load: &reports.Load{}}} {
		t.Run(name, func(t *testing.T) {
			text, list := pageOf(t, r)
			var scripts, styles []string
			ids := map[string]bool{}
			for _, n := range list {
				if !slices.Contains(elements, n.Data) {
					t.Errorf("the page has the element %s", n.Data)
				}
				switch n.Data {
				case "script":
					scripts = append(scripts, n.FirstChild.Data)
				case "style":
					styles = append(styles, n.FirstChild.Data)
				}
				for _, a := range n.Attr {
					if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" {
						t.Errorf("%s has the attribute %s", n.Data, a.Key)
					}
				}
				if id := pagetest.Attribute(n, "id"); id != "" && ids[id] {
					t.Errorf("the id %s is there twice", id)
				} else {
					ids[id] = true
				}
			}
			for _, n := range list {
				if target, ok := strings.CutPrefix(pagetest.Attribute(n, "href"), "#"); ok && !ids[target] {
					t.Errorf("a link leads to #%s, which does not exist", target)
				}
			}
			if r.Load == nil && (len(scripts) != 1 || scripts[0] != script) || r.Load != nil && len(scripts) > 0 ||
				len(styles) != 1 {
				t.Fatalf("%d scripts, %d styles, or the script was changed", len(scripts), len(styles))
			}
			hash := func(text string) string {
				sum := sha256.Sum256([]byte(text))
				return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
			}
			want := "default-src 'none'; style-src " + hash(styles[0])
			if len(scripts) > 0 {
				want += "; script-src " + hash(scripts[0])
			}
			want += "; base-uri 'none'; form-action 'none'"
			if got := pagetest.Attribute(list[3], "content"); got != want {
				t.Errorf("the policy is %q, want %q", got, want)
			}
			if strings.ContainsAny(text, "\x00\x1b\u202e") || strings.Contains(text, "ZgotmplZ") ||
				strings.Contains(text, "%!") || strings.Contains(text, "://") {
				t.Error("the page has a control character, a refused text or a foreign address")
			}
		})
	}
}

func TestFailuresAreFirstWithTheirLines(t *testing.T) {
	_, list := pageOf(t, sample())
	var titles []string
	cards := withClass(list, "failure card")
	for _, card := range cards {
		title, _, _ := strings.Cut(pagetest.Content(card), " line")
		titles = append(titles, title)
	}
	if len(titles) != 3 || titles[0] != "expectation at" || !strings.HasPrefix(titles[1], "a block lasts") {
		t.Errorf("the failures are %q", titles)
	}
	for _, want := range []string{"line 3 phone: anna, expect: {log: 1}", "found invalid", "at 12.5 s"} {
		if !strings.Contains(pagetest.Content(cards[0]), want) {
			t.Errorf("the first failure lacks %q:\n%s", want, pagetest.Content(cards[0]))
		}
	}
	if got := pagetest.Content(withClass(list, "problem")[0]); !strings.HasPrefix(got, "First failure: expectation at line 3; "+
		"expected valid x") {
		t.Errorf("the page begins %q", got)
	}
	var sections []string
	for _, n := range list {
		if n.Data == "h2" {
			sections = append(sections, pagetest.Content(n))
		}
	}
	if sections[0] != "Failures" {
		t.Errorf("the sections are %q", sections)
	}
}

func TestDiagramHasMessagesAndLosses(t *testing.T) {
	_, list := pageOf(t, sample())
	figure := list[slices.Index(list, withClass(list, "failure card")[0]):]
	figure = figure[slices.IndexFunc(figure, func(n *html.Node) bool { return n.Data == "svg" }):]
	end := slices.IndexFunc(figure, func(n *html.Node) bool { return n.Data == "details" })
	figure = figure[:end]
	var lanes, titles []string
	for _, n := range withClass(figure, "lane") {
		lanes = append(lanes, pagetest.Attribute(n, "data-name"))
	}
	if want := []string{"anna", "ben", "server"}; !slices.Equal(lanes, want) {
		t.Errorf("the lanes are %q, want %q", lanes, want)
	}
	for _, n := range withClass(figure, "ev message") {
		titles = append(titles, pagetest.Content(n))
	}
	for i, want := range []string{
		`12.000000000 s to 12.010000000 s, after 10ms anna -> server: c7 "a" "name1"`,
		`12.000000000 s to 12.011000000 s, after 11ms anna -> server: c7 "a" "name1"`,
		"12.100000001 s anna -> ben: datagram 2, lost #2",
		"12.100000000 s to 12.103000000 s, after 3ms anna -> ben: datagram 1 #1",
	} {
		if i >= len(titles) || titles[i] != want {
			t.Errorf("message %d is not %q in\n%s", i, want, strings.Join(titles, "\n"))
		}
	}
	if lost := withClass(figure, "ev message lost"); len(lost) != 1 || len(withClass(figure, "cross")) != 1 {
		t.Errorf("%d messages are lost, want one with a cross", len(lost))
	}
	if n := len(withClass(figure, "head")); n != 3 {
		t.Errorf("%d arrows have a head, want 3", n)
	}
	for _, class := range []string{"mark invalid", "mark print", "mark status", "band down", "band fault"} {
		if len(withClass(figure, class)) != 1 {
			t.Errorf("the diagram has not one %s", class)
		}
	}
}

func TestUnmatchedMessagesAreOpen(t *testing.T) {
	m := &reports.Moment{Events: []reports.SceneEvent{
		{At: 1, Kind: reports.DatagramCame, Node: "b", Peer: "a", Number: 1},
		{At: 2, Kind: reports.DatagramSent, Node: "a", Peer: "b", Number: 2},
		{At: 3, Kind: reports.BytesSent, Node: "a", Peer: "b", Number: 2, Bytes: "x"},
		{At: 4, Kind: reports.BytesCame, Node: "b", Peer: "a", Number: 2, Bytes: "translated"},
	}}
	got := string(Draw(m, nil).SVG)
	if n := strings.Count(got, "message open"); n != 2 || strings.Count(got, `class="ev message"`) != 1 {
		t.Errorf("%d open messages, want 2 and a whole one:\n%s", n, got)
	}
	for _, want := range []string{"sending not shown", "receipt not shown", "after 1ns"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestNodesWithoutALaneAreCounted(t *testing.T) {
	m := &reports.Moment{}
	for i := range 2 * maxLanes {
		m.Events = append(m.Events, reports.SceneEvent{At: time.Duration(i), Kind: reports.PrintMark,
			Node: strconv.Itoa(i), Text: "prints"})
	}
	if d := Draw(m, nil); d.LeftOut != maxLanes || len(d.Rows) != 2*maxLanes {
		t.Errorf("%d events have no lane, %d rows", d.LeftOut, len(d.Rows))
	}
}

func TestLinesOfTheScenarioHaveVerdicts(t *testing.T) {
	_, list := pageOf(t, sample())
	got := map[string]string{}
	for _, n := range list {
		if id := pagetest.Attribute(n, "id"); n.Data == "tr" && strings.HasPrefix(id, "line-") {
			got[id] = pagetest.Content(n)
		}
	}
	for id, want := range map[string]string{
		"line-1": "1 name: lossy", "line-3": "3 ✗ failed - {phone: anna, do: Beacon}",
		"line-4": "4 ~ not reached - {phone: ben}", "line-6": "6 ✗ failed - beacons.valid > 5",
	} {
		if got[id] != want {
			t.Errorf("%s is %q, want %q", id, got[id], want)
		}
	}
}

// TestFiguresEqualTheJSON compares the counts, the delays and the evaluations of the page with the JSON of the run.
func TestFiguresEqualTheJSON(t *testing.T) {
	r := sample()
	_, list := pageOf(t, r)
	var document map[string]any
	if err := json.Unmarshal([]byte(written(t, func(w io.Writer) error {
		return reports.JSON(w, []*reports.Run{r})
	})), &document); err != nil {
		t.Fatal(err)
	}
	section := func(id string) string {
		return pagetest.Content(list[slices.IndexFunc(list, func(n *html.Node) bool { return pagetest.Attribute(n, "id") == id })])
	}
	shown := section("counts")
	for _, row := range counts.Rows() {
		group := document[row.Group()].(map[string]any)
		_, field, _ := strings.Cut(row.Name, ".")
		want := row.Column() + " " + reports.FormatCount(uint64(group[field].(float64)))
		if !strings.Contains(shown, want) {
			t.Errorf("the counts lack %q: %s", want, shown)
		}
	}
	operation := document["operations"].([]any)[0].(map[string]any)
	want := "beacon " + reports.FormatCount(uint64(operation["count"].(float64)))
	delays := operation["delay_ms"].(map[string]any)
	for _, name := range strings.Fields("min mean p50 p90 p95 p99 max") {
		want += " " + reports.FormatDigits(delays[name].(float64))
	}
	want += " beacon: 1,500 samples p50 " + reports.FormatDigits(delays["p50"].(float64)) + " ms"
	if got := section("delays"); !strings.Contains(got, want) {
		t.Errorf("the delays are %q, want %q", got, want)
	}
	checks := section("checks")
	for _, c := range document["checks"].([]any) {
		c := c.(map[string]any)
		if want := c["name"].(string); c["kind"] == "invariant" &&
			!strings.Contains(checks, want+" "+reports.FormatCount(uint64(c["times"].(float64)))) {
			t.Errorf("the checks lack %q: %s", want, checks)
		}
	}
	for _, want := range []string{"seed 42", "digest 00c0ffee00c0ffee", "build abc, go1", "12 of 10,000 are shown",
		"without their events: 3.", "no diagram shows: 1.", "repeat sim run x"} {
		if got := section("run"); !strings.Contains(got, want) {
			t.Errorf("the facts lack %q: %s", want, got)
		}
	}
}

func TestChartsHaveTheValuesOfTheSamples(t *testing.T) {
	list, empty := charts(sample().Scene)
	if len(list) != 2 || len(empty) != 3 || list[0].Title != "Beacons and lost datagrams, per 20s" {
		t.Fatalf("%d charts, without %q", len(list), empty)
	}
	for _, want := range []string{"0s to 20s\nbeacons sent 100\nvalid 90<",
		"20s to 40s\nbeacons sent 14,000\nvalid 13,909\ninvalid 1<"} {
		if drawn := string(list[0].Inline()); !strings.Contains(drawn, want) {
			t.Errorf("no %q in\n%s", want, drawn)
		}
	}
}

func TestIndexHasVerdictsAndLinks(t *testing.T) {
	failed := sample()
	failed.Page = "lossy-2.html"
	text := written(t, func(w io.Writer) error {
		return WriteIndex(w, []*reports.Run{failed, {Scenario: hostile, Verdict: reports.NotRun,
			Error: "a.yaml:1: " + hostile + "\na.yaml:4: second"},
			{Scenario: "held", Verdict: reports.Passed, VirtualSeconds: 2700, WallSeconds: 0.05, Page: "held.html"}},
			[]page.Fact{{Name: "skipped (manual)", Text: "big.yaml" + hostile}})
	})
	var rows, links []string
	for _, n := range pagetest.Elements(t, text) {
		switch n.Data {
		case "tr":
			rows = append(rows, pagetest.Content(n))
		case "a":
			links = append(links, pagetest.Attribute(n, "href"))
		case "script", "img":
			t.Errorf("the page has the element %s", n.Data)
		}
	}
	result, first, _ := strings.Cut(rows[1], " First failure: ")
	if !strings.HasPrefix(result, "✗ failed lossy x") ||
		!strings.HasSuffix(result, "3 of 6 checks failed, 1 undecided, 1 not exercised") ||
		!strings.HasPrefix(first, "expectation at line 3; expected valid x") || len([]rune(first)) > maxProblem ||
		!strings.HasSuffix(first, " 40.000 s 0.000 s") ||
		rows[3] != "✓ passed held 0 checks held 45m0s 0.050 s" {
		t.Errorf("the rows are %q", rows)
	}
	if !strings.Contains(text, "<div>a.yaml:4: second</div>") {
		t.Error("the second mistake of a file has no line of its own")
	}
	if want := "skipped (manual)</dt><dd>big.yaml"; !strings.Contains(text, want) {
		t.Errorf("the page lacks %q", want)
	}
	if !slices.Contains(links, "./lossy-2.html") || !slices.Contains(links, "./held.html") {
		t.Errorf("the links are %q", links)
	}
	if strings.ContainsAny(text, "\x1b\u202e") {
		t.Error("the page has a control character")
	}
}
