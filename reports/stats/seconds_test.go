package stats

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
)

// encode returns the text of a second with the given number of samples of
// each value in nanoseconds.
func encode(samples map[int64]uint32) (string, error) {
	s := Second{}
	for v, n := range samples {
		s[CellOf(v)] += n
	}
	return EncodeSecond(s.Bins())
}

func TestCellsAreNarrow(t *testing.T) {
	for v := int64(0); v < secondLongest; v += 1 + v/77 {
		c := CellOf(v)
		if c.Low() > v || c.Top() < v || float64(c.Top()-c.Low()) > 0.008*float64(v) {
			t.Fatalf("%d is in the cell %d to %d", v, c.Low(), c.Top())
		}
		if CellOf(c.Low()) != c || CellOf(c.Top()) != c || c.High() <= secondLongest && CellOf(c.High()) != c+1 {
			t.Fatalf("the cell of %d is not %d to %d", v, c.Low(), c.Top())
		}
	}
}

func TestQuantilesAndMean(t *testing.T) {
	c := NewCounts()
	if _, _, ok := c.Quantile(.5); ok {
		t.Error("a quantile without a sample")
	}
	if _, ok := c.Mean(); ok {
		t.Error("a mean without a sample")
	}
	for range 2 { // also after Reset
		c.Reset()
		c.Add([]Bin{{CellOf(10), 90}, {CellOf(200), 10}})
		for _, want := range []struct {
			q     float64
			low   int64
			share float64
		}{{0, 10, 0}, {.45, 10, .5}, {.9, 10, 1}, {.95, 200, .5}, {1, 200, 1}} {
			cell, share, ok := c.Quantile(want.q)
			if !ok || cell.Low() != want.low || math.Abs(share-want.share) > 1e-9 {
				t.Errorf("quantile %g: cell %d, share %g, %v; want %d, %g", want.q, cell.Low(), share, ok, want.low,
					want.share)
			}
		}
		if mean, ok := c.Mean(); !ok || math.Abs(mean-29.5) > 1e-9 || c.Total() != 100 {
			t.Errorf("mean %g (%v) of %d; want 29.5 of 100", mean, ok, c.Total())
		}
	}
}

// TestAResampledRunHasItsSeconds checks that a run with equal seconds has the same
// sum in every resample, although the last block is cut.
func TestAResampledRunHasItsSeconds(t *testing.T) {
	draws := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 8, 10, 23, 100} {
		var seconds [][]Bin
		for range n {
			seconds = append(seconds, []Bin{{CellOf(1000), 3}})
		}
		b := NewBlocks(seconds)
		for range 20 {
			sum := NewCounts()
			b.AddTo(sum, DrawBlocks(n, draws, nil))
			if sum.Total() != uint64(3*n) {
				t.Fatalf("%d seconds: %d samples, want %d", n, sum.Total(), 3*n)
			}
		}
	}
}

