package page

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func written(t *testing.T, main string, p *Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := New(main).Write(&b, p, "the page"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEveryTextIsEscaped(t *testing.T) {
	text := "\x1b[2J\xff\u202e</style><script>\n"
	got := written(t, `<p>{{.}}</p>`, &Page{Title: text, Verdict: Badge{Bad, text}, Lead: text, Problem: text,
		Notes: []string{text}, Counts: []Count{{Badge{Good, text}, 1234, "part"}}, Data: text})
	const escaped = `\x1b[2J\xff\u202e&lt;/style&gt;&lt;script&gt;`
	if !strings.Contains(got, "<strong>1,234</strong>") {
		t.Error("the number at the head is not 1,234")
	}
	if n := strings.Count(got, escaped); n != 9 {
		t.Errorf("%d texts are escaped, want 9 (the title has two):\n%s", n, got)
	}
	if strings.Contains(got, "\x1b") || strings.Contains(got, "<script") || strings.Contains(got, "</style><") {
		t.Errorf("a text is not escaped:\n%s", got)
	}
}

func TestPartsWithoutATextAreNotThere(t *testing.T) {
	got := written(t, ``, &Page{Title: "a"})
	for _, part := range []string{`class="badge`, `class="problem`, `<nav`, `class="lead`, `class="notes`} {
		if strings.Contains(got, part) {
			t.Errorf("the page has %s", part)
		}
	}
	if !strings.Contains(got, "<title>a</title>") {
		t.Error("the title is missing")
	}
}

func TestTemplatesOfTheLayout(t *testing.T) {
	for _, c := range []struct {
		main string
		data any
		want string
	}{
		{`{{template "badge" .}}`, Badge{Unsure, "maybe"},
			`<span class="badge unsure"><span class="symbol" aria-hidden="true">~</span> maybe</span>`},
		{`{{template "facts" .}}`, []Fact{{"a", "<b>", false}, {"c", "", false}, {"d", "e", true}}, `<dl class="facts">
  <div><dt>a</dt><dd>&lt;b&gt;</dd></div>
  <div><dt>d</dt><dd><code>e</code></dd></div>
</dl>`},
		{`{{template "lines" .}}`, struct {
			Summary string
			Rows    []struct{ At, From, To, Text string }
		}{"run 1", []struct{ At, From, To, Text string }{{"0.5", "a", "b", "c\n"}}},
			`<tr><td class="number">0.5</td><td>a</td><td>b</td><td class="bytes"><code>c\n</code></td></tr>`},
	} {
		if got := written(t, c.main, &Page{Data: c.data}); !strings.Contains(got, c.want) {
			t.Errorf("%s gives no %s:\n%s", c.main, c.want, got)
		}
	}
}

func TestHrefStaysBelowThePage(t *testing.T) {
	for _, c := range []struct{ folder, want string }{
		{"team-07", "./team-07/marks.html"},
		{"javascript:x", "./javascript:x/marks.html"},
		{"a/b#c?d%", "./a%2Fb%23c%3Fd%25/marks.html"},
		{"\xff", "./%FF/marks.html"},
	} {
		if got := Href(c.folder, "marks.html"); got != c.want {
			t.Errorf("Href(%q) = %q, want %q", c.folder, got, c.want)
		}
	}
}

func TestEveryToneHasItsOwnSymbol(t *testing.T) {
	seen := map[string]Tone{}
	for _, tone := range []Tone{Good, Bad, Unsure, Neutral, Noted} {
		if other, ok := seen[tone.Symbol()]; ok {
			t.Errorf("%s and %s have the symbol %s", tone, other, tone.Symbol())
		}
		seen[tone.Symbol()] = tone
		if !strings.Contains(style, "\n."+string(tone)+" {") {
			t.Errorf("the style sheet has no %s", tone)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestErrorsNameTheDocument(t *testing.T) {
	if err := New("").Write(full{}, &Page{}, "the page of x"); err == nil ||
		err.Error() != "writing the page of x: short write" {
		t.Errorf("got %v", err)
	}
	err := New("{{.Missing}}").Write(io.Discard, &Page{Data: 1}, "the page of x")
	if err == nil || !strings.HasPrefix(err.Error(), "making the page of x: ") {
		t.Errorf("got %v", err)
	}
}

// TestALongLeadIsBehindItsSummary: its beginning is in front.
func TestALongLeadIsBehindItsSummary(t *testing.T) {
	for _, c := range []struct {
		lead  string
		front int // runes of the lead in front
		whole bool
	}{{strings.Repeat("é", maxLead), maxLead, false}, {strings.Repeat("word ", 2000), maxLead/2 - 1, true},
		{strings.Repeat("é", maxLead+1), maxLead / 2, true}} {
		got := written(t, ``, &Page{Title: "a", Lead: c.lead})
		_, front, _ := strings.Cut(got, `<p class="lead">`)
		front, _, _ = strings.Cut(front, "</p>")
		if n := len([]rune(strings.TrimSuffix(front, " …"))); n != c.front {
			t.Errorf("%d runes in front, want %d", n, c.front)
		}
		if whole := strings.Contains(got, "<details class=\"lead\"><summary>The whole description</summary><p>"+c.lead+
			"</p>"); whole != c.whole {
			t.Errorf("the whole lead is behind a summary: %v", whole)
		}
	}
}
