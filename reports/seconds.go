package reports

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// SecondsSchema is the version of Histograms. It changes when a reader of an
// older one would misread a newer.
const SecondsSchema = 1

// Of the histograms of a second: a value is known within 0.8 %.
const (
	secondDigits  = 2
	secondLongest = int64(time.Hour)
)

// maxSecond is the longest text of one second that is read, and the most
// samples of one cell.
const (
	maxSecond      = 1 << 16
	maxCellSamples = 1 << 40
)

// Histograms are the times of a load, second by second.
type Histograms struct {
	Schema     int                   `json:"schema"`
	Operations []OperationHistograms `json:"operations"`
}

// OperationHistograms has a text for each second in which an operation was due,
// from the first after the warm-up on; see EncodeSecond.
type OperationHistograms struct {
	Name     string   `json:"name"`
	Response []string `json:"response"`
	Service  []string `json:"service"`
}

// EncodeSecond writes how many samples each value has, in nanoseconds: an HDR
// histogram of two digits from 1 ns to an hour in the library's own compressed
// form, V2 in base64. A value beyond an hour counts as one. Nothing is the empty
// text.
func EncodeSecond(samples map[int64]uint64) (string, error) {
	if len(samples) == 0 {
		return "", nil
	}
	h := hdrhistogram.NewPacked(1, secondLongest, secondDigits)
	for _, v := range slices.Sorted(maps.Keys(samples)) {
		if err := h.RecordValues(min(max(v, 0), secondLongest), int64(samples[v])); err != nil {
			return "", fmt.Errorf("encoding %d samples of %d ns: %w", samples[v], v, err)
		}
	}
	text, err := h.Encode()
	if err != nil {
		return "", fmt.Errorf("encoding a second: %w", err)
	}
	return string(text), nil
}

// Cell is a cell of an HDR histogram that holds samples: those of at least Low
// and less than High, in nanoseconds.
type Cell struct {
	Low, High int64
	Count     uint64
}

// DecodeSecond reads what EncodeSecond wrote: its cells from the least on. It
// takes no other geometry, and little memory whatever the text is.
func DecodeSecond(text string) ([]Cell, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxSecond {
		return nil, fmt.Errorf("%d bytes are too many for the histogram of a second; the most are %d", len(text), maxSecond)
	}
	if err := ofASecond(text); err != nil {
		return nil, err
	}
	h, err := hdrhistogram.DecodePacked([]byte(text))
	if err != nil {
		return nil, err
	}
	var cells []Cell
	for low, count := range h.ForEachBucket {
		if count > maxCellSamples {
			return nil, fmt.Errorf("%d samples in one cell; the most are %d", count, uint64(maxCellSamples))
		}
		cells = append(cells, Cell{low, low + cellWidth(low), uint64(count)})
	}
	return cells, nil
}

// cellWidth is the width of the cell that begins at low: 1 up to 255, and
// doubled with each doubling from there on.
func cellWidth(low int64) int64 {
	width := int64(1)
	for low>>8 > 0 {
		low >>= 1
		width <<= 1
	}
	return width
}

// ofASecond looks at the header alone, before anything is made as large as it
// says.
func ofASecond(text string) error {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	const outer = 8
	if len(raw) < outer {
		return errors.New("it is too short for an HDR histogram")
	}
	z, err := zlib.NewReader(bytes.NewReader(raw[outer:]))
	if err != nil {
		return fmt.Errorf("it is no compressed HDR histogram: %w", err)
	}
	var header struct {
		Cookie, Length, Offset, Digits int32
		Lowest, Highest                int64
	}
	if err := binary.Read(z, binary.BigEndian, &header); err != nil {
		return fmt.Errorf("it is no compressed HDR histogram: %w", err)
	}
	if header.Digits != secondDigits || header.Lowest != 1 || header.Highest != secondLongest {
		return fmt.Errorf("a histogram of %d digits from %d to %d; expected %d digits from 1 to %d", header.Digits, header.Lowest, header.Highest, secondDigits, secondLongest)
	}
	return nil
}
