package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestPageExplainsAFailure checks that the page of scenarios/blocking.yaml, with a block a second short, has the line,
// the diagram and the block.
func TestPageExplainsAFailure(t *testing.T) {
	text := contentOf(t, "../../scenarios/blocking.yaml")
	file := filepath.Join(t.TempDir(), "blocking.yaml")
	writeFile(t, file, strings.Replace(text, "blocked + 60s, phone: owner", "blocked + 59s, phone: owner", 1))
	p, out, errs := whole()
	if got := p.command(t.Context(), []string{"run", "--report", "html", file}); got != statusFailed {
		t.Fatalf("status %d\n%s", got, errs)
	}
	for _, want := range []string{
		"First failure: expectation at line 39; expected the reply " +
			"&#34;Welcome to the BlueTrace Simulator!&#34; to owner",
		"failure at 61.000000000", "from 2.000000000 to 62.000000000",
		"&#34;&#43;61410000001&#34; is blocked for 1m0s",
		`<tr id="line-39" class="bad">`, `<tr id="line-38" class="good">`,
	} {
		if !strings.Contains(strings.ReplaceAll(out.String(), "&#34;+", "&#34;&#43;"), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestEventsOfAPageAreSettable checks the number of events before and after the label. The recorder keeps 2,048
// events of all phones, fewer than 1,000 of which are shown.
func TestEventsOfAPageAreSettable(t *testing.T) {
	for _, c := range []struct {
		flags string
		want  int // events; 0 if the flags are invalid
		error string
	}{
		{flags: "--report html", want: 40 + 16},
		{flags: "--report html --page-events 3", want: 3 + 2},
		{flags: "--report html --page-events 1000", want: 566},
		{flags: "--report html --page-events 0", error: "invalid --page-events 0: must be 1 to 1000"},
		{flags: "--report html --page-events 1001", error: "invalid --page-events 1001: must be 1 to 1000"},
		{flags: "--page-events 40", error: "--page-events needs a page: --out, --report html or --metrics"},
	} {
		t.Run(c.flags, func(t *testing.T) {
			p, out, errs := whole()
			arguments := append(append([]string{"run"}, strings.Fields(c.flags)...), "../../scenarios/classroom.yaml")
			got := p.command(t.Context(), arguments)
			if c.want == 0 {
				if got != statusInvalid || !strings.Contains(errs.String(), c.error) {
					t.Errorf("status %d\n%s", got, errs)
				}
				return
			}
			if want := fmt.Sprintf("The same %d events as a table", c.want); !strings.Contains(out.String(), want) {
				t.Errorf("status %d, and the page lacks %q\n%s", got, want, errs)
			}
		})
	}
}

func TestPageOfTheClassroomIsSmall(t *testing.T) {
	folder := t.TempDir()
	p, _, errs := whole()
	arguments := []string{"run", "--out", folder, "../../scenarios/classroom.yaml"}
	if got := p.command(t.Context(), arguments); got != statusPassed {
		t.Fatalf("status %d\n%s", got, errs)
	}
	if n := len(contentOf(t, filepath.Join(folder, "classroom.html"))); n < 100_000 || n > 1_500_000 {
		t.Errorf("the page has %d bytes", n)
	}
	index := contentOf(t, filepath.Join(folder, indexFile))
	if !strings.Contains(index, `<a href="./classroom.html">`) {
		t.Errorf("the page over all runs has no link:\n%s", index)
	}
}

func TestIndexIsNoNameOfAPage(t *testing.T) {
	if got := (fileNames{}).take("Index"); got != "Index-2" {
		t.Errorf("the reports of a scenario named Index are %s", got)
	}
}

// TestIndexNamesTheCommand: the page over all runs has the command and the manual scenarios that it skipped.
func TestIndexNamesTheCommand(t *testing.T) {
	folder := t.TempDir()
	manual := filepath.Join(folder, "big.yaml")
	writeFile(t, filepath.Join(folder, "one.yaml"), "name: one\nphones: [{name: a}]\nlength: 1s\ninvariants: true\n")
	writeFile(t, manual, "name: big\nmanual: true\nphones: [{name: a}]\nlength: 1s\n")
	p, _, errs := whole()
	out := filepath.Join(folder, "out put")
	if got := p.command(t.Context(), []string{"run", "--out", out, folder}); got != statusPassed {
		t.Fatalf("status %d\n%s", got, errs)
	}
	index := contentOf(t, filepath.Join(out, "index.html"))
	for _, want := range []string{"run --out &#39;" + out + "&#39; ", "skipped (manual)</dt><dd>" + manual} {
		if !strings.Contains(index, want) {
			t.Errorf("index.html lacks %q", want)
		}
	}
}
