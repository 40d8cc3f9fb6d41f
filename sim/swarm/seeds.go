package swarm

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Range is a range of seeds, both ends included.
type Range struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// Seeds iterates over the seeds of the range in order.
func (r Range) Seeds() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for seed := r.First; ; seed++ {
			if !yield(seed) || seed == r.Last {
				return
			}
		}
	}
}

// size returns the number of seeds, or 0 if it is 2^64.
func (r Range) size() uint64 { return r.Last - r.First + 1 }

// mergeRanges returns the union of two lists of ranges in order, with ranges that overlap or touch combined.
func mergeRanges(a, b []Range) []Range {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y Range) int { return cmp.Compare(x.First, y.First) })
	merged := []Range{}
	for _, r := range all {
		if n := len(merged); n > 0 && (r.First <= merged[n-1].Last || r.First-merged[n-1].Last == 1) {
			merged[n-1].Last = max(merged[n-1].Last, r.Last)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}

// HashDigits is the number of leading digits that count in a hexadecimal number larger than any seed. It makes a commit
// hash a seed that every JSON reader can represent exactly.
const HashDigits = 12

// maxHexDigits is the number of hexadecimal digits of the largest seed.
const maxHexDigits = 16

// SeedRange is a range as a user writes it.
type SeedRange struct {
	Range
	Unbounded bool // the range was written without an end; Last is the largest seed
	Truncated bool // First consists of the leading digits of a longer number
}

// ParseRange parses A-B, A+N (N seeds beginning with A), A- (without an end) or A. A and B are decimal numbers, or
// hexadecimal numbers with the prefix 0x. Of a hexadecimal A larger than any seed, the first HashDigits digits count,
// except in A-B, where it is an error.
func ParseRange(text string) (SeedRange, error) {
	first, last, dash := strings.Cut(text, "-")
	first, count, plus := strings.Cut(first, "+")
	var r SeedRange
	var err error
	if r.First, r.Truncated, err = parseSeed(first); err != nil {
		return r, err
	}
	switch {
	case dash && plus:
		return r, fmt.Errorf("%q has both - and +", text)
	case plus:
		n, err := parseNumber(count)
		if err != nil {
			return r, err
		}
		if n == 0 || n-1 > math.MaxUint64-r.First {
			return r, fmt.Errorf("invalid number of seeds %s: there are no %s seeds from %s on", count, count, first)
		}
		r.Last = r.First + n - 1
	case dash && last == "":
		r.Last, r.Unbounded = math.MaxUint64, true
	case dash:
		if r.Last, err = parseNumber(last); err != nil {
			return r, err
		}
		if r.Truncated {
			return r, seedTooLarge(first)
		}
		if r.Last < r.First {
			return r, fmt.Errorf("%s is before %s", last, first)
		}
	default:
		r.Last = r.First
	}
	return r, nil
}

// parseSeed parses a number, or the leading digits of a hexadecimal number larger than any seed.
func parseSeed(text string) (seed uint64, truncated bool, err error) {
	hex, isHex := strings.CutPrefix(text, "0x")
	if isHex && strings.Trim(hex, "0123456789abcdefABCDEF") == "" && len(strings.TrimLeft(hex, "0")) > maxHexDigits {
		seed, err = parseNumber("0x" + hex[:HashDigits])
		return seed, true, err
	}
	seed, err = parseNumber(text)
	return seed, false, err
}

func parseNumber(text string) (uint64, error) {
	digits, base := text, 10
	if hex, ok := strings.CutPrefix(text, "0x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, seedTooLarge(text)
	case err != nil:
		return 0, fmt.Errorf("invalid seed %q: must be a number from 0 to %d, or 0x and hexadecimal digits",
			text, uint64(math.MaxUint64))
	}
	return n, nil
}

func seedTooLarge(text string) error {
	const last uint64 = math.MaxUint64
	return fmt.Errorf("invalid seed %q: must be at most %d (0x%x)", text, last, last)
}