// TestAResampledRunHasTheDrawnSeconds: each block has the seconds from its first one on, round the end of the run, and
// the last block is cut. A second may be empty.
func TestAResampledRunHasTheDrawnSeconds(t *testing.T) {
	seconds := make([][]Bin, 10) // blocks of three
	for i := range seconds {
		if i != 3 {
			seconds[i] = []Bin{{Cell(i), 1 << i}}
		}
	}
	b, sum := NewBlocks(seconds), NewCounts()
	for _, c := range []struct{ starts, drawn []int }{
		{[]int{0, 3, 6, 9}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{[]int{9, 2, 8, 5}, []int{9, 0, 1, 2, 3, 4, 8, 9, 0, 5}},
		{[]int{4, 4, 4, 3}, []int{4, 5, 6, 4, 5, 6, 4, 5, 6}},
	} {
		want := make([]Bin, len(seconds))
		for _, second := range c.drawn {
			want[second] = Bin{Cell(second), want[second].Count + 1<<second}
		}
		want = slices.DeleteFunc(want, func(bin Bin) bool { return bin.Count == 0 || bin.Cell == 3 })
		sum.Reset()
		b.AddTo(sum, c.starts)
		if d := cmp.Diff(want, sum.Bins()); d != "" {
			t.Errorf("blocks from %v: %s", c.starts, d)
		}
	}
}

// TestDrawnBlocksFillTheRun: as many blocks are drawn as the run has, and each second begins some.
func TestDrawnBlocksFillTheRun(t *testing.T) {
	draws := rand.New(rand.NewPCG(1, 2))
	starts := []int{-1, -1}
	for _, c := range []struct{ seconds, length, blocks int }{
		{1, 1, 1}, {2, 1, 2}, {3, 2, 2}, {8, 3, 3}, {9, 3, 3}, {10, 3, 4}, {12, 3, 4}, {13, 4, 4}, {100, 10, 10},
		{101, 10, 11},
	} {
		seen := map[int]bool{}
		for range 2000 {
			if starts = DrawBlocks(c.seconds, draws, starts); len(starts) != c.blocks {
				t.Fatalf("%d seconds: %d blocks, want %d", c.seconds, len(starts), c.blocks)
			}
			for _, start := range starts {
				seen[start] = true
			}
		}
		if length := BlockLength(c.seconds); length != c.length || len(seen) != c.seconds || !seen[0] ||
			!seen[c.seconds-1] {
			t.Errorf("%d seconds: blocks of %d, want %d; first seconds %v", c.seconds, length, c.length, seen)
		}
	}
}

func TestBarsAreTheDistribution(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, layout := range []struct {
		least  int64
		digits int
	}{{1, 3}, {1, 1}, {1, 2}, {1, 4}, {1000, 3}, {1500, 2}} {
		h := hdrhistogram.New(layout.least, int64(24*time.Hour), layout.digits)
		for range 20_000 {
			if err := h.RecordValue(int64(math.Exp(random.Float64() * math.Log(8e13)))); err != nil {
				t.Fatal(err)
			}
		}
		var want, got []Bar
		for _, b := range h.Distribution() {
			if b.Count > 0 {
				want = append(want, Bar{b.From, b.From + (b.To-b.From+1)/2, b.Count})
			}
		}
		for c := range Bars(h) {
			got = append(got, c)
		}
		if !slices.Equal(got, want) || len(got) < 100 {
			t.Errorf("%+v: %d cells, want %d", layout, len(got), len(want))
		}
	}
}

// BenchmarkEncodeSecond encodes a second of 1,000 samples in 500 cells.
func BenchmarkEncodeSecond(b *testing.B) {
	second := Second{}
	for i := range int64(1000) {
		second[CellOf(100_000+i*i*3)]++
	}
	size := 0
	for b.Loop() {
		text, err := EncodeSecond(second.Bins())
		if err != nil {
			b.Fatal(err)
		}
		size = len(text)
	}
	b.ReportMetric(float64(size), "bytes")
}

// hostileSecond returns the text of a histogram with a given header.
func hostileSecond(t *testing.T, digits int32, lowest, highest int64, payload []byte) string {
	t.Helper()
	var inner, packed, out bytes.Buffer
	for _, v := range []any{int32(0x1c849313), int32(len(payload)), int32(0), digits, lowest, highest, 1.0, payload} {
		if err := binary.Write(&inner, binary.BigEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(inner.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{int32(0x1c849314), int32(packed.Len()), packed.Bytes()} {
		if err := binary.Write(&out, binary.BigEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	return base64.StdEncoding.EncodeToString(out.Bytes())
}

// TestHostileSeconds checks that a small text allocates little memory, and that a
// count that would overflow is an error.
func TestHostileSeconds(t *testing.T) {
	const hour = 3_600_000_000_000
	for _, c := range []struct{ name, text, want string }{
		{"a wide geometry", hostileSecond(t, 5, 1, 1<<62, []byte{2}),
			"a histogram of 5 digits from 1 to 4611686018427387904: expected 2 digits from 1 to 3600000000000"},
		{"other digits", hostileSecond(t, 3, 1, hour, []byte{2}), "a histogram of 3 digits from 1 to 3600000000000: "},
		{"another least value",
			hostileSecond(t, 2, 2, hour, []byte{2}), "a histogram of 2 digits from 2 to 3600000000000: "},
		{"another longest value",
			hostileSecond(t, 2, 1, hour+1, []byte{2}), "a histogram of 2 digits from 1 to 3600000000001: "},
		{"a bomb", hostileSecond(t, 2, 1, hour, make([]byte, 1<<20)), "exceeds the maximum"},
		{"a run of zeros beyond the end", hostileSecond(t, 2, 1, hour, []byte{0xff, 0xff, 0xff, 0x7f}), "zero-run"},
		{"too many samples", hostileSecond(t, 2, 1, hour, []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}),
			"samples in one cell"},
		{"no base64", "????", "illegal base64"},
		{"a long text", strings.Repeat("A", 1<<17), "a second's histogram of 131072 bytes"},
	} {
		if _, err := DecodeSecond(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestSecondsComeBack(t *testing.T) {
	text, err := encode(map[int64]uint32{0: 1, 5: 2, 255: 3, 1_000_000: 4, 1_000_001: 1, 1 << 60: 1})
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeSecond(text)
	want := []Bin{{CellOf(0), 1}, {CellOf(5), 2}, {CellOf(255), 3}, {CellOf(1_000_000), 5}, {CellOf(3_600_000_000_000),
		1}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v\n%s", err, d)
	}
	if empty, err := EncodeSecond(nil); empty != "" || err != nil {
		t.Errorf("nothing is %q, %v", empty, err)
	}
}

// TestRowsHaveEverySample checks that a duration is in the row of its cell, and that no sample is lost.
func TestRowsHaveEverySample(t *testing.T) {
	var bins []Bin
	for v := int64(1); v < secondLongest; v += 1 + v/9 {
		bins = append(bins, Bin{CellOf(v), 2})
	}
	rows, total := Rows(bins), uint64(0)
	for i, r := range rows {
		total += r.Count
		if i > 0 && r.Index <= rows[i-1].Index {
			t.Fatalf("row %d after %d", r.Index, rows[i-1].Index)
		}
	}
	if total != 2*uint64(len(bins)) || len(rows) > 13*rowsPerDecade {
		t.Errorf("%d rows with %d samples, want %d", len(rows), total, 2*len(bins))
	}
	got := Rows([]Bin{{CellOf(1_100_000), 3}, {CellOf(1_200_000), 4}, {CellOf(99_000_000), 1}})
	if d := cmp.Diff([]Row{{48, 7}, {63, 1}}, got); d != "" || RowLow(48) != 1e6 {
		t.Errorf("row 48 from %g ns\n%s", RowLow(48), d)
	}
}

func FuzzDecodeSecond(f *testing.F) {
	text, err := encode(map[int64]uint32{5: 2, 1_000_000: 4})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		bins, err := DecodeSecond(text)
		for i, c := range bins {
			if err != nil || c.Count == 0 || i > 0 && bins[i-1].Cell >= c.Cell {
				t.Errorf("%v of %v, %v", c, bins, err)
			}
		}
	})
}
