package runpage

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"bluetrace/reports"
	"bluetrace/reports/page/pagetest"
)

// elementsOf returns the elements of a fragment of a page.
func elementsOf(t *testing.T, svg string) []*html.Node {
	t.Helper()
	return pagetest.Elements(t, "<body>"+svg)
}

func TestContactGraphHasEveryPair(t *testing.T) {
	g := DrawContacts(&reports.Contacts{Phones: []string{"anna", "ben", "carl", "dora"}, All: 4, Unknown: 2,
		Heard: []reports.Contact{{From: 0, To: 0, Entries: 1}, {From: 1, To: 0, Entries: 3}, {From: 0, To: 1, Entries: 2},
			{From: 0, To: 2, Entries: 5}, {From: 3, To: 1, Entries: 1}}})
	var titles, alone []string
	list := elementsOf(t, string(g.SVG))
	for _, n := range withClass(list, "edge") {
		titles = append(titles, pagetest.Content(n))
	}
	want := []string{
		"in the log of ben: 2 of anna in the log of anna: 3 of ben",
		"in the log of carl: 5 of anna in the log of anna: 0 of carl",
		"in the log of dora: 0 of ben in the log of ben: 1 of dora",
	}
	if !slices.Equal(titles, want) || len(withClass(list, "head")) != 2 {
		t.Errorf("%d heads, and the pairs %q, want 2 and %q", len(withClass(list, "head")), titles, want)
	}
	for _, n := range withClass(list, "alone") {
		alone = append(alone, pagetest.Content(n.Parent))
	}
	if len(alone) != 0 {
		t.Errorf("%q are alone", alone)
	}
	if got := fmt.Sprint(g.Rows); got != "[{anna 2 anna (1), ben (3)} {ben 2 anna (2), dora (1)} {carl 1 anna (5)} {dora 0 }]" {
		t.Errorf("the table is %s", got)
	}
	if g.Summary != "12 entries of 3 pairs of phones" || len(g.LeftOut) != 1 ||
		g.LeftOut[0] != "Entries whose sender is not known: 2." {
		t.Errorf("%q, %q", g.Summary, g.LeftOut)
	}
}

// TestArrowsLeadFromTheSender: the line between two phones of which only one heard the other begins at the sender.
func TestArrowsLeadFromTheSender(t *testing.T) {
	phones := []string{"anna", "ben", "carl", "dora"}
	for _, heard := range []reports.Contact{{From: 0, To: 2, Entries: 5}, {From: 3, To: 1, Entries: 1}} {
		g := DrawContacts(&reports.Contacts{Phones: phones, All: 4, Heard: []reports.Contact{heard}})
		var sender, path string
		for _, n := range elementsOf(t, string(g.SVG)) {
			switch {
			case n.Data == "circle" && strings.HasPrefix(pagetest.Content(n.Parent), phones[heard.From]):
				sender = fmt.Sprintf("M%s %sQ", pagetest.Attribute(n, "cx"), pagetest.Attribute(n, "cy"))
			case n.Data == "path" && pagetest.Attribute(n.Parent, "class") == "edge" && path == "":
				path = pagetest.Attribute(n, "d")
			}
		}
		if sender == "" || !strings.HasPrefix(path, sender) {
			t.Errorf("%s heard %s: the line is %q, want it to begin with %q", phones[heard.To], phones[heard.From], path,
				sender)
		}
	}
}

// TestContactGraphIsBounded: all phones hear all; the picture has the pairs with the most entries, and says so.
func TestContactGraphIsBounded(t *testing.T) {
	c := &reports.Contacts{All: 10_000}
	for i := range 60 {
		c.Phones = append(c.Phones, fmt.Sprintf("phone-%d %s", i, hostile))
		for k := range 60 {
			if k != i {
				c.Heard = append(c.Heard, reports.Contact{From: k, To: i, Entries: 100 - i})
			}
		}
	}
	g := DrawContacts(c)
	list := elementsOf(t, string(g.SVG))
	if n := len(withClass(list, "edge")); n != maxEdges || len(g.Rows) != 60 || len(g.SVG) > 250_000 {
		t.Errorf("%d edges, %d rows, %d bytes", n, len(g.Rows), len(g.SVG))
	}
	if len(g.LeftOut) != 2 || !strings.HasPrefix(g.LeftOut[0], "60 of 10,000 phones are shown") ||
		!strings.HasPrefix(g.LeftOut[1], "The picture has the 500 pairs") {
		t.Errorf("it leaves out %q", g.LeftOut)
	}
	if first := pagetest.Content(withClass(list, "edge")[0]); !strings.HasPrefix(first, "in the log of phone-1 ") {
		t.Errorf("the first pair is %q", first)
	}
	if strings.ContainsAny(string(g.SVG), "\x00\x1b\u202e") || strings.Contains(string(g.SVG), "NaN") {
		t.Error("the picture has a control character or no number")
	}
}

func TestGraphWithoutEntries(t *testing.T) {
	if g := DrawContacts(&reports.Contacts{Phones: []string{"anna"}, All: 1}); g.SVG != "" || g.Summary != "no entries" {
		t.Errorf("%+v", g)
	}
	if DrawContacts(nil) != nil {
		t.Error("there is a graph of nothing")
	}
}

// TestContactsAreOnThePage checks the graph of a failure and that of the end.
func TestContactsAreOnThePage(t *testing.T) {
	_, list := pageOf(t, sample())
	card := withClass(list, "failure card")[0]
	for _, want := range []string{"Contact logs at 12.500000000 s: 8 entries of 2 pairs of phones", "ben 2 anna (7), x"} {
		if got := pagetest.Content(card); !strings.Contains(got, want) {
			t.Errorf("the first failure lacks %q:\n%s", want, got)
		}
	}
	end := list[slices.IndexFunc(list, func(n *html.Node) bool { return pagetest.Attribute(n, "id") == "contacts" })]
	if got := pagetest.Content(end); !strings.Contains(got, "Contact logs at 40.000000000 s: no entries") {
		t.Errorf("at the end: %s", got)
	}
}

// TestAlteredDatagramsAreToldApart checks the class, the word and the kind of each, also in the table.
func TestAlteredDatagramsAreToldApart(t *testing.T) {
	m := &reports.Moment{}
	all := []reports.Alteration{"", reports.Duplicated, reports.Corrupted, reports.Truncated, reports.Reordered,
		reports.Delayed}
	for i, how := range all {
		m.Events = append(m.Events,
			reports.SceneEvent{Kind: reports.DatagramSent, Node: "a", Peer: "b", Number: uint64(i + 1), Altered: how},
			reports.SceneEvent{At: 1, Kind: reports.DatagramCame, Node: "b", Peer: "a", Number: uint64(i + 1)})
	}
	d := Draw(m, nil)
	var got []string
	for _, n := range withClass(elementsOf(t, string(d.SVG)), "message") {
		label := pagetest.Content(n)
		got = append(got, fmt.Sprintf("%s / %s / %s", pagetest.Attribute(n, "class"), pagetest.Attribute(n, "data-k"),
			label[strings.Index(label, "#"):]))
	}
	want := []string{"ev message / datagram / #1", "ev message copy / duplicate / #2 duplicate",
		"ev message changed / corrupted / #3 corrupted", "ev message changed / truncated / #4 truncated",
		"ev message / reordered / #5 reordered", "ev message / delayed / #6 delayed"}
	if !slices.Equal(got, want) {
		t.Errorf("the messages are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if d.Rows[4].Group != "corrupted" || d.Rows[5].Group != "datagram" {
		t.Errorf("the rows are %+v", d.Rows)
	}
}
