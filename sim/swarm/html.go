package swarm

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"bluetrace/reports"
	pages "bluetrace/reports/page"
	"bluetrace/reports/runpage"
)

var (
	//go:embed swarm.html
	htmlText string

	htmlPage = runpage.New(htmlText, template.FuncMap{"href": pages.Href})
)

// MaxStories is the number of causes whose diagrams are on a page.
const MaxStories = 20

// maxSourceLines is the number of lines of a scenario on a page.
const maxSourceLines = 300

// Story is the small scenario of a cause, for the page of a swarm.
type Story struct {
	*Shrunk
	Repeat  string // the command that runs the file
	Diagram string // the file with Markdown; empty if none was written
}

// failure returns the text of the note at the failure.
func (st *Story) failure() string {
	text := "failure"
	if st.Check.AtSeconds != nil {
		text += " at " + reports.FormatTime(*st.Check.AtSeconds)
	}
	return text + ": found " + st.Check.FoundText()
}

// Markdown returns the failure as a document for an issue, with a Mermaid sequence diagram. It begins as the scenarios
// that a swarm writes, see IsGenerated. It returns nil without events around the failure.
func (st *Story) Markdown(cause string) []byte {
	if st.Run == nil || st.Check == nil {
		return nil
	}
	m := runpage.MomentOf(st.Run, st.Check)
	if m == nil {
		return nil
	}
	text := fmt.Appendf(nil, "# %s%s\n\n", generatedMark, codeSpan(cause))
	for _, f := range [][2]string{{"step", stepOf(st.Check)}, {"expected", cmp.Or(st.Check.Expected, "nothing")},
		{"found", st.Check.FoundText()}} {
		if f[1] != "" {
			text = fmt.Appendf(text, "- %s: %s\n", f[0], codeSpan(f[1]))
		}
	}
	text = fmt.Appendf(text, "\n```sh\n%s\n```\n\n", reports.Escape(st.Repeat))
	return append(text, runpage.Sequence(m, st.failure())...)
}

// codeSpan returns a text that is inert in Markdown: no name in it is mentioned, and nothing in it is HTML.
func codeSpan(text string) string {
	return "`" + strings.ReplaceAll(reports.Escape(text), "`", "'") + "`"
}

// stepOf returns the step that failed, or "" for another check.
func stepOf(c *reports.Check) string {
	if c.Kind == reports.InvariantCheck {
		return ""
	}
	return c.Name
}

// htmlView is the data of swarm.html.
type htmlView struct {
	*Summary
	Causes             []htmlCause
	Facts              []pages.Fact
	Situations         []Situation // those that were not reached are first
	Invariants         []reports.KindCount
	Reached, Evaluated int
}

// htmlCause is a cause on the page.
type htmlCause struct {
	*Group
	ID     string
	Facts  []pages.Fact
	Files  []string // beside the page
	Last   []string // the last events, if there is no picture
	Source *runpage.Source
	More   int // lines of the source that are left out

	Picture  *runpage.Picture
	Contacts *runpage.Graph
}

