package house

import (
	"cmp"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write NOTICE anew; needs the modules of every system")

// kinds holds the licence of each module that is linked into a program.
var kinds = map[string]string{
	"github.com/HdrHistogram/hdrhistogram-go":   "MIT",
	"github.com/antithesishq/antithesis-sdk-go": "MIT",
	"github.com/benbjohnson/clock":              "MIT",
	"github.com/beorn7/perks":                   "MIT",
	"github.com/cespare/xxhash/v2":              "MIT",
	"github.com/gofrs/flock":                    "BSD-3-Clause",
	"github.com/google/go-tpm":                  "Apache-2.0",
	"github.com/gopacket/gopacket":              "BSD-3-Clause",
	"github.com/inconshreveable/mousetrap":      "Apache-2.0",
	"github.com/klauspost/compress":             "Apache-2.0, BSD-3-Clause, MIT",
	"github.com/minio/highwayhash":              "Apache-2.0",
	"github.com/munnerz/goautoneg":              "BSD-3-Clause",
	"github.com/nats-io/jwt/v2":                 "Apache-2.0",
	"github.com/nats-io/nats-server/v2":         "Apache-2.0",
	"github.com/nats-io/nats.go":                "Apache-2.0",
	"github.com/nats-io/nkeys":                  "Apache-2.0",
	"github.com/nats-io/nuid":                   "Apache-2.0",
	"github.com/pandatix/go-abnf":               "MIT",
	"github.com/prometheus/client_golang":       "Apache-2.0",
	"github.com/prometheus/client_model":        "Apache-2.0",
	"github.com/prometheus/common":              "Apache-2.0",
	"github.com/prometheus/procfs":              "Apache-2.0",
	"github.com/spf13/cobra":                    "Apache-2.0",
	"github.com/spf13/pflag":                    "BSD-3-Clause",
	"go.yaml.in/yaml/v4":                        "Apache-2.0, MIT",
	"golang.org/x/crypto":                       "BSD-3-Clause",
	"golang.org/x/net":                          "BSD-3-Clause",
	"golang.org/x/sys":                          "BSD-3-Clause",
	"golang.org/x/term":                         "BSD-3-Clause",
	"golang.org/x/time":                         "BSD-3-Clause",
	"gonum.org/v1/gonum":                        "BSD-3-Clause",
	"google.golang.org/protobuf":                "BSD-3-Clause",
}

const noticeHead = `Third-party notices

The programs sim, server, client and fleet contain code and data of others, besides this project's own
(MIT, see LICENSE). The table has every module that is linked on Linux, macOS or Windows, with its
licence. The texts of the licences follow. Each module is unmodified.

The programs also contain the runtime and the standard library of Go (BSD-3-Clause, below), and the
time zone database of IANA (scenarios/zoneinfo.zip), which is in the public domain.

`

// linked is a module that is part of a program.
type linked struct {
	path, version string
	texts         map[string]string // of its licences, by path in the module
}

func (l linked) row() string { return fmt.Sprintf("%-40s %-36s %s", l.path, l.version, kinds[l.path]) }

// linkedModules returns the modules of the packages that the programs have on a system.
func linkedModules(t *testing.T, system string) map[string]linked {
	t.Helper()
	c := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}|{{.Version}}|{{.Dir}}|{{$.Dir}}{{end}}{{end}}",
		"./cmd/sim", "./cmd/server", "./cmd/client", "./cmd/fleet")
	c.Dir, c.Env = root, append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go list for %s: %v", system, err)
	}
	all := map[string]linked{}
	for line := range strings.FieldsSeq(string(out)) {
		f := strings.Split(line, "|")
		if all[f[0]].texts == nil {
			all[f[0]] = linked{f[0], f[1], map[string]string{}}
		}
		for folder := f[3]; ; folder = filepath.Dir(folder) { // a package may have its own licence
			readLicences(t, all[f[0]].texts, f[2], folder)
			if folder == f[2] || len(folder) < len(f[2]) {
				break
			}
		}
	}
	if len(all) < 10 {
		t.Fatalf("found %d modules for %s: is the command wrong?", len(all), system)
	}
	return all
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|ftl|third.party)`)

// readLicences adds the licences in a folder of a module.
func readLicences(t *testing.T, texts map[string]string, module, folder string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		if !licenceFile.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		err := filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
			name, _ := filepath.Rel(module, path)
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			texts[filepath.ToSlash(name)] = normal(string(text))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// normal returns a text as UTF-8, without the spaces at its ends and those of its lines.
func normal(text string) string {
	if !utf8.ValidString(text) { // Latin-1
		runes := make([]rune, len(text))
		for i := range runes {
			runes[i] = rune(text[i])
		}
		text = string(runes)
	}
	lines := strings.Split(strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\f", ""), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t\r")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

// goLicence returns the licence of Go's standard library.
func goLicence(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"LICENSE", "../LICENSE"} {
		if text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), name)); err == nil {
			return normal(string(text))
		}
	}
	t.Log("this installation of Go has no LICENSE: its text is not compared")
	return ""
}

// notice returns the text of NOTICE for modules.
func notice(modules map[string]linked, goText string) string {
	texts := map[string][]string{goText: {"Go, its runtime and standard library"}}
	b := strings.Builder{}
	b.WriteString(noticeHead)
	paths := slices.Sorted(maps.Keys(modules))
	for _, path := range paths {
		m := modules[path]
		fmt.Fprintln(&b, m.row())
		for _, name := range slices.Sorted(maps.Keys(m.texts)) {
			texts[m.texts[name]] = append(texts[m.texts[name]], path+"/"+name)
		}
	}
	order := slices.SortedFunc(maps.Keys(texts), func(a, b string) int { return cmp.Compare(texts[a][0], texts[b][0]) })
	for _, text := range order {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(texts[text], "\n"), text)
	}
	return b.String()
}

// TestNoticeHasEveryLicence checks the modules that the programs have on this system:
// each has a row with its version and licence, and all its licences are in NOTICE.
func TestNoticeHasEveryLicence(t *testing.T) {
	path := filepath.Join(root, "NOTICE")
	if *update {
		all := map[string]linked{}
		for _, system := range []string{"linux", "darwin", "windows"} {
			maps.Copy(all, linkedModules(t, system))
		}
		if err := os.WriteFile(path, []byte(notice(all, goLicence(t))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	const remedy = "run: go test ./cmd/internal/house -run Notice -update"
	for name, m := range linkedModules(t, runtime.GOOS) {
		switch {
		case kinds[name] == "":
			t.Errorf("%s is linked into a program: add its licence to the table of this test", name)
		case !strings.Contains(page, "\n"+m.row()+"\n"):
			t.Errorf("NOTICE has no row for %s %s: %s", name, m.version, remedy)
		case len(m.texts) == 0:
			t.Errorf("%s has no licence", name)
		}
		for file, licence := range m.texts {
			if !strings.Contains(page, "\n"+name+"/"+file+"\n") || !strings.Contains(page, licence) {
				t.Errorf("NOTICE does not have %s of %s: %s", file, name, remedy)
			}
		}
	}
	if licence := goLicence(t); !strings.Contains(page, licence) {
		t.Errorf("NOTICE does not have the licence of Go: %s", remedy)
	}
	modules, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for name, kind := range kinds {
		version := regexp.MustCompile(`(?m)^\t` + regexp.QuoteMeta(name) + ` (\S+)`).FindSubmatch(modules)
		if version == nil {
			t.Errorf("NOTICE has %s, which go.mod does not have: remove it from the table of this test", name)
		} else if m := (linked{path: name, version: string(version[1])}); !strings.Contains(page, "\n"+m.row()+"\n") {
			t.Errorf("NOTICE has no row for %s %s, %s: %s", name, m.version, kind, remedy)
		}
	}
}
