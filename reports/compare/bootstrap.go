package compare

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"bluetrace/reports/stats"
)

const (
	resamples  = 1000
	minSupport = 10 // samples on each side of a tested quantile
)

// estimate is the logarithm of a figure with its variance. The ratio of two
// times varies, not their difference.
type estimate struct {
	log      float64
	variance float64 // of log, without the width of its cell
	cell     float64 // the variance that the width of the cell may hide
	freedom  float64 // degrees of freedom of variance
}

// estimates returns the figures of one side. One bootstrap draws blocks of
// consecutive seconds of each run, the other draws whole runs. The larger
// variance counts: the second includes the differences between runs and, with
// them, the first, but it may be too small for few runs. A single run has the
// first only.
func (s *series) estimates(figures []figure, draws *rand.Rand) []estimate {
	out := make([]estimate, len(figures))
	for i, f := range figures {
		value, width, _ := f.of(s.sum)
		value = max(value, 1)
		out[i].log = math.Log(value)
		out[i].cell = width * width / (12 * value * value)
	}
	within, blocks := s.varianceWithin(figures, draws)
	for i := range out {
		out[i].variance, out[i].freedom = within[i], max(1, blocks-1)
	}
	if len(s.runs) < 2 {
		return out
	}
	for i, v := range s.varianceBetween(figures, draws) {
		out[i].variance, out[i].freedom = max(out[i].variance, v), float64(len(s.runs)-1)
	}
	return out
}

// varianceWithin draws blocks of seconds of each run. It returns the number of
// blocks of all runs as well.
func (s *series) varianceWithin(figures []figure, draws *rand.Rand) (variances []float64, blocks float64) {
	runs := make([]*stats.Blocks, len(s.runs))
	seconds, weighted := 0.0, 0.0
	for i, r := range s.runs {
		runs[i] = stats.NewBlocks(r.seconds)
		n := float64(len(r.seconds))
		own := n / float64(stats.BlockLength(len(r.seconds)))
		seconds, blocks, weighted = seconds+n, blocks+own, weighted+n*own
	}
	var starts []int
	variances = resampledVariance(figures, func(sum *stats.Counts) {
		for i, b := range runs {
			starts = stats.DrawBlocks(len(s.runs[i].seconds), draws, starts)
			b.AddTo(sum, starts)
		}
	})
	// The variance of a few values is that of their sample: typical is the number of
	// blocks of a run, weighted by the length of the run.
	typical := weighted / seconds
	for i := range variances {
		variances[i] *= typical / max(1, typical-1)
	}
	return variances, blocks
}

// varianceBetween draws whole runs.
func (s *series) varianceBetween(figures []figure, draws *rand.Rand) []float64 {
	n := len(s.runs)
	variances := resampledVariance(figures, func(sum *stats.Counts) {
		for range n {
			sum.Add(s.runs[draws.IntN(n)].whole)
		}
	})
	for i := range variances {
		variances[i] *= float64(n) / float64(n-1)
	}
	return variances
}

// resampledVariance returns the variance of the logarithm of each figure over
// many resampled sums.
func resampledVariance(figures []figure, draw func(sum *stats.Counts)) []float64 {
	values := make([][]float64, len(figures))
	sum := stats.NewCounts()
	for range resamples {
		sum.Reset()
		draw(sum)
		for i, f := range figures {
			if v, _, ok := f.of(sum); ok {
				values[i] = append(values[i], math.Log(max(v, 1)))
			}
		}
	}
	out := make([]float64, len(figures))
	for i, v := range values {
		if len(v) > 1 {
			out[i] = stat.Variance(v, nil)
		}
	}
	return out
}

// difference of two estimates, by Welch's t.
type difference struct {
	log, deviation, freedom float64
	a, b                    estimate
}

func differenceOf(a, b estimate) difference {
	sum := a.variance + a.cell + b.variance + b.cell
	d := difference{log: b.log - a.log, deviation: math.Sqrt(sum), a: a, b: b, freedom: math.Inf(1)}
	if below := a.variance*a.variance/a.freedom + b.variance*b.variance/b.freedom; below > 0 {
		d.freedom = min(sum*sum/below, 1e6)
	}
	return d
}

// chance is the probability of a difference at least as large when there is
// none.
func (d difference) chance() float64 {
	if d.deviation == 0 {
		if d.log == 0 {
			return 1
		}
		return 0
	}
	return min(1, 2*d.student().CDF(-math.Abs(d.log)/d.deviation))
}

func (d difference) student() distuv.StudentsT {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: min(d.freedom, 1e6)}
}

// reach is how many deviations an interval goes to each side.
func (d difference) reach(confidence float64) float64 {
	return d.student().Quantile(1 - (1-confidence)/2)
}

// ratio is the interval of B/A - 1.
func (d difference) ratio(confidence float64) (low, high float64) {
	const most = 20 // as a logarithm: beyond any figure of a load
	by := d.reach(confidence) * d.deviation
	share := func(log float64) float64 { return math.Expm1(min(max(log, -most), most)) }
	return share(d.log - by), share(d.log + by)
}

// absolute is the interval of B - A, in nanoseconds.
func (d difference) absolute(confidence float64) (low, high float64) {
	a, b := math.Exp(d.a.log), math.Exp(d.b.log)
	by := d.reach(confidence) * math.Sqrt(a*a*(d.a.variance+d.a.cell)+b*b*(d.b.variance+d.b.cell))
	return b - a - by, b - a + by
}
