package authority

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
)

func TestArguments(t *testing.T) {
	for _, row := range []struct {
		line    string
		address string
		block   time.Duration
		check   func(a *arguments) bool
	}{
		{line: "13000 60", address: ":13000", block: time.Minute},
		{line: "13000 1m30s", address: ":13000", block: 90 * time.Second},
		{line: "--host ::1 13000 5", address: "[::1]:13000", block: 5 * time.Second},
		{line: "13000 5 --host [::1]", address: "[::1]:13000", block: 5 * time.Second},
		{line: "13000 60 --dir d --no-fsync", address: ":13000", block: time.Minute,
			check: func(a *arguments) bool { return a.dir == "d" && a.noFsync }},
		{line: "13000 --tempid-lifetime 20m --login-timeout=1s 60 --idle-timeout 2s", address: ":13000", block: time.Minute,
			check: func(a *arguments) bool {
				return a.settings.TempIDLifetime == 20*time.Minute && a.settings.LoginTimeout == time.Second &&
					a.settings.IdleTimeout == 2*time.Second
			}},
		{line: "13000 60", address: ":13000", block: time.Minute, check: func(a *arguments) bool {
			s := &a.settings
			return a.dir == "." && a.metrics == "" && !a.noFsync && s.TempIDLifetime == 15*time.Minute && s.LoginTimeout == 2*time.Minute &&
				s.IdleTimeout == time.Hour && s.MaxConnections == 10_000 && s.MaxUploadLines == 300_000 && s.Attempts == 3 &&
				s.MaxBlockedBytes == 128<<20
		}},
		{line: "13000 60 --max-connections 5 --max-upload 0", address: ":13000", block: time.Minute,
			check: func(a *arguments) bool { return a.settings.MaxConnections == 5 && a.settings.MaxUploadLines == 0 }},
		{line: "65535 9223372036 --max-connections 1 --max-upload 9999999 --max-blocked-bytes 1 --tempid-lifetime 1s " +
			"--login-timeout 1ns --idle-timeout 1ns", address: ":65535", block: 9223372036 * time.Second},
		{line: "0 1ns", address: ":0", block: 1},
		{line: "13000 60 --max-blocked-bytes 4000", address: ":13000", block: time.Minute,
			check: func(a *arguments) bool { return a.settings.MaxBlockedNames() == 10 }},
		{line: "13000 60 --metrics 9100", address: ":13000", block: time.Minute,
			check: func(a *arguments) bool { return a.metrics == "127.0.0.1:9100" }},
		{line: "13000 60 --metrics :9100", address: ":13000", block: time.Minute,
			check: func(a *arguments) bool { return a.metrics == "127.0.0.1:9100" }},
		{line: "13000 60 --metrics 0.0.0.0:9100", address: ":13000", block: time.Minute,
			check: func(a *arguments) bool { return a.metrics == "0.0.0.0:9100" }},
	} {
		a, _, err := parseArguments(strings.Fields(row.line))
		if err != nil {
			t.Errorf("%q: %v", row.line, err)
			continue
		}
		if a.address != row.address || a.settings.BlockDuration != row.block || row.check != nil && !row.check(&a) {
			t.Errorf("%q: %+v", row.line, a)
		}
	}
}

func TestWrongArguments(t *testing.T) {
	for line, want := range map[string]string{
		"":                              "server_port and block_duration are missing",
		"13000":                         "block_duration is missing",
		"13000 60 14000":                "expected server_port and block_duration, found 3 arguments",
		"65536 60":                      `invalid server_port "65536": must be 0 to 65535`,
		"http 60":                       `invalid server_port "http": must be 0 to 65535`,
		"13000 0":                       `invalid block_duration "0": must be 1 to 9223372036 seconds`,
		"13000 9223372037":              `invalid block_duration "9223372037": must be 1 to 9223372036 seconds`,
		"13000 -- -5":                   `invalid block_duration "-5": must be 1 to 9223372036 seconds`,
		"13000 -5":                      `invalid block_duration "-5": must be 1 to 9223372036 seconds`,
		"-1 60":                         `invalid server_port "-1": must be 0 to 65535`,
		"13000 60 -dir .":               `"-dir" has one dash: the flag is --dir`,
		"13000 60 -host ::1":            `"-host" has one dash: the flag is --host`,
		"13000 60 -v":                   `unknown flag "-v": --help lists the flags`,
		"help 60":                       `invalid server_port "help": must be 0 to 65535`,
		"13000 1x":                      `invalid block_duration "1x": must be whole seconds, like 60, or a duration, like 1m30s`,
		"13000 0s":                      `invalid block_duration "0s": must be above 0`,
		"13000 60 --verbose":            "unknown flag: --verbose",
		"13000 60 --dir=":               "--dir needs a value",
		"1 60 --metrics x":              `invalid --metrics "x": must be HOST:PORT or a port`,
		"1 60 --metrics h:p":            `invalid --metrics "h:p": the port "p" must be 0 to 65535`,
		"1 60 --max-upload -1":          "invalid --max-upload -1: must be 0 to 9999999",
		"1 60 --max-upload 10000000":    "invalid --max-upload 10000000: must be 0 to 9999999",
		"1 60 --max-blocked-bytes 0":    "invalid --max-blocked-bytes 0: must be 1 or more",
		"1 60 --max-connections 0":      "invalid --max-connections 0: must be 1 or more",
		"1 60 --tempid-lifetime 1500ms": "invalid --tempid-lifetime 1.5s: must be whole seconds above 0",
		"1 60 --login-timeout 0s":       "invalid --login-timeout 0s: must be above 0",
		"1 60 --idle-timeout -1s":       "invalid --idle-timeout -1s: must be above 0",
		"1 60 --idle-timeout nonsense":  `invalid argument "nonsense" for "--idle-timeout" flag: must be a duration like "30s" or "5m"`,
	} {
		var stdout, stderr bytes.Buffer
		p := program{stdout: &stdout, stderr: &stderr, zone: time.UTC, clock: clock.New()}
		got := p.command(t.Context(), strings.Fields(line))
		if text := "server: " + want + "; usage: " + usageLine + "\n"; got != wrong || stderr.String() != text || stdout.Len() != 0 {
			t.Errorf("%q: status %d, %q, want 2, %q", line, got, stderr.String(), text)
		}
	}
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	p := program{stdout: &stdout, stderr: &stderr, zone: time.UTC, clock: clock.New()}
	if got := p.command(t.Context(), []string{"--help"}); got != ended || stderr.Len() != 0 {
		t.Errorf("status %d, errors %q", got, stderr.String())
	}
	for _, word := range []string{"help", "-h"} {
		var again bytes.Buffer
		p := program{stdout: &again, stderr: &stderr, zone: time.UTC, clock: clock.New()}
		if got := p.command(t.Context(), []string{word}); got != ended || stderr.Len() != 0 || again.String() != stdout.String() {
			t.Errorf("%s: status %d, errors %q, printed %q", word, got, stderr.String(), again.String())
		}
	}
	for _, flag := range []string{"--dir", "--host", "--tempid-lifetime", "--login-timeout", "--idle-timeout",
		"--max-connections", "--max-upload", "--metrics HOST:PORT", "--tempid-lifetime D", "--no-fsync", usageLine, "Exit status: 0"} {
		if !strings.Contains(stdout.String(), flag) {
			t.Errorf("the help has no %q", flag)
		}
	}
}
