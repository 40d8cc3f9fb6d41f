package stats

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Schema is the version of the text of a second. It changes when a reader of
// an older version would misread a newer one.
const Schema = 1

// The geometry of a second's histogram: HDR with two significant digits, from
// 1 ns to an hour. A value is known within 0.8 %.
const (
	secondDigits  = 2
	secondLongest = int64(time.Hour)
	cellBits      = 7 // each doubling has 128 cells
)

// Limits of a decoded text.
const (
	maxSecondBytes = 1 << 16
	maxCellSamples = 1 << 40
)

// Cell is the index of a cell of a second's histogram, from the lowest on.
type Cell int32

// cells is the number of cells up to an hour.
var cells = int(CellOf(secondLongest)) + 1

// CellOf returns the cell of a duration in nanoseconds. A value outside 0 to an
// hour counts as the nearest end.
func CellOf(ns int64) Cell {
	v := uint64(min(max(0, ns), secondLongest))
	e := max(0, bits.Len64(v)-cellBits-1)
	return Cell(e<<cellBits) + Cell(v>>e)
}

// Low returns the lowest value of the cell, in nanoseconds.
func (c Cell) Low() int64 {
	if c < 2<<cellBits {
		return int64(c)
	}
	return int64(c&(1<<cellBits-1)|1<<cellBits) << (c>>cellBits - 1)
}

// High returns the lowest value above the cell, in nanoseconds.
func (c Cell) High() int64 { return c.Low() + c.width() }

// Top returns the highest value of the cell, in nanoseconds.
func (c Cell) Top() int64 { return c.High() - 1 }

func (c Cell) width() int64 { return 1 << max(0, c>>cellBits-1) }

// Second counts the samples of one second by cell while they are recorded.
type Second map[Cell]uint32

// Bin is a cell with its number of samples.
type Bin struct {
	Cell  Cell
	Count uint64
}

// Bins returns the samples in the order of their cells.
func (s Second) Bins() []Bin {
	bins := make([]Bin, 0, len(s))
	for cell, n := range s {
		bins = append(bins, Bin{cell, uint64(n)})
	}
	slices.SortFunc(bins, func(a, b Bin) int { return cmp.Compare(a.Cell, b.Cell) })
	return bins
}

// EncodeSecond returns the text of a second: an HDR histogram in nanoseconds, in
// the compressed V2 form of the HdrHistogram libraries in base64. The text of a
// second without samples is empty.
func EncodeSecond(bins []Bin) (string, error) {
	if len(bins) == 0 {
		return "", nil
	}
	h := hdrhistogram.NewPacked(1, secondLongest, secondDigits)
	for _, b := range bins {
		if err := h.RecordValues(min(b.Cell.Top(), secondLongest), int64(b.Count)); err != nil {
			return "", fmt.Errorf("encoding %d samples of %d ns: %w", b.Count, b.Cell.Low(), err)
		}
	}
	text, err := h.Encode()
	if err != nil {
		return "", fmt.Errorf("encoding a second: %w", err)
	}
	return string(text), nil
}

// DecodeSecond reads a text of EncodeSecond and returns its bins in the order of
// their cells. It accepts no other geometry, and its memory is limited for any
// text.
func DecodeSecond(text string) ([]Bin, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxSecondBytes {
		return nil, fmt.Errorf("a second's histogram of %d bytes: must be at most %d", len(text), maxSecondBytes)
	}
	if err := checkGeometry(text); err != nil {
		return nil, err
	}
	h, err := hdrhistogram.DecodePacked([]byte(text))
	if err != nil {
		return nil, err
	}
	var bins []Bin
	for low, count := range h.ForEachBucket {
		if count > maxCellSamples {
			return nil, fmt.Errorf("%d samples in one cell: must be at most %d", count, uint64(maxCellSamples))
		}
		bins = append(bins, Bin{CellOf(low), uint64(count)})
	}
	return bins, nil
}

