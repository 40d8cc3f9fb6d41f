package chart

import (
	"math"
	"strconv"
	"strings"
	"time"

	"bluetrace/reports"
)

// Axis is an axis with its range. The values of a logarithmic axis are above 0.
type Axis struct {
	Name     string // with the unit
	Log      bool
	Min, Max float64
	Step     float64              // between labels; 0 stands for about five labels at 1, 2 or 5 times a power of ten
	Format   func(float64) string // of a label; nil stands for Number
}

// Ends of the range that an axis has. Values outside are at its ends.
const (
	leastValue = 1e-12
	mostValue  = 1e15
)

// Linear returns an axis from 0 to a tick that is at least 5 % above the largest of some values, or to 1 if none is
// above 0.
func Linear(name string, values ...float64) Axis {
	most := 0.0
	for _, v := range values {
		if v > most && !math.IsInf(v, 1) {
			most = min(v, mostValue)
		}
	}
	if most < leastValue {
		return Axis{Name: name, Max: 1}
	}
	const room = 1.05
	step := niceStep(room * most / 4)
	return Axis{Name: name, Max: step * math.Ceil(room*most/step-1e-9)}
}

// Log returns a logarithmic axis around the values that are above 0, or around low and high if none is. Its ends are 1,
// 2 or 5 times a power of ten, with a margin of at least 25 %.
func Log(name string, low, high float64, values ...float64) Axis {
	least, most := math.Inf(1), 0.0
	for _, v := range values {
		if v > 0 && !math.IsInf(v, 1) {
			least, most = min(least, v), max(most, v)
		}
	}
	if most > 0 {
		low, high = least, most
	}
	low, high = max(leastValue, min(low, mostValue)), max(leastValue, min(high, mostValue))
	// 1/1, 1/2 and 1/5 are 1, 2 or 5 times a power of ten as well.
	return Axis{Name: name, Log: true, Min: 1 / niceStep(1.25/low), Max: niceStep(1.25 * high)}
}

// Time returns an axis of a time in seconds, with labels such as 1m30s.
func Time(name string, from, to float64) Axis {
	a := Axis{Name: name, Min: from, Max: to, Format: timeLabel}
	const minute, hour = 60, 3600
	for _, step := range []float64{1, 2, 5, 10, 15, 30, minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute,
		30 * minute, hour, 2 * hour, 4 * hour, 8 * hour, 24 * hour} {
		if a.Step = step; (to-from)/step <= labels+1 {
			break
		}
	}
	for (to-from)/a.Step > labels+1 {
		a.Step *= 2
	}
	if to-from <= labels {
		a.Step = 0
	}
	return a
}

func timeLabel(seconds float64) string {
	text := time.Duration(math.Round(seconds * 1e9)).String()
	text, whole := strings.CutSuffix(text, "m0s")
	if !whole {
		return text
	}
	if hours, whole := strings.CutSuffix(text, "h0"); whole {
		return hours + "h"
	}
	return text + "m"
}

// share returns the position of a value between the ends of the axis, from 0 to 1. A value outside is at the end.
func (a *Axis) share(v float64) float64 {
	low, high := a.Min, a.Max
	if a.Log {
		if v <= 0 {
			return 0
		}
		v, low, high = math.Log(v), math.Log(low), math.Log(high)
	}
	if high <= low {
		return 0
	}
	return min(max((v-low)/(high-low), 0), 1)
}

// labels is the number of labels of a linear axis, about.
const labels = 5

// tick is a mark on an axis. Only a main tick has a label.
type tick struct {
	value float64
	label string
}

func (a *Axis) ticks() []tick {
	if a.Log {
		return a.decades()
	}
	step := a.Step
	if step == 0 {
		step = niceStep((a.Max - a.Min) / labels)
	}
	var ticks []tick
	for i := math.Ceil(a.Min/step - 1e-9); i*step <= a.Max+step*1e-9; i++ {
		ticks = append(ticks, tick{i * step, a.label(i * step)})
	}
	return ticks
}

// decades returns the ticks of a logarithmic axis: a label at 1, 2 and 5 times every power of ten, or at the powers
// only if the range is large, and ticks between.
func (a *Axis) decades() []tick {
	const most = 300 // ratio of a range that has three labels for each power
	var ticks []tick
	for e := int(math.Floor(math.Log10(a.Min))); e <= int(math.Ceil(math.Log10(a.Max))); e++ {
		for digit := 1; digit <= 9; digit++ {
			v := float64(digit) * math.Pow10(e)
			if v < a.Min*(1-1e-9) || v > a.Max*(1+1e-9) {
				continue
			}
			t := tick{value: v}
			if digit == 1 || a.Max/a.Min <= most && (digit == 2 || digit == 5) {
				t.label = a.label(v)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

func (a *Axis) label(v float64) string {
	if a.Format != nil {
		return a.Format(v)
	}
	return Number(v)
}

// Number formats v with four significant digits, or as a rounded integer with commas from 1,000 on.
func Number(v float64) string {
	switch {
	case v == 0:
		return "0" // for -0 too
	case v >= 1000 && v < 1e15:
		return reports.FormatCount(uint64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// niceStep returns the smallest 1, 2 or 5 times a power of ten that is not below a step, or 1 if the step is not
// positive.
func niceStep(step float64) float64 {
	if !(step > 0) {
		return 1
	}
	power := math.Pow10(int(math.Floor(math.Log10(step))))
	for _, digit := range []float64{1, 2, 5} {
		if digit*power >= step*(1-1e-9) {
			return digit * power
		}
	}
	return 10 * power
}
