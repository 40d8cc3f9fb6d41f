package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"bluetrace/reports/stats"
)

// series is one kind of times of one side, second by second: the runs by
// themselves, and their sum.
type series struct {
	runs []runSeconds
	sum  *stats.Counts // the samples of all runs
}

// runSeconds is one run.
type runSeconds struct {
	seconds [][]stats.Bin
	whole   []stats.Bin // the sum of the seconds
}

// kind of times.
type kind string

const (
	response kind = "response_time"
	service  kind = "service_time"
)

// maxBins limits the cells with samples, second by second, that are in memory at
// a time.
const maxBins = 20_000_000

// gather reads one kind of times of some operations, of both sides.
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

// newSeries takes the seconds of each run.
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

// figure is a number that sums up many times: a quantile, or the mean.
type figure struct {
	mean     bool
	quantile float64 // 0 to 1
}

// name as thresholds have it, without the brackets.
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
