package marks

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"bluetrace/reports/page/pagetest"
)

// first returns the first element with a name.
func first(t *testing.T, list []*html.Node, name string) *html.Node {
	t.Helper()
	i := slices.IndexFunc(list, func(n *html.Node) bool { return n.Data == name })
	if i < 0 {
		t.Fatalf("no element %s", name)
	}
	return list[i]
}

// pages returns every sample page.
func pages(t *testing.T) map[string]string {
	list := map[string]string{
		"class":       written(t, func(w io.Writer) error { return WriteMatrix(w, sampleClass()) }),
		"empty class": written(t, func(w io.Writer) error { return WriteMatrix(w, &Class{}) }),
	}
	for _, s := range sheets() {
		list[s.Submission] = written(t, func(w io.Writer) error { return WriteHTML(w, s) })
	}
	return list
}

// elements are all names of elements that pages may have: none of them loads or runs anything.
var elements = strings.Fields("html head meta title style body a header div h1 h2 h3 h4 span p nav ul li strong main " +
	"section article dl dt dd code details summary table thead tbody tfoot tr th td br")

func TestPagesLoadAndRunNothing(t *testing.T) {
	for name, text := range pages(t) {
		t.Run(name, func(t *testing.T) {
			list := pagetest.Elements(t, text)
			for _, n := range list {
				if !slices.Contains(elements, n.Data) {
					t.Errorf("the page has the element %s", n.Data)
				}
				for _, a := range n.Attr {
					if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" {
						t.Errorf("%s has the attribute %s", n.Data, a.Key)
					}
				}
			}
			sum := sha256.Sum256([]byte(first(t, list, "style").FirstChild.Data))
			want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
				"'; base-uri 'none'; form-action 'none'"
			if got := pagetest.Attribute(list[3], "content"); pagetest.Attribute(list[3], "http-equiv") != "Content-Security-Policy" ||
				got != want {
				t.Errorf("the policy is %q, want %q", got, want)
			}
			if strings.Contains(text, "ZgotmplZ") || strings.Contains(text, "://") {
				t.Error("the page has a refused or foreign address")
			}
		})
	}
}

func TestPagesCanBeUsedWithoutSight(t *testing.T) {
	for name, text := range pages(t) {
		t.Run(name, func(t *testing.T) {
			list := pagetest.Elements(t, text)
			if pagetest.Attribute(list[0], "lang") != "en" {
				t.Error("the page has no language")
			}
			ids, level := map[string]bool{}, 0
			for _, n := range list {
				if id := pagetest.Attribute(n, "id"); id != "" {
					if ids[id] {
						t.Errorf("the id %s is there twice", id)
					}
					ids[id] = true
				}
				if len(n.Data) == 2 && n.Data[0] == 'h' && n.Data[1] >= '1' && n.Data[1] <= '6' {
					next := int(n.Data[1] - '0')
					if next > level+1 || next == 1 && level > 0 {
						t.Errorf("a heading of level %d is below one of level %d", next, level)
					}
					level = next
				}
				if n.Data == "th" && pagetest.Attribute(n, "scope") == "" {
					t.Error("a heading of a table has no scope")
				}
				isMark := slices.Contains(strings.Fields(pagetest.Attribute(n, "class")), "mark")
				if isMark && len(pagetest.Content(n)) < len("✓ passed") {
					t.Errorf("a mark is %q, without a word", pagetest.Content(n))
				}
			}
			for _, n := range list {
				if target, ok := strings.CutPrefix(pagetest.Attribute(n, "href"), "#"); ok && !ids[target] {
					t.Errorf("a link leads to #%s, which does not exist", target)
				}
				if label := pagetest.Attribute(n, "aria-labelledby"); label != "" && !ids[label] {
					t.Errorf("the label %s does not exist", label)
				}
			}
		})
	}
}

