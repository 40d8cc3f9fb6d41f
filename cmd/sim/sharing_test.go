package main

import (
	"strings"
	"testing"
)

// TestSetOfOneFile: a value of --set goes to the files that use it, and is refused if none does.
func TestSetOfOneFile(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "plain.yaml", passing)
	writeFile(t, "timed.yaml", "name: timed\nvars: {LENGTH: 2s}\nlength: \"${LENGTH}\"\nphones: [{name: "+
		"a}]\ninvariants: true\n")
	const unused = `plain.yaml: --set "LENGTH": the file does not use ${LENGTH}`
	for _, c := range []struct {
		arguments string
		want      status
		says      string
	}{
		{"check --set LENGTH=3s plain.yaml timed.yaml", statusPassed, "ok  plain.yaml"},
		{"run --set LENGTH=3s plain.yaml timed.yaml", statusPassed, "PASSED  timed"},
		{"swarm --seeds 1 --set LENGTH=3s plain.yaml timed.yaml", statusPassed, "PASSED  swarm"},
		{"check --set LENGTH=3s plain.yaml", statusInvalid, unused},
		{"check --set OTHER=3s plain.yaml timed.yaml", statusInvalid,
			`timed.yaml: --set "OTHER": the file does not use ${OTHER}`},
		{"run --set LENGTH=3s --set OTHER=3s plain.yaml timed.yaml", statusInvalid, `plain.yaml: --set "OTHER"`},
	} {
		p, out, errs := whole()
		if got := p.command(t.Context(), strings.Fields(c.arguments)); got != c.want {
			t.Errorf("%s: status %d, want %d", c.arguments, got, c.want)
		}
		if all := out.String() + errs.String(); !strings.Contains(all, c.says) {
			t.Errorf("%s: no %q in\n%s", c.arguments, c.says, all)
		}
	}
}
