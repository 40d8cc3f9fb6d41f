package load

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"sync"
	"time"

	"bluetrace/scenarios"
)

// Rows writes one row for each operation of a load, when the operation has ended (docs/EVENTS.md). A goroutine encodes
// the rows. If the output is so slow that rowBatches batches wait for it, the load waits too.
type Rows struct {
	full  chan []rowOf
	ended chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex
	batch  []rowOf
	zero   time.Time     // of the times in the rows
	offset time.Duration // of the times of the run after zero
	step   int           // of a search, from 1
	closed bool
}

// rowOf is a row with its phone and its part of the load.
type rowOf struct {
	Row
	phone    string
	measured bool
	offset   time.Duration
	step     int
}

const (
	rowBatch   = 512 // rows
	rowBatches = 64
	rowBuffer  = 64 << 10 // bytes
)

// fileRow is a row of the file.
type fileRow struct {
	Due     int64  `json:"due"`
	Sent    *int64 `json:"sent,omitempty"`
	Done    *int64 `json:"done,omitempty"`
	Kind    string `json:"kind"`
	Outcome string `json:"outcome"`
	Waited  bool   `json:"waited"`
	Phone   string `json:"phone"`
	Phase   string `json:"phase"`
	Step    int    `json:"step,omitempty"`
}

// NewRows returns a writer of rows, as CSV with a header or as NDJSON. After an error of w it writes nothing more. It
// must be closed.
func NewRows(w io.Writer, asCSV bool) *Rows {
	r := &Rows{full: make(chan []rowOf, rowBatches), ended: make(chan struct{})}
	out := bufio.NewWriterSize(w, rowBuffer) // it keeps its first error
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encode := func(row *fileRow) error { return encoder.Encode(row) }
	flush := out.Flush
	if asCSV {
		table := csv.NewWriter(out)
		encode = func(row *fileRow) error { return table.Write(row.fields()) }
		flush = func() error { table.Flush(); return table.Error() }
		_ = table.Write([]string{"due", "sent", "done", "kind", "outcome", "waited", "phone", "phase", "step"})
	}
	go func() {
		defer close(r.ended)
		var err error
		for batch := range r.full {
			for i := 0; i < len(batch) && err == nil; i++ {
				err = encode(batch[i].inFile())
			}
		}
		_ = flush() // the caller sees the errors of w
	}()
	return r
}

// Close writes the rest. A row that comes after it is dropped.
func (r *Rows) Close() {
	r.mu.Lock()
	r.closed = true
	r.full <- r.batch
	close(r.full)
	r.mu.Unlock()
	<-r.ended
}

// begin begins a load, whose time 0 is at. The times of all rows count from the first load. The step is that of a
// search, or 0.
func (r *Rows) begin(at time.Time, step int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.zero.IsZero() {
		r.zero = at
	}
	r.offset, r.step = at.Sub(r.zero), step
}

// add adds a row.
func (r *Rows) add(row *Row, phone string, measured bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.batch = append(r.batch, rowOf{*row, phone, measured, r.offset, r.step})
	if len(r.batch) == rowBatch {
		r.full <- r.batch
		r.batch = make([]rowOf, 0, rowBatch)
	}
}

func (r *rowOf) inFile() *fileRow {
	due, sent, done := int64(r.Due+r.offset), int64(r.Sent+r.offset), int64(r.Done+r.offset)
	f := &fileRow{Due: due, Sent: &sent, Done: &done, Kind: scenarios.LoadOperations[r.Operation],
		Outcome: r.Outcome.String(), Waited: r.Waited, Phone: r.phone, Phase: "warm-up", Step: r.step}
	if r.NotSent {
		f.Sent = nil
	}
	if r.Lost {
		f.Done = nil
	}
	if r.measured {
		f.Phase = "load"
	}
	return f
}

// fields returns the row as CSV has it.
func (f *fileRow) fields() []string {
	number := func(n *int64) string {
		if n == nil {
			return ""
		}
		return strconv.FormatInt(*n, 10)
	}
	step := ""
	if f.Step > 0 {
		step = strconv.Itoa(f.Step)
	}
	return []string{number(&f.Due), number(f.Sent), number(f.Done), f.Kind, f.Outcome, strconv.FormatBool(f.Waited),
		f.Phone, f.Phase, step}
}
