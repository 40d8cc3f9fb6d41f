// Package page writes HTML documents of one file: without network and images, for a browser, a telephone, a printer and
// a screen reader. A script is optional, and a document is complete without it. A document has a heading with a verdict,
// counts and sections. Its package adds the sections as a template.
package page

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"strings"

	"bluetrace/reports"
)

var (
	//go:embed layout.html
	layout string
	//go:embed style.css
	style string
)

// Tone is the meaning of a verdict. Pages show it by a symbol, a word and a colour.
type Tone string

// The tones.
const (
	Good    Tone = "good"
	Bad     Tone = "bad"
	Unsure  Tone = "unsure"
	Neutral Tone = "neutral"
	Noted   Tone = "noted" // good, with a remark
)

// Symbol returns a character that stands for the tone without a colour.
func (t Tone) Symbol() string {
	return cmp.Or(map[Tone]string{Good: "✓", Bad: "✗", Unsure: "~", Noted: "≈"}[t], "–")
}

// Badge is a short text with a tone. The template "badge" shows it.
type Badge struct {
	Tone Tone
	Text string
}

// Count is a number at the head of a page, with a link to the section that has the details.
type Count struct {
	Badge
	Count   int
	Section string // the id of the section, or "" for none
}

// Fact is a named text. The template "facts" shows a list of them, without those that have no text.
type Fact struct {
	Name, Text string
	Code       bool // the text is a command or bytes
}

// Page is one document.
type Page struct {
	Title   string   // the heading
	Verdict Badge    // beside the heading; none if it has no text
	Lead    string   // a sentence below the heading
	Problem string   // a sentence that stands out, or ""
	Notes   []string // sentences below the counts
	Counts  []Count
	Wide    bool // for tables with many columns
	Live    bool // the script may connect to the server of the page
	Data    any  // of the template "main"
}

// maxLead is the number of runes of a Lead above which most of it is behind its summary.
const maxLead = 600

// leads returns the beginning of a Lead, and the whole if that is longer.
func leads(lead string) (parts []string) {
	runes := []rune(lead)
	if len(runes) <= maxLead {
		return []string{lead}
	}
	begin := string(runes[:maxLead/2])
	if i := strings.LastIndexByte(begin, ' '); i > maxLead/4 {
		begin = begin[:i]
	}
	return []string{begin + " …", lead}
}

// Template is a form of pages.
type Template struct{ *template.Template }

// New returns the form of pages whose sections are the template text main, which is executed with Page.Data. It may
// use the templates "badge", "facts" and "lines", and the function escape. It panics if main is no template.
func New(main string) Template { return NewScripted(main, "", "", nil) }

// NewScripted returns the form of pages that have an additional style sheet, a script and functions of their own. Style
// and script must have no tab, see Write.
func NewScripted(main, ownStyle, script string, own template.FuncMap) Template {
	all := style + ownStyle
	functions := template.FuncMap{
		"escape":  reports.Escape,
		"leads":   leads,
		"grouped": func(n int) string { return reports.FormatCount(uint64(max(n, 0))) },
		"style":   func() template.CSS { return template.CSS(all) },  //nolint:gosec // it is a constant
		"script":  func() template.JS { return template.JS(script) }, //nolint:gosec // it is a constant
		"policy":  func(live bool) string { return policy(all, script, live) },
	}
	t := template.Must(template.New("page").Funcs(functions).Funcs(own).Parse(layout))
	return Template{template.Must(t.New("main").Parse(main))}
}

// policy returns the Content-Security-Policy of a page: nothing is loaded, except that of a live page by its script, and
// the only style and script are ours.
func policy(style, script string, live bool) string {
	allowed := "style-src " + hashOf(style)
	if script != "" {
		allowed += "; script-src " + hashOf(script)
	}
	if live {
		allowed += "; connect-src 'self'"
	}
	return "default-src 'none'; " + allowed + "; base-uri 'none'; form-action 'none'"
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Write writes a page. Every invisible character of its texts becomes visible, see reports.Escape. The error has the
// name of the document, such as "the page of a run".
func (t Template) Write(w io.Writer, p *Page, name string) error {
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "page", p); err != nil {
		return fmt.Errorf("making %s: %w", name, err)
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = reports.Escape(lines[i])
	}
	return reports.WriteDocument(w, []byte(strings.Join(lines, "\n")), name)
}

// Href returns a link to a file, given by the parts of its path relative to the page.
func Href(parts ...string) string {
	path := "."
	for _, part := range parts {
		path += "/" + url.PathEscape(part)
	}
	return path
}
