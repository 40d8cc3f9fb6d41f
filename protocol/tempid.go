package protocol

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// TempIDSize is the length of a TempID on the wire, in bytes.
const TempIDSize = 20

// TempID is 20 ASCII digits (PROTOCOL.md section 1). The zero value is not a
// TempID.
type TempID [TempIDSize]byte

// ParseTempID parses exactly 20 ASCII digits. It accepts a leading zero: this server
// never issues such a TempID, but another may. The error is ErrTempID.
func ParseTempID(b []byte) (TempID, error) {
	if len(b) != TempIDSize || !allDigits((*[TempIDSize]byte)(b)) {
		return TempID{}, ErrTempID
	}
	return TempID(b), nil
}

// DrawTempID draws a TempID from src, uniformly from all 20-digit numbers whose first
// digit is 1 to 9. The caller must check that it was never issued. DrawTempID may never
// return if src always gives the same value.
func DrawTempID(src rand.Source) TempID {
	const half = 10_000_000_000 // ten digits
	var id TempID
	putDigits(id[:10], half/10+drawBelow(src, half-half/10))
	putDigits(id[10:], drawBelow(src, half))
	return id
}

func (id TempID) String() string { return string(id[:]) }

// drawBelow draws uniformly from 0 to n-1. It rejects the draws that would make
// some results more likely than others (Lemire's method).
func drawBelow(src rand.Source, n uint64) uint64 {
	threshold := -n % n
	for {
		hi, lo := bits.Mul64(src.Uint64(), n)
		if lo >= threshold {
			return hi
		}
	}
}

// putDigits fills dst with the last len(dst) decimal digits of v.
func putDigits(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = '0' + byte(v%10)
		v /= 10
	}
}

// allDigits reports whether all bytes are ASCII digits. It checks eight bytes at a
// time. The last two loads overlap.
func allDigits(b *[TempIDSize]byte) bool {
	return digitWord(binary.LittleEndian.Uint64(b[0:])) &&
		digitWord(binary.LittleEndian.Uint64(b[8:])) &&
		digitWord(binary.LittleEndian.Uint64(b[12:]))
}

// digitWord reports whether all eight bytes are '0' to '9'. Each must be 0x30 to 0x3f,
// and still be so with 6 added.
func digitWord(w uint64) bool {
	const high, zeros, sixes = 0xf0f0f0f0f0f0f0f0, 0x3030303030303030, 0x0606060606060606
	return w&high == zeros && (w+sixes)&high == zeros
}