func TestPageOfASheetHasTheFailuresFirst(t *testing.T) {
	list := pagetest.Elements(t, written(t, func(w io.Writer) error { return WriteHTML(w, sample()) }))
	if got := pagetest.Content(first(t, list, "title")); got != "failed, 8 of 14.5 points: team-07" {
		t.Errorf("the title is %q", got)
	}
	var headings, cards []string
	for _, n := range list {
		switch n.Data {
		case "h2":
			headings = append(headings, pagetest.Content(n))
		case "h3":
			cards = append(cards, strings.Fields(pagetest.Content(n))[1])
		}
	}
	if want := []string{"Failed (2)", "Unstable (1)", "Advice (1)", "Not judged (1)", "Allowed difference (1)", "Passed (4)",
		"Points", "This judgement"}; !slices.Equal(headings, want) {
		t.Errorf("the sections are %q, want %q", headings, want)
	}
	if want := []string{"8:", "39:", "13:", "14:"}; !slices.Equal(cards, want) {
		t.Errorf("the cards are %q, want %q: course, robustness, unstable, advice", cards, want)
	}
	card := pagetest.Content(first(t, list, "article"))
	for _, want := range []string{
		"expected the right password from a new connection is refused",
		"because the account is blocked for the duration of the argument (section 3.2)",
		`came "Welcome, because; came \x1b[31mred\x1b]0;title\a </script></style><script>alert(1)</script> ]]>`,
		"repeat sim judge --folder team-07", "Run 1 failed: messages and output (34 lines), 2 files",
		`0.502 anna the server "anna"`, "Run 2 failed", "(100,000 bytes in all)", "File credentials.txt",
		`before anna comp3331\n after anna comp3331\n`,
	} {
		if !strings.Contains(card, want) {
			t.Errorf("the first card lacks %q:\n%.1000s", want, card)
		}
	}
}

func TestPageOfAProblemHasItFirst(t *testing.T) {
	list := pagetest.Elements(t, written(t, func(w io.Writer) error { return WriteHTML(w, sampleClass().Sheets[2]) }))
	header := pagetest.Content(first(t, list, "header"))
	want := "Broken <b> – not judged Your submission could not be judged: The server has ended"
	if !strings.HasPrefix(header, want) {
		t.Errorf("the page begins %q, want %q", header, want)
	}
}

func TestPageShowsTheEndOfALongRun(t *testing.T) {
	s := sample()
	a := &s.Results[3].Attempts[0]
	a.Lines = make([]Line, pageLines+1)
	a.Lines[0].Text, a.Lines[1].Text = "not shown", "shown first"
	text := written(t, func(w io.Writer) error { return WriteHTML(w, s) })
	if strings.Contains(text, "not shown") || !strings.Contains(text, "shown first") {
		t.Error("the page has not the last lines")
	}
	if !strings.Contains(text, "(301 lines), the last 300") {
		t.Error("the page does not report that lines are missing")
	}
}

func TestMatrixHasTotalsLinksAndRulesThatNoSubmissionPasses(t *testing.T) {
	list := pagetest.Elements(t, written(t, func(w io.Writer) error { return WriteMatrix(w, sampleClass()) }))
	var rows, links, unpassed []string
	for _, n := range list {
		switch {
		case n.Data == "tr" && n.Parent.Parent.Data == "table" && pagetest.Attribute(n.Parent.Parent, "class") == "matrix":
			rows = append(rows, pagetest.Content(n))
		case n.Data == "a" && n.Parent.Data == "th" && n.Parent.Parent.Parent.Data == "tbody":
			links = append(links, pagetest.Attribute(n, "href"))
		case n.Data == "a" && n.Parent.Data == "li" && strings.HasPrefix(pagetest.Content(n), "rule "):
			unpassed = append(unpassed, pagetest.Content(n.Parent))
		}
	}
	if want := []string{"./=good%20team%20%231%3F/marks.html", "./Broken%20%3Cb%3E/marks.html",
		"./javascript:alert%281%29/marks.html", "./team-07/marks.html"}; !slices.Equal(links, want) {
		t.Errorf("the links are %q, want %q", links, want)
	}
	if len(rows) != 6 || rows[5] != "passed 3 3 3 0 1 1 3 1 1 3" ||
		!strings.HasPrefix(rows[4], "team-07 ✗ failed 8 of 14.5 ✓ passed") {
		t.Errorf("the rows are %q", rows)
	}
	want := []string{
		"rule 8: the third wrong password in a row blocks the account (3 failed, 0 unstable, 1 not judged)",
	}
	if !slices.Equal(unpassed, want) {
		t.Errorf("not passed by any: %q, want %q", unpassed, want)
	}
}
