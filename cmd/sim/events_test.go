package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/export"
)

// TestEvents: the file of --events has as many events as the result counts, and is equal in each run.
func TestEvents(t *testing.T) {
	skipShort(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "events.ndjson")
	var first []byte
	for range 2 {
		b := newBench()
		b.program.load, b.program.engine = scenarios.Load, sim.Run
		got := b.command(t.Context(), []string{"run", "--events", path, "--report", "json", "../../scenarios/classroom.yaml"})
		if got != statusPassed {
			t.Fatalf("status %d\n%s", got, b.err.String())
		}
		var run reports.Run
		if err := json.Unmarshal(b.out.Bytes(), &run); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = text
		} else if !bytes.Equal(first, text) {
			t.Error("the second run has other events")
		}
		count := map[string]uint64{}
		before := int64(0)
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			var row export.Row
			d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
			d.DisallowUnknownFields()
			if err := d.Decode(&row); err != nil {
				t.Fatalf("%v: %s", err, lines.Text())
			}
			if row.At < before {
				t.Errorf("%s is before %d", lines.Text(), before)
			}
			before = row.At
			count[row.Kind]++
		}
		for kind, want := range map[string]uint64{
			"beacon_sent": run.Beacons.Sent, "datagram_delivered": run.Datagrams.Delivered,
			"datagram_lost": run.Datagrams.Lost,
		} {
			if count[kind] != want || want == 0 {
				t.Errorf("%d events %s, want %d", count[kind], kind, want)
			}
		}
	}
	b := newBench()
	if got := b.command(t.Context(), []string{"run", "--events", path, "a.yaml", "b.yaml"}); got != statusInvalid {
		t.Errorf("two files: status %d\n%s", got, b.err.String())
	}
}

// TestPcap: --pcap writes the packets of one run in virtual time, whole or as one node sees them.
func TestPcap(t *testing.T) {
	const scenario = "../../scenarios/classroom.yaml"
	path := filepath.Join(t.TempDir(), "run.pcapng")
	sizes := map[string]int64{}
	for _, c := range []struct {
		arguments []string
		want      status
		message   string
	}{
		{[]string{scenario}, statusPassed, ""},
		{[]string{"--pcap-at", "pupil-3", scenario}, statusPassed, ""},
		{[]string{"--pcap-at", "nemo", scenario}, statusInvalid, `unknown node "nemo" of --pcap-at`},
		{[]string{"--live", scenario}, statusInvalid, "--pcap needs virtual time"},
		{[]string{scenario, "../../scenarios/west.yaml"}, statusInvalid, "--pcap writes the events of one scenario"},
	} {
		b := newBench()
		b.program.load, b.program.engine = scenarios.Load, sim.Run
		got := b.command(t.Context(), append([]string{"run", "--pcap", path}, c.arguments...))
		if got != c.want || !strings.Contains(b.err.String(), c.message) {
			t.Errorf("%q: status %d\n%s", c.arguments, got, b.err.String())
		}
		if stat, err := os.Stat(path); err != nil {
			t.Error(err)
		} else if c.want == statusPassed {
			sizes[c.arguments[0]] = stat.Size()
		}
	}
	if sizes["--pcap-at"]*2 > sizes[scenario] || sizes["--pcap-at"] == 0 {
		t.Errorf("sizes %v", sizes)
	}
	b := newBench()
	if got := b.command(t.Context(), []string{"run", "--pcap-at", "server", scenario}); got != statusInvalid {
		t.Errorf("--pcap-at without --pcap: status %d\n%s", got, b.err.String())
	}
}

// TestPerfettoFlag: --perfetto writes its file.
func TestPerfettoFlag(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.perfetto-trace")
	b := newBench()
	b.program.load, b.program.engine = scenarios.Load, sim.Run
	got := b.command(t.Context(), []string{"run", "--perfetto", path, "../../scenarios/west.yaml"})
	if stat, err := os.Stat(path); got != statusPassed || err != nil || stat.Size() == 0 {
		t.Errorf("status %d, %v\n%s", got, err, b.err.String())
	}
}

// TestEventsOfALoad: the file of --events has a row for each operation that the report counts, with the fields of the
// document's example, as JSON and as CSV.
func TestEventsOfALoad(t *testing.T) {
	document, err := os.ReadFile("../../docs/EVENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(document), "```json\n")
	example, _, _ = strings.Cut(example, "```")
	documented := map[string]bool{}
	for line := range strings.Lines(example) {
		for name := range fieldsOf(t, []byte(line)) {
			documented[name] = true
		}
	}
	for _, name := range []string{"operations.ndjson", "operations.csv"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			b := newBench()
			b.program.load, b.program.engine = scenarios.Load, sim.Run
			b.ownServer = []string{os.Args[0], serverCommand}
			t.Setenv(asProgram, "1") // for the server
			file := filepath.Join(t.TempDir(), "small.yaml")
			writeFile(t, file, smallLoad)
			got := b.command(t.Context(), []string{"run", "--events", path, "--report", "json", file})
			var run reports.Run
			if err := json.Unmarshal(b.out.Bytes(), &run); err != nil || got != statusPassed {
				t.Fatalf("status %d, %v\n%s", got, err, b.err.String())
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			rows, isCSV := uint64(0), strings.HasSuffix(name, ".csv")
			for line := range bytes.Lines(text) {
				switch {
				case !isCSV && bytes.Contains(line, []byte(`"phase":"load"`)):
					for field := range fieldsOf(t, line) {
						if !documented[field] {
							t.Errorf("the example has no %s", field)
						}
					}
					rows++
				case bytes.HasSuffix(line, []byte(",load,\n")):
					rows++
				}
			}
			if all := run.Load.All; rows != all.OK+all.Failed+all.Unknown || rows == 0 {
				t.Errorf("%d rows, the report counts %+v", rows, all)
			}
			if header, _, _ := strings.Cut(string(text), "\n"); isCSV {
				for _, field := range strings.Split(header, ",") {
					if !strings.Contains(string(document), "| `"+field+"` |") {
						t.Errorf("the document has no %s", field)
					}
				}
			}
		})
	}
	b := newBench()
	got := b.command(t.Context(), []string{"run", "--events", filepath.Join(t.TempDir(), "a.csv"), "held.yaml"})
	if want := "only the events of a load can be CSV"; got != statusInvalid || !strings.Contains(b.err.String(), want) {
		t.Errorf("no load: status %d\n%s", got, b.err.String())
	}
}

// smallLoad lasts half a second. It passes on a machine of any speed.
const smallLoad = `name: small
phones: [{name: a, count: 20, password_pause: 0s}]
load:
  executor: constant-arrival-rate
  rate: 20
  duration: 300ms
  warm_up: 200ms
  session: [login, Download_tempID, Beacon, log out]
  expected: {connect: 10ms, login: 10ms, tempid: 10ms}
  generator: {lag: 1m, cpu: 100%}
thresholds: {beacons_lost: "count>=0", operations_unknown: "count>=0"}
`

func fieldsOf(t *testing.T, line []byte) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(line, &fields); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return fields
}
