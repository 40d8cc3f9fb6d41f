package protocol

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestParseTempID(t *testing.T) {
	for _, text := range []string{
		"99033999094940624829", "10000000000000000000", "99999999999999999999", "00000000000000000000",
	} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			id, err := ParseTempID([]byte(text))
			if err != nil || id.String() != text {
				t.Errorf("ParseTempID(%q) = %q, %v", text, id, err)
			}
		})
	}
	for _, text := range []string{
		"", "1", "1234567890123456789", "123456789012345678901", " 9033999094940624829", "9903399909494062482\n",
		"9903399909494062482\x00", "-9033999094940624829", "٣٣٣٣٣٣٣٣٣٣", strings.Repeat("x", 20),
	} {
		if id, err := ParseTempID([]byte(text)); err != ErrTempID || id != (TempID{}) {
			t.Errorf("ParseTempID(%q) = %q, %v, want ErrTempID", text, id, err)
		}
	}
}

// Of all byte values at every position, only the ten digits are valid.
func TestParseTempIDEveryByte(t *testing.T) {
	for at := range TempIDSize {
		for c := range 256 {
			b := []byte("12345678901234567890")
			b[at] = byte(c)
			_, err := ParseTempID(b)
			if got, want := err == nil, c >= '0' && c <= '9'; got != want {
				t.Fatalf("byte %#x at %d: taken %v, want %v", c, at, got, want)
			}
		}
	}
}

// script is a source that returns these numbers, then panics.
type script []uint64

func (s *script) Uint64() uint64 {
	v := (*s)[0]
	*s = (*s)[1:]
	return v
}

func TestDrawTempIDEnds(t *testing.T) {
	const top = ^uint64(0)
	tests := []struct {
		draws script
		want  string
	}{
		{script{1 << 40, 1 << 40}, "10000005360000000596"},
		{script{top, top}, "99999999999999999999"},
		// 0 would make the smallest number more likely: it is rejected.
		{script{0, top, 0, 0, top}, "99999999999999999999"},
		{script{0, 1 << 31, 0, 1 << 31}, "10000000010000000001"},
	}
	for _, test := range tests {
		t.Run(test.want, func(t *testing.T) {
			draws := test.draws
			if got := DrawTempID(&draws).String(); got != test.want || len(draws) != 0 {
				t.Errorf("DrawTempID(%v) = %s with %d draws left, want %s", test.draws, got, len(draws), test.want)
			}
		})
	}
}

func TestDrawTempIDIsUniform(t *testing.T) {
	const draws = 90_000
	src := rand.NewPCG(1, 2)
	var counts [TempIDSize][10]int
	seen := map[TempID]bool{}
	for range draws {
		id := DrawTempID(src)
		if _, err := ParseTempID(id[:]); err != nil {
			t.Fatalf("drew %q: %v", id, err)
		}
		for i, c := range id {
			counts[i][c-'0']++
		}
		seen[id] = true
	}
	if len(seen) != draws {
		t.Errorf("%d different TempIDs in %d draws", len(seen), draws)
	}
	if counts[0][0] != 0 {
		t.Errorf("%d TempIDs begin with 0", counts[0][0])
	}
	for i := range counts {
		first, values := 0, 10
		if i == 0 {
			first, values = 1, 9
		}
		want := draws / values
		for d := first; d < 10; d++ {
			// Five standard deviations of a fair digit are below 550.
			if n := counts[i][d]; n < want-550 || n > want+550 {
				t.Errorf("digit %d at place %d: %d times, want about %d", d, i, n, want)
			}
		}
	}
}

func FuzzParseTempID(f *testing.F) {
	f.Add([]byte("99033999094940624829"))
	f.Add([]byte("9903399909494062482:"))
	f.Fuzz(func(t *testing.T, b []byte) {
		want := len(b) == TempIDSize && strings.Trim(string(b), "0123456789") == ""
		id, err := ParseTempID(b)
		if (err == nil) != want {
			t.Fatalf("ParseTempID(%q) = %v", b, err)
		}
		if err == nil && id.String() != string(b) {
			t.Fatalf("ParseTempID(%q) writes %q", b, id)
		}
	})
}

func FuzzDrawTempID(f *testing.F) {
	f.Add([]byte("0123456789abcdef"))
	f.Fuzz(func(t *testing.T, seed []byte) {
		var s [16]byte
		copy(s[:], seed)
		id := DrawTempID(rand.NewPCG(binary.LittleEndian.Uint64(s[:]), binary.LittleEndian.Uint64(s[8:])))
		if _, err := ParseTempID(id[:]); err != nil || id[0] == '0' {
			t.Fatalf("drew %q", id)
		}
	})
}
