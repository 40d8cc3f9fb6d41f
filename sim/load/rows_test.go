package load

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bluetrace/scenarios"
)

func readRows(t *testing.T, text []byte) (rows []fileRow) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	for d.More() {
		var r fileRow
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	return rows
}

// TestEachOperationHasARow: the rows of a load with every outcome are the operations of its report, in both parts of the
// load, and so are their times.
func TestEachOperationHasARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := mishaps()
		for i := range c.Phones {
			c.Phones[i].Name = "phone-" + strconv.Itoa(i)
		}
		var out bytes.Buffer
		c.Rows = NewRows(&out, false)
		m := ran(t, c)
		c.Rows.Close()
		type group struct{ phase, kind, outcome string }
		count := map[group]uint64{}
		waited, phones, lost, notSent := uint64(0), map[string]bool{}, uint64(0), 0
		responses := map[string][]int64{}
		for _, r := range readRows(t, out.Bytes()) {
			count[group{r.Phase, r.Kind, r.Outcome}]++
			phones[r.Phone] = true
			switch {
			case r.Done == nil && (r.Kind != "beacon" || r.Outcome != "unknown"), r.Step != 0:
				t.Errorf("%+v", r)
			case r.Done == nil && r.Phase == "load":
				lost++
			case r.Sent == nil:
				notSent++
			}
			if r.Waited && r.Phase == "load" {
				waited++
			}
			if r.Phase == "load" && (r.Outcome == "ok" || r.Waited) {
				responses[r.Kind] = append(responses[r.Kind], *r.Done-r.Due)
			}
		}
		rows, begun := uint64(0), uint64(0)
		for i, f := range []*figures{m.warm, m.figures} {
			for o := range operations {
				for outcome, n := range f.kinds[o].outcomes {
					g := group{[]string{"warm-up", "load"}[i], scenarios.LoadOperations[o], Outcome(outcome).String()}
					if got := count[g]; got != n && (i == 1 || o != Beacon) { // lost beacons of the warm-up are not counted
						t.Errorf("%d rows %v, want %d", got, g, n)
					}
					if i == 1 {
						rows += count[g]
					}
				}
				if i == 1 {
					begun += m.tallies[1].begun[o].Load()
				}
			}
		}
		if l := m.Report(c.Traffic); rows != l.All.Count() || rows != begun || lost != l.Beacons.Lost || lost == 0 {
			t.Errorf("%d rows, %d operations began, the report has %d and lost %d beacons; %d rows without an end",
				rows, begun, l.All.Count(), l.Beacons.Lost, lost)
		}
		if want := m.tallies[1].waited[Upload].Load(); waited < want || want == 0 || notSent == 0 || len(phones) != 30 {
			t.Errorf("%d rows waited, want %d or more; %d not sent; %d phones", waited, want, notSent, len(phones))
		}
		for o := range operations {
			h := m.figures.kinds[o].response.HDR()
			of := responses[scenarios.LoadOperations[o]]
			slices.Sort(of)
			if n := len(of); int64(n) != h.TotalCount() || n > 0 && of[n-1] > h.Max() {
				t.Errorf("%s: %d response times up to %d, want %d up to %d", scenarios.LoadOperations[o], n, of[n-1],
					h.TotalCount(), h.Max())
			}
		}
	})
}

// TestRowsAsCSV: both forms have the same values, names are quoted, and the steps of a search have one time zero.
func TestRowsAsCSV(t *testing.T) {
	const name = "a \"b\", c"
	begin := time.Unix(100, 0)
	var texts [2]bytes.Buffer
	for i := range texts {
		r := NewRows(&texts[i], i == 1)
		r.begin(begin, 0)
		r.add(&Row{Operation: Login, Due: 1, Sent: 2, Done: 3}, name, false)
		r.begin(begin.Add(time.Second), 2)
		r.add(&Row{Operation: Upload, Outcome: Unknown, Waited: true, NotSent: true, Due: 5, Sent: 6, Done: 7},
			"p", true)
		r.add(&Row{Operation: Beacon, Outcome: Unknown, Lost: true, Due: 8, Sent: 9}, "p", true)
		r.Close()
	}
	want := `{"due":1,"sent":2,"done":3,"kind":"login","outcome":"ok","waited":false,"phone":"a \"b\", c","phase":"warm-up"}
{"due":1000000005,"done":1000000007,"kind":"upload","outcome":"unknown","waited":true,"phone":"p","phase":"load","step":2}
{"due":1000000008,"sent":1000000009,"kind":"beacon","outcome":"unknown","waited":false,"phone":"p","phase":"load","step":2}
`
	if texts[0].String() != want {
		t.Errorf("%s\nwant\n%s", &texts[0], want)
	}
	all, err := csv.NewReader(&texts[1]).ReadAll()
	if err != nil || len(all) != 4 || all[1][6] != name {
		t.Fatalf("%q, %v", all, err)
	}
	for i, row := range readRows(t, texts[0].Bytes()) {
		want := row.fields()
		if !slices.Equal(all[i+1], want) {
			t.Errorf("%q, want %q", all[i+1], want)
		}
	}
}

// blockedWriter is an output that takes nothing until the test allows it.
type blockedWriter struct {
	gate  chan error
	bytes int
}

func (w *blockedWriter) Write(p []byte) (int, error) {
	if err := <-w.gate; err != nil {
		return 0, err
	}
	w.bytes += len(p)
	return len(p), nil
}

// TestRowsAreBounded: of an output that stands still, rowBatches batches wait, and then the load. After its error the
// rest is dropped.
func TestRowsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &blockedWriter{gate: make(chan error)}
		r := NewRows(w, false)
		rows := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 2 * rowBatches * rowBatch {
				r.add(&Row{Operation: Login}, strings.Repeat("n", 100), true)
				rows++
			}
		}()
		synctest.Wait()
		if rows < rowBatches*rowBatch || rows > (rowBatches+4)*rowBatch {
			t.Errorf("%d rows are held", rows)
		}
		w.gate <- nil
		w.gate <- errors.New("full")
		<-done
		r.Close()
		if w.bytes != rowBuffer {
			t.Errorf("%d bytes are written", w.bytes)
		}
	})
}
