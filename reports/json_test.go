package reports

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func jsonOf(t *testing.T, runs ...*Run) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := JSON(&b, runs); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestJSONNamesAndValues(t *testing.T) {
	got := map[string]any{}
	if err := json.Unmarshal(jsonOf(t, passedRun(t)), &got); err != nil {
		t.Fatal(err)
	}
	checks := got["checks"].([]any)
	delete(got, "checks")
	want := map[string]any{
		"scenario": "classroom", "file": "scenarios/classroom.yaml", "about": "A lesson.", "world": "virtual",
		"seed": 7.0, "digest": "00c0ffee00c0ffee", "verdict": "passed",
		"repeat":          "sim run --seed 7 scenarios/classroom.yaml",
		"virtual_seconds": 2700.0, "wall_seconds": 0.05, "format": 1.0, "events": 1234567.0, "phones": 27.0,
		"peak_rss_bytes": float64(20 << 20),
		"beacons": map[string]any{"sent": 14100.0, "delivered": 14000.0, "valid": 13999.0, "invalid": 1.0,
			"kept": 13998.0, "expired": 13001.0},
		"datagrams": map[string]any{"sent": 56400.0, "delivered": 55800.0, "lost": 598.0, "in_flight": 2.0},
		"sessions":  map[string]any{"opened": 26.0, "closed": 3.0},
		"logins":    map[string]any{"welcomed": 25.0, "wrong": 4.0, "blocked": 5.0, "refused": 6.0},
		"tempids":   map[string]any{"issued": 104.0},
		"uploads":   map[string]any{"complete": 8.0, "broken": 9.0, "entries": 72.0, "resolved": 71.0},
		"operations": []any{
			map[string]any{"name": "beacon", "count": 4.0, "delay_ms": map[string]any{
				"min": 0.999936, "mean": 2.50016, "p50": 2.000895, "p90": 4.001791, "p95": 4.001791, "p99": 4.001791,
				"max": 4.001791}},
			map[string]any{"name": "tempid", "count": 1.0, "delay_ms": map[string]any{
				"min": 19.98848, "mean": 19.996672, "p50": 20.004863, "p90": 20.004863, "p95": 20.004863,
				"p99": 20.004863, "max": 20.004863}},
		},
		"throughput": map[string]any{"beacons_per_virtual_second": 14000.0 / 2700, "beacons_per_wall_second": 280000.0,
			"events_per_wall_second": 24691340.0, "virtual_per_wall": 54000.0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if first := checks[0].(map[string]any)["name"]; first != "beacons.valid > 1000" || len(checks) != 3 {
		t.Errorf("%d checks, the first %v", len(checks), first)
	}
}

func TestJSONNumbersAreFiniteAndListsAreLists(t *testing.T) {
	at := math.NaN()
	r := &Run{VirtualSeconds: math.Inf(1), WallSeconds: math.NaN(), Checks: []Check{{Verdict: Failed, AtSeconds: &at}}}
	r.Operations = []Operation{{Name: "none"}}
	var got struct {
		Virtual    *float64 `json:"virtual_seconds"`
		Wall       *float64 `json:"wall_seconds"`
		Throughput Throughput
		Operations []struct {
			Count   int64
			DelayMs Delays `json:"delay_ms"`
		}
		Checks []struct {
			At *float64 `json:"at_seconds"`
		}
	}
	if err := json.Unmarshal(jsonOf(t, r), &got); err != nil {
		t.Fatal(err)
	}
	if *got.Virtual != 0 || *got.Wall != 0 || got.Throughput != (Throughput{}) || *got.Checks[0].At != 0 ||
		got.Operations[0].DelayMs != (Delays{}) {
		t.Errorf("got %+v", got)
	}
	if !math.IsNaN(*r.Checks[0].AtSeconds) {
		t.Error("the run itself was changed")
	}
	if empty := string(jsonOf(t, &Run{})); !strings.Contains(empty, `"operations": [],`) ||
		!strings.Contains(empty, `"checks": [],`) {
		t.Errorf("empty lists are not lists:\n%s", empty)
	}
}

func TestJSONHasExpectedAndFoundOfEveryFailedCheck(t *testing.T) {
	r := &Run{Checks: []Check{{Verdict: Failed}, {Verdict: Passed}, {Verdict: Passed, Found: "2 < 3"},
		{Verdict: Unknown}}}
	var got struct{ Checks []map[string]any }
	if err := json.Unmarshal(jsonOf(t, r), &got); err != nil {
		t.Fatal(err)
	}
	for i, want := range []map[string]any{{"expected": "", "found": ""}, {}, {"found": "2 < 3"}, {}} {
		for _, name := range []string{"expected", "found"} {
			if diff := cmp.Diff(want[name], got.Checks[i][name]); diff != "" {
				t.Errorf("check %d, %s: %s", i, name, diff)
			}
		}
	}
}

func TestJSONOfSeveralRunsIsAStreamOfObjects(t *testing.T) {
	d := json.NewDecoder(bytes.NewReader(jsonOf(t, passedRun(t), failedRun())))
	var names []string
	for {
		var one struct{ Scenario string }
		if err := d.Decode(&one); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		names = append(names, one.Scenario)
	}
	if diff := cmp.Diff([]string{"classroom", "blocking"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestJSONKeepsTextsWhole(t *testing.T) {
	var got Run
	if err := json.Unmarshal(jsonOf(t, hostileRun()), &got); err != nil {
		t.Fatal(err)
	}
	want := strings.ToValidUTF8(hostile, "\ufffd\ufffd")
	if got.Scenario != want || got.Checks[0].LastEvents[0] != want {
		t.Errorf("got %q, want %q", got.Scenario, want)
	}
}

// TestEveryJSONNameIsDocumented compares the fields of Run and of the types in it
// with docs/RESULTS.md.
func TestEveryJSONNameIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	names := append(jsonNames(reflect.TypeFor[document]()), "delay_ms", "delay_ms.min", "delay_ms.p99", "count")
	if len(names) < 60 {
		t.Fatalf("only %d names found: %v", len(names), names)
	}
	for _, name := range names {
		if !bytes.Contains(page, []byte("`"+name+"`")) {
			t.Errorf("docs/RESULTS.md does not name `%s`", name)
		}
	}
}

// jsonNames returns the dotted names of the fields of t. The names in an element of
// a list have no prefix.
func jsonNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if name == "-" {
			continue
		}
		if name != "" {
			names = append(names, name)
		}
		if inner.Kind() != reflect.Struct {
			continue
		}
		for _, below := range jsonNames(inner) {
			if name != "" && name != "all" && f.Type.Kind() == reflect.Struct { // all is as an element of a list
				below = name + "." + below
			}
			names = append(names, below)
		}
	}
	return names
}