// HTML writes the summary as a page. stories are the small scenarios by their causes, and folder is that of the page,
// for links to files; empty for none.
func (s *Summary) HTML(w io.Writer, stories map[string]*Story, folder string) error {
	v := htmlView{Summary: s, Situations: slices.Clone(s.Situations), Invariants: slices.Clone(s.Invariants)}
	slices.SortStableFunc(v.Situations, func(a, b Situation) int { return cmp.Compare(min(a.Count, 1), min(b.Count, 1)) })
	slices.SortStableFunc(v.Invariants, func(a, b reports.KindCount) int {
		return cmp.Compare(min(a.Count, 1), min(b.Count, 1))
	})
	unreached, unexercised := len(s.Unreached()), len(s.Unexercised())
	v.Reached, v.Evaluated = len(s.Situations)-unreached, len(s.Invariants)-unexercised
	p := &pages.Page{Title: "Swarm", Verdict: runpage.Badge(s.Verdict)}
	p.Verdict.Text += ": " + s.result()
	for i, g := range s.Sorted() {
		v.Causes = append(v.Causes, s.htmlCause(i, g, stories[g.Cause], folder))
	}
	if len(v.Causes) > 0 {
		p.Problem = "First cause: " + v.Causes[0].Cause
	}
	if s.MoreCauses > 0 {
		p.Notes = append(p.Notes, reports.Plural(s.MoreCauses, "failure", "failures")+" of further causes")
	}
	if folder == "" && len(s.Failures) > 0 {
		p.Notes = append(p.Notes, "use --out DIR for a small scenario and a diagram for each cause")
	}
	count := func(tone pages.Tone, n uint64, text, section string) {
		if n > 0 {
			p.Counts = append(p.Counts, pages.Count{Badge: pages.Badge{Tone: tone, Text: text}, Count: int(n), Section: section})
		}
	}
	count(pages.Bad, s.Failed, "runs failed", "causes")
	count(pages.Good, s.Runs-s.Failed, "runs held", "")
	count(pages.Unsure, uint64(unreached), "situations not reached", "situations")
	count(pages.Unsure, uint64(unexercised), "invariants never exercised", "invariants")
	realTime := ""
	if s.WallSeconds > 0 {
		realTime = s.realTime()
	}
	v.Facts = []pages.Fact{
		{Name: "seeds", Text: seedsText(s.Ranges)}, {Name: "runs", Text: reports.FormatCount(s.Runs)},
		{Name: "repeated", Text: reports.FormatCount(s.Repeated)},
		{Name: "virtual", Text: s.virtualTime()}, {Name: "time", Text: realTime},
		{Name: "build", Text: cmp.Or(s.Build.Revision, "unknown revision") + ", " + s.Build.Go},
	}
	p.Data = v
	return htmlPage.Write(w, p, "the page of the swarm")
}

// htmlCause returns cause i of the page. story is nil if there is no small scenario.
func (s *Summary) htmlCause(i int, g *Group, story *Story, folder string) htmlCause {
	seeds := make([]Range, 0, len(g.Seeds))
	for _, seed := range g.Seeds {
		seeds = append(seeds, Range{seed, seed})
	}
	c := htmlCause{Group: g, ID: fmt.Sprintf("cause-%d-", i+1), Last: g.Check.LastEvents}
	c.Facts = []pages.Fact{
		{Name: "runs", Text: s.runsOf(g)}, {Name: "first seeds", Text: seedsText(seeds)}, {Name: "step", Text: stepOf(&g.Check)},
		{Name: "expected", Text: g.Check.Expected}, {Name: "found", Text: cmp.Or(g.Check.Found, "nothing")},
		{Name: "at", Text: g.time()}, {Name: "repeat", Text: g.Repeat, Code: true},
		{Name: "shrunk", Text: strings.TrimSpace(g.Shrunk + " " + g.ShrunkNote)},
	}
	files := []string{g.Drawn, g.Shrunk}
	if story != nil {
		files = append(files, story.Diagram)
	}
	for _, file := range files {
		if file != "" && folder != "" && filepath.Dir(file) == filepath.Clean(folder) {
			c.Files = append(c.Files, path.Base(filepath.ToSlash(file)))
		}
	}
	if story == nil || story.Run == nil || i >= MaxStories {
		return c
	}
	c.Facts = append(c.Facts, pages.Fact{Name: "run it", Text: story.Repeat, Code: true})
	source := runpage.SourceOf(story.Run, c.ID)
	if c.More = max(0, len(source.Lines)-maxSourceLines); c.More > 0 {
		source.Lines = source.Lines[:maxSourceLines]
	}
	c.Source = &source
	if story.Check == nil {
		return c
	}
	if m := runpage.MomentOf(story.Run, story.Check); m != nil {
		c.Picture, c.Contacts = runpage.Draw(m, story.Run.Scene.Bands), runpage.DrawContacts(m.Contacts)
	}
	return c
}
