package reports

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// decades are the ticks of a logarithmic axis: a label at 1, 2 and 5 of every
// power of ten (of a range over more than two of them at 1 only), short ticks
// between.
type decades struct{}

// Ticks are those from low to high, both above 0.
func (decades) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	few := high/low > 300
	for e := int(math.Floor(math.Log10(low))); e <= int(math.Ceil(math.Log10(high))); e++ {
		for digit := 1; digit <= 9; digit++ {
			v := float64(digit) * math.Pow10(e)
			if v < low*(1-1e-9) || v > high*(1+1e-9) {
				continue
			}
			t := plot.Tick{Value: v}
			if digit == 1 || !few && (digit == 2 || digit == 5) {
				t.Label = number(v)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// number is v without an exponent, with commas, as far as it has digits that
// count.
func number(v float64) string {
	switch {
	case v == 0:
		return "0" // also of -0
	case v >= 1000:
		return FormatCount(uint64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// linear are the ticks of an even axis: a label at every 1, 2 or 5 times a power
// of ten, five or so in all.
type linear struct{}

// Ticks are those from low to high.
func (linear) Ticks(low, high float64) []plot.Tick {
	step := niceStep((high - low) / 5)
	var ticks []plot.Tick
	for i := math.Ceil(low/step - 1e-9); i*step <= high+step*1e-9; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: number(i * step)})
	}
	return ticks
}

// niceStep is 1, 2 or 5 times a power of ten, about as large as wanted.
func niceStep(wanted float64) float64 {
	if !(wanted > 0) {
		return 1
	}
	power := math.Pow10(int(math.Floor(math.Log10(wanted))))
	for _, digit := range []float64{1, 2, 5} {
		if digit*power >= wanted*(1-1e-9) {
			return digit * power
		}
	}
	return 10 * power
}

// logRange goes from a nice number below to one above, a third of a doubling
// away at least.
func logRange(low, high float64) (from, to float64) {
	nice := []float64{1, 2, 5, 10}
	low, high = low/1.25, high*1.25
	power := math.Pow10(int(math.Floor(math.Log10(low))))
	for _, d := range nice {
		if d*power <= low {
			from = d * power
		}
	}
	power = math.Pow10(int(math.Floor(math.Log10(high))))
	for _, d := range nice {
		if d*power >= high {
			return from, d * power
		}
	}
	return from, 10 * power
}
