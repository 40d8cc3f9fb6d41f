package swarm

import (
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

// HashDigits are how many digits of a long hexadecimal number count, so that a
// commit's hash is a seed that every program can write.
const HashDigits = 12

// ParseRange reads A-B, A+N (N seeds from A on), A- (without end) and A. A and B
// are decimal numbers, or hexadecimal ones with 0x, of which the first HashDigits
// digits count.
func ParseRange(text string) (Range, error) {
	first, last, dash := strings.Cut(text, "-")
	first, many, plus := strings.Cut(first, "+")
	var r Range
	var err error
	if r.First, err = parseSeed(first); err != nil {
		return r, err
	}
	switch {
	case dash && plus:
		return r, fmt.Errorf("%q has both - and +", text)
	case plus:
		n, err := parseSeed(many)
		if err != nil {
			return r, err
		}
		if n == 0 || n-1 > math.MaxUint64-r.First {
			return r, fmt.Errorf("there are no %s seeds from %s on", many, first)
		}
		r.Last = r.First + n - 1
	case dash && last == "":
		r.Last = math.MaxUint64
	case dash:
		if r.Last, err = parseSeed(last); err != nil {
			return r, err
		}
		if r.Last < r.First {
			return r, fmt.Errorf("%s is before %s", last, first)
		}
	default:
		r.Last = r.First
	}
	return r, nil
}

func parseSeed(text string) (uint64, error) {
	digits, base := text, 10
	if hex, ok := strings.CutPrefix(text, "0x"); ok {
		digits, base = hex[:min(len(hex), HashDigits)], 16
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no seed: a number from 0 to %d, or 0x and hexadecimal digits", text, uint64(math.MaxUint64))
	}
	return n, nil
}
