package main

import (
	"os/exec"
	"strings"
	"testing"
)

func TestShellQuoted(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "''"}, {"scenarios/a-1.yaml", "scenarios/a-1.yaml"}, {"A=1", "A=1"}, {"a b", "'a b'"},
		{"$HOME", "'$HOME'"},
		{"it's", `'it'\''s'`}, {"~", "'~'"}, {"é", "'é'"}, {"a\nb", `$'a\012b'`}, {"\x1b'\\é", `$'\033\'\\\303\251'`},
	} {
		if got := shellQuoted(c.in); got != c.want {
			t.Errorf("shellQuoted(%q) = %s, want %s", c.in, got, c.want)
		}
	}
}

func TestShellTakesTheRepeatCommand(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("SKIPPED: there is no bash on this machine: apt-get install bash (Debian)")
	}
	sets := []string{"A=b c", "B=it's $HOME `x`", "C=\x1b[2J\n\xff\\", "D=*"}
	command := repeatCommand("printf '%s\\0'", 7, &runFlags{sets: sets}, "-a b.yaml")
	got, err := exec.Command(bash, "-c", command).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{"run", "--seed", "7", "--set", sets[0], "--set", sets[1], "--set", sets[2], "--set",
		sets[3], "./-a b.yaml"}, "\x00") + "\x00"
	if string(got) != want {
		t.Errorf("%s gave %q, want %q", command, got, want)
	}
}

func TestCalledAs(t *testing.T) {
	here := func(string) bool { return true }
	elsewhere := func(string) bool { return false }
	for _, c := range []struct {
		argument0 string
		exists    func(string) bool
		want      string
	}{
		{"sim", here, "sim"}, {"./bin/sim", here, "./bin/sim"}, {"/opt/my tools/sim", here, "'/opt/my tools/sim'"},
		{"/tmp/go-build123/b001/exe/sim", here, "go run ./cmd/sim"},
		{"/home/u/.cache/go-build/7d/7d0917-d/sim", here, "go run ./cmd/sim"},
		{"/tmp/go-build123/b001/exe/sim", elsewhere, "go run bluetrace/cmd/sim"},
	} {
		if got := calledAs(c.argument0, c.exists); got != c.want {
			t.Errorf("calledAs(%q) = %q, want %q", c.argument0, got, c.want)
		}
	}
}
