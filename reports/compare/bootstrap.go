package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"bluetrace/reports/stats"
)

const (
	resamples  = 1000
	minSupport = 10 // samples on each side of a tested quantile
)

// estimate is the logarithm of a figure with its variance. Logarithms are used
// because the ratio of two times is compared.
type estimate struct {
	log      float64
	variance float64 // of log, without the width of its cell
	cell     float64 // the variance that the width of the cell may hide
	freedom  float64 // degrees of freedom of variance
}

// estimates returns the figures of one side. One bootstrap draws blocks of
// consecutive seconds of each run: it shows the variance within the runs. Another
// draws whole runs: it shows the variance between runs, which includes the variance
// within them, but with few runs its result may be too small. The larger of the two
// variances is used. For a single run only the first is known.
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

// varianceWithin returns the variance of each figure if blocks of seconds of each run
// are drawn, and the number of blocks of all runs.
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

// varianceBetween returns the variance of each figure if whole runs are drawn.
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

// difference is the difference of two estimates by Welch's t-test.
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

// pValue returns the probability of a difference at least as large if the true
// difference is 0.
func (d difference) pValue() float64 {
	if d.deviation == 0 {
		if d.log == 0 {
			return 1
		}
		return 0
	}
	return min(1, 2*d.student().CDF(-math.Abs(d.log)/d.deviation))
}

func (d difference) student() distuv.StudentsT { return student(d.freedom) }

func student(freedom float64) distuv.StudentsT {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: min(freedom, 1e6)}
}

// halfWidth returns half the width of an interval, in standard deviations.
func halfWidth(freedom, confidence float64) float64 {
	return student(freedom).Quantile(1 - (1-confidence)/2)
}

// maxLog limits the logarithm of a ratio. It is beyond any figure of a load.
const maxLog = 20

// interval returns the confidence interval of the figure, in milliseconds.
func (e estimate) interval(confidence float64) (low, high float64) {
	by := min(halfWidth(e.freedom, confidence)*math.Sqrt(e.variance+e.cell), maxLog)
	return math.Exp(e.log-by) / 1e6, math.Exp(e.log+by) / 1e6
}

// ratio returns the confidence interval of B/A - 1.
func (d difference) ratio(confidence float64) (low, high float64) {
	by := halfWidth(d.freedom, confidence) * d.deviation
	share := func(log float64) float64 { return math.Expm1(min(max(log, -maxLog), maxLog)) }
	return share(d.log - by), share(d.log + by)
}

// absolute returns the confidence interval of B - A, in nanoseconds.
func (d difference) absolute(confidence float64) (low, high float64) {
	a, b := math.Exp(d.a.log), math.Exp(d.b.log)
	by := halfWidth(d.freedom, confidence) * math.Sqrt(a*a*(d.a.variance+d.a.cell)+b*b*(d.b.variance+d.b.cell))
	return b - a - by, b - a + by
}

// series holds the times of one kind of one side, second by second: each run, and
// the sum of the runs.
type series struct {
	runs []runSeconds
	sum  *stats.Counts // the samples of all runs
}

// runSeconds holds the times of one run.
type runSeconds struct {
	seconds [][]stats.Bin
	whole   []stats.Bin // the sum of the seconds
}

// kind is a kind of times.
type kind string

const (
	response kind = "response_time"
	service  kind = "service_time"
)

// maxBins limits memory: it is the largest number of cells with samples, counted
// for each second, that gather reads.
const maxBins = 20_000_000

// gather reads one kind of times of some operations on both sides.
func gather(a, b []*Result, k kind, operations []string) (sa, sb *series, err error) {
	bins := 0
	side := func(results []*Result) (*series, error) {
		var runs [][][]stats.Bin
		for _, r := range results {
			seconds, err := r.seconds(k, operations, &bins)
			if err != nil {
				return nil, err
			}
			runs = append(runs, seconds)
		}
		return newSeries(runs), nil
	}
	if sa, err = side(a); err != nil {
		return nil, nil, err
	}
	sb, err = side(b)
	return sa, sb, err
}

// newSeries returns the series of runs, each given by its seconds.
func newSeries(runs [][][]stats.Bin) *series {
	s := &series{sum: stats.NewCounts()}
	for _, seconds := range runs {
		whole := stats.NewCounts()
		for _, bins := range seconds {
			whole.Add(bins)
		}
		s.runs = append(s.runs, runSeconds{seconds, whole.Bins()})
		s.sum.Add(whole.Bins())
	}
	return s
}

// seconds decodes the seconds of one run, the sum of the operations. It adds the
// number of decoded cells to bins.
func (r *Result) seconds(k kind, operations []string, bins *int) ([][]stats.Bin, error) {
	var seconds [][]stats.Bin
	sum := stats.NewCounts()
	for i, o := range r.Load.Histograms.Operations {
		if !slices.Contains(operations, o.Name) {
			continue
		}
		texts := o.Response
		if k == service {
			texts = o.Service
		}
		for second, text := range texts {
			found, err := stats.DecodeSecond(text)
			if err != nil {
				return nil, &Invalid{r.place(), fmt.Errorf("reading `load.histograms.operations[%d].%s[%d]`: %w",
					i, strings.TrimSuffix(string(k), "_time"), second, err)}
			}
			if second == len(seconds) {
				seconds = append(seconds, found)
			} else {
				sum.Reset()
				sum.Add(seconds[second])
				sum.Add(found)
				seconds[second] = sum.Bins()
			}
			if *bins += len(found); *bins > maxBins {
				return nil, &Invalid{r.place(), fmt.Errorf("the runs have more than %d cells with samples together: "+
					"compare fewer or shorter runs", maxBins)}
			}
		}
	}
	return seconds, nil
}

// figure is a summary of many times: a quantile or the mean.
type figure struct {
	mean     bool
	quantile float64 // 0 to 1
}

// name returns the name that thresholds use, without brackets, such as p99.
func (f figure) name() string {
	if f.mean {
		return "avg"
	}
	return "p" + number(math.Round(f.quantile*1e8)/1e6)
}

// of returns the figure of the samples in nanoseconds, and the width of the cell
// that it is in, 0 for a mean. It reports false without a sample. The samples of
// a cell count as spread evenly.
func (f figure) of(sum *stats.Counts) (value, width float64, ok bool) {
	if f.mean {
		value, ok = sum.Mean()
		return value, 0, ok
	}
	cell, share, ok := sum.Quantile(f.quantile)
	if !ok {
		return 0, 0, false
	}
	width = float64(cell.High() - cell.Low())
	return float64(cell.Low()) + width*share, width, true
}

// support returns the number of samples on the rarer side of the figure.
func (f figure) support(n uint64) float64 {
	if f.mean {
		return float64(n)
	}
	return float64(n) * min(f.quantile, 1-f.quantile) * (1 + 1e-12)
}
