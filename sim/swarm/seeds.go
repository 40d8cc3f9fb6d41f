package swarm

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
)

// Range of seeds, both ends included.
type Range struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// Seeds goes through them in their order.
func (r Range) Seeds() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for seed := r.First; ; seed++ {
			if !yield(seed) || seed == r.Last {
				return
			}
		}
	}
}

// size is how many seeds it has; 0: more than a number can say.
func (r Range) size() uint64 { return r.Last - r.First + 1 }

// HashDigits are how many digits count of a hexadecimal number that is larger than
// a seed, so that a commit's hash is a seed that every program can write.
const HashDigits = 12

// SeedRange is a range as somebody wrote it.
type SeedRange struct {
	Range
	Unbounded bool // it was written without an end; Last is then the last seed that there is
	Truncated bool // First is the beginning of a longer number
}

// ParseRange reads A-B, A+N (N seeds from A on), A- (without end) and A. A and B
// are decimal numbers, or hexadecimal ones with 0x. A hexadecimal A that is larger
// than a seed counts with its first HashDigits digits, but in A-B.
func ParseRange(text string) (SeedRange, error) {
	first, last, dash := strings.Cut(text, "-")
	first, many, plus := strings.Cut(first, "+")
	var r SeedRange
	var err error
	if r.First, r.Truncated, err = parseSeed(first); err != nil {
		return r, err
	}
	switch {
	case dash && plus:
		return r, fmt.Errorf("%q has both - and +", text)
	case plus:
		n, err := parseNumber(many)
		if err != nil {
			return r, err
		}
		if n == 0 || n-1 > math.MaxUint64-r.First {
			return r, fmt.Errorf("there are no %s seeds from %s on", many, first)
		}
		r.Last = r.First + n - 1
	case dash && last == "":
		r.Last, r.Unbounded = math.MaxUint64, true
	case dash:
		if r.Last, err = parseNumber(last); err != nil {
			return r, err
		}
		if r.Truncated {
			return r, tooLarge(first)
		}
		if r.Last < r.First {
			return r, fmt.Errorf("%s is before %s", last, first)
		}
	default:
		r.Last = r.First
	}
	return r, nil
}

// parseSeed reads a number, or the beginning of a hexadecimal one that is larger
// than a seed.
func parseSeed(text string) (seed uint64, shortened bool, err error) {
	if hex, ok := strings.CutPrefix(text, "0x"); ok && isHex(hex) && len(strings.TrimLeft(hex, "0")) > mostHexDigits {
		seed, err = parseNumber("0x" + hex[:HashDigits])
		return seed, true, err
	}
	seed, err = parseNumber(text)
	return seed, false, err
}

const mostHexDigits = 16 // of a seed

func isHex(digits string) bool { return strings.Trim(digits, "0123456789abcdefABCDEF") == "" }

func parseNumber(text string) (uint64, error) {
	digits, base := text, 10
	if hex, ok := strings.CutPrefix(text, "0x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, tooLarge(text)
	case err != nil:
		return 0, fmt.Errorf("%q is no seed: a number from 0 to %d, or 0x and hexadecimal digits", text, uint64(math.MaxUint64))
	}
	return n, nil
}

func tooLarge(text string) error {
	return fmt.Errorf("%q is larger than the last seed, %d (0x%x)", text, uint64(math.MaxUint64), uint64(math.MaxUint64))
}
