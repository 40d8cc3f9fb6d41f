package compare

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Of the bootstrap.
const (
	resamples    = 1000
	fewestSecond = 8  // of a run: what is shorter says nothing about its own chance
	fewestBeyond = 10 // samples that a quantile rests on, on each side
)

// estimate is the logarithm of a figure, with its chance. Of what is slow,
// proportions vary and not differences.
type estimate struct {
	log      float64
	variance float64 // of log, without the width of its cell
	cell     float64 // the variance that a cell's width may hide
	freedom  float64 // degrees of freedom of variance
}

// estimates of the figures of one side. Two bootstraps tell how much chance is
// in them: one draws blocks of seconds that follow each other, of each run by
// itself; the other draws whole runs. The larger variance counts: the second
// holds what differs from run to run, and with it the first, but with few runs it
// may come out too small. One run alone has the first only.
func (s *series) estimates(c cells, figures []figure, draws *rand.Rand) []estimate {
	out := make([]estimate, len(figures))
	for i, f := range figures {
		value, width, _ := f.of(s.sum, total(s.sum), c)
		value = max(value, 1)
		out[i].log = math.Log(value)
		out[i].cell = width * width / (12 * value * value)
	}
	within, blocks := s.within(c, figures, draws)
	for i := range out {
		out[i].variance, out[i].freedom = within[i], max(1, blocks-1)
	}
	if len(s.runs) < 2 {
		return out
	}
	for i, v := range s.between(c, figures, draws) {
		out[i].variance, out[i].freedom = max(out[i].variance, v), float64(len(s.runs)-1)
	}
	return out
}

// within draws blocks of seconds, of each run as many as it has; blocks is how
// many that are of all runs.
func (s *series) within(c cells, figures []figure, draws *rand.Rand) (variances []float64, blocks float64) {
	type run struct {
		blocks [][]bin // one begins at each second; after the last comes the first
		drawn  int
	}
	runs := make([]run, len(s.runs))
	empty := make([]uint64, len(c))
	seconds, used, own := 0.0, 0.0, 0.0
	for i, r := range s.runs {
		n := len(r.seconds)
		length := max(1, int(math.Round(math.Sqrt(float64(n)))))
		runs[i].drawn = (n + length - 1) / length
		for first := range n {
			var block [][]bin
			for j := range length {
				block = append(block, r.seconds[(first+j)%n])
			}
			runs[i].blocks = append(runs[i].blocks, together(block, empty))
		}
		seconds += float64(n)
		used += float64(runs[i].drawn * length)
		blocks += float64(n) / float64(length)
		own += float64(n) * float64(n) / float64(length) // to weigh each run's number of blocks
	}
	variances = resampled(c, figures, func(sum []uint64) {
		for _, r := range runs {
			for range r.drawn {
				add(sum, r.blocks[draws.IntN(len(r.blocks))])
			}
		}
	})
	// A whole number of blocks is a little longer than the run, and the variance of
	// few values is that of their sample.
	typical := own / seconds
	for i := range variances {
		variances[i] *= used / seconds * typical / max(1, typical-1)
	}
	return variances, blocks
}

// between draws runs.
func (s *series) between(c cells, figures []figure, draws *rand.Rand) []float64 {
	n := len(s.runs)
	variances := resampled(c, figures, func(sum []uint64) {
		for range n {
			add(sum, s.runs[draws.IntN(n)].whole)
		}
	})
	for i := range variances {
		variances[i] *= float64(n) / float64(n-1)
	}
	return variances
}

// resampled is the variance of each figure's logarithm when its samples are
// drawn again and again.
func resampled(c cells, figures []figure, draw func(sum []uint64)) []float64 {
	values := make([][]float64, len(figures))
	sum := make([]uint64, len(c))
	for range resamples {
		clear(sum)
		draw(sum)
		n := total(sum)
		for i, f := range figures {
			if v, _, ok := f.of(sum, n, c); ok {
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