// checkGeometry reads the header alone, before the decoder allocates as much as
// the header asks for.
func checkGeometry(text string) error {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	const outer = 8
	if len(raw) < outer {
		return errors.New("too short for an HDR histogram")
	}
	z, err := zlib.NewReader(bytes.NewReader(raw[outer:]))
	if err != nil {
		return fmt.Errorf("not a compressed HDR histogram: %w", err)
	}
	var header struct {
		Cookie, Length, Offset, Digits int32
		Lowest, Highest                int64
	}
	if err := binary.Read(z, binary.BigEndian, &header); err != nil {
		return fmt.Errorf("not a compressed HDR histogram: %w", err)
	}
	if header.Digits != secondDigits || header.Lowest != 1 || header.Highest != secondLongest {
		return fmt.Errorf("a histogram of %d digits from %d to %d: expected %d digits from 1 to %d",
			header.Digits, header.Lowest, header.Highest, secondDigits, secondLongest)
	}
	return nil
}

// Counts holds the number of samples of each cell.
type Counts struct {
	samples   []uint64 // by cell
	total     uint64
	low, high Cell // the range of cells that may hold samples: low to high-1
}

// NewCounts returns counts without samples.
func NewCounts() *Counts { return &Counts{samples: make([]uint64, cells), low: Cell(cells)} }

// Reset removes all samples.
func (c *Counts) Reset() {
	if c.total > 0 {
		clear(c.samples[c.low:c.high])
	}
	c.total, c.low, c.high = 0, Cell(cells), 0
}

// Add adds samples, whose cells are in order.
func (c *Counts) Add(bins []Bin) {
	if len(bins) == 0 {
		return
	}
	for _, b := range bins {
		c.samples[b.Cell] += b.Count
		c.total += b.Count
	}
	c.low, c.high = min(c.low, bins[0].Cell), max(c.high, bins[len(bins)-1].Cell+1)
}

// Bins returns the cells that hold samples, in order.
func (c *Counts) Bins() []Bin {
	var bins []Bin
	for i := c.low; i < c.high; i++ {
		if n := c.samples[i]; n > 0 {
			bins = append(bins, Bin{i, n})
		}
	}
	return bins
}

// Total returns the number of samples.
func (c *Counts) Total() uint64 { return c.total }

// Quantile returns the cell that holds the quantile q, from 0 to 1, and the
// share of the cell's samples that are at or below the quantile. It reports
// false without a sample.
func (c *Counts) Quantile(q float64) (cell Cell, share float64, ok bool) {
	want, seen := q*float64(c.total)*(1-1e-12), 0.0 // the factor absorbs rounding
	for i := c.low; i < c.high; i++ {
		k := float64(c.samples[i])
		if k > 0 && seen+k >= want {
			return i, (want - seen) / k, true
		}
		seen += k
	}
	return c.high - 1, 1, c.total > 0
}

// Mean returns the mean in nanoseconds, with each sample at the middle of its
// cell. It reports false without a sample.
func (c *Counts) Mean() (float64, bool) {
	sum := 0.0
	for i := c.low; i < c.high; i++ {
		if k := c.samples[i]; k > 0 {
			sum += float64(k) * float64(i.Low()+i.High()) / 2
		}
	}
	return sum / max(float64(c.total), 1), c.total > 0
}

// Row is a row of a heatmap of durations with its number of samples. Row k is from 10^(k/8) ns on, so that a factor of
// ten has eight rows. A duration below a microsecond counts as one.
type Row struct {
	Index int
	Count uint64
}

const rowsPerDecade = 8

// Rows returns the rows that hold samples, whose bins are in order.
func Rows(bins []Bin) (rows []Row) {
	for _, b := range bins {
		middle := max(1000, float64(b.Cell.Low()+b.Cell.High())/2)
		k := int(math.Floor(rowsPerDecade * math.Log10(middle)))
		if last := len(rows) - 1; last >= 0 && rows[last].Index == k {
			rows[last].Count += b.Count
		} else {
			rows = append(rows, Row{k, b.Count})
		}
	}
	return rows
}

// RowLow returns the lowest duration of the row with an index, in nanoseconds.
func RowLow(index int) float64 { return math.Pow(10, float64(index)/rowsPerDecade) }
