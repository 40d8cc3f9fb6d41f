package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"bluetrace/reports"
)

// series is one kind of times of one side, second by second: those of each run
// by themselves, and of all together.
type series struct {
	runs []runSeconds
	sum  []uint64 // samples of all runs together, by cell
}

// runSeconds is one run.
type runSeconds struct {
	seconds [][]bin
	whole   []bin // all seconds together
}

// bin is how many samples are in a cell, by its place among the cells.
type bin struct {
	cell  int32
	count uint64
}

// cells are those in which either side has a sample, from the least on.
type cells []reports.Cell // their Count is of no use

// kind of times.
type kind string

const (
	response kind = "response_time"
	service  kind = "service_time"
)

// maxBins is how many cells with samples, second by second, are held at a time.
const maxBins = 20_000_000

// gather reads one kind of times of some operations, of both sides, which then
// share their cells.
func gather(a, b []*Result, k kind, operations []string) (of cells, sa, sb *series, err error) {
	g := &gathering{kind: k, operations: operations}
	if sa, err = g.side(a); err != nil {
		return nil, nil, nil, err
	}
	if sb, err = g.side(b); err != nil {
		return nil, nil, nil, err
	}
	of = g.number(sa, sb)
	return of, sa, sb, nil
}

// gathering has the cells in no order yet: a bin's place is its number in it.
type gathering struct {
	kind       kind
	operations []string
	cells      cells
	places     map[int64]int32 // by the cell's least value
	bins       int
}

func (g *gathering) side(results []*Result) (*series, error) {
	s := &series{}
	for _, r := range results {
		run, err := g.run(r)
		if err != nil {
			return nil, err
		}
		s.runs = append(s.runs, run)
	}
	return s, nil
}

// run reads the seconds of one run, those of its operations together.
func (g *gathering) run(r *Result) (run runSeconds, err error) {
	for i, o := range r.Load.Histograms.Operations {
		if !slices.Contains(g.operations, o.Name) {
			continue
		}
		texts := o.Response
		if g.kind == service {
			texts = o.Service
		}
		for second, text := range texts {
			found, err := reports.DecodeSecond(text)
			if err != nil {
				return run, &Invalid{r.place(), fmt.Errorf("reading `load.histograms.operations[%d].%s[%d]`: %w", i, strings.TrimSuffix(string(g.kind), "_time"), second, err)}
			}
			if second == len(run.seconds) {
				run.seconds = append(run.seconds, nil)
			}
			run.seconds[second] = append(run.seconds[second], g.place(found)...)
			if g.bins += len(found); g.bins > maxBins {
				return run, &Invalid{r.place(), fmt.Errorf("the runs have more than %d cells with samples together; compare fewer or shorter ones", maxBins)}
			}
		}
	}
	return run, nil
}

func (g *gathering) place(found []reports.Cell) []bin {
	if g.places == nil {
		g.places = map[int64]int32{}
	}
	out := make([]bin, 0, len(found))
	for _, c := range found {
		at, ok := g.places[c.Low]
		if !ok {
			at = int32(len(g.cells))
			g.places[c.Low] = at
			g.cells = append(g.cells, c)
		}
		out = append(out, bin{at, c.Count})
	}
	return out
}

// number gives the cells their order, and makes the sums.
func (g *gathering) number(sides ...*series) cells {
	sorted := slices.Clone(g.cells)
	slices.SortFunc(sorted, func(a, b reports.Cell) int { return int(min(max(a.Low-b.Low, -1), 1)) })
	final := make([]int32, len(sorted))
	for i, c := range sorted {
		final[g.places[c.Low]] = int32(i)
	}
	for _, s := range sides {
		s.sum = make([]uint64, len(sorted))
		for i := range s.runs {
			run := &s.runs[i]
			for _, second := range run.seconds {
				for j := range second {
					second[j].cell = final[second[j].cell]
				}
			}
			run.whole = together(run.seconds, make([]uint64, len(sorted)))
			add(s.sum, run.whole)
		}
	}
	return sorted
}

// together is some seconds as one; empty is what sums are made in, and is empty
// again.
func together(seconds [][]bin, empty []uint64) []bin {
	var touched []int32
	for _, second := range seconds {
		for _, b := range second {
			if empty[b.cell] == 0 {
				touched = append(touched, b.cell)
			}
			empty[b.cell] += b.count
		}
	}
	slices.Sort(touched)
	out := make([]bin, 0, len(touched))
	for _, c := range touched {
		out = append(out, bin{c, empty[c]})
		empty[c] = 0
	}
	return out
}

func add(sum []uint64, bins []bin) {
	for _, b := range bins {
		sum[b.cell] += b.count
	}
}

// total of all samples.
func total(sum []uint64) (n uint64) {
	for _, c := range sum {
		n += c
	}
	return n
}

// figure is what is made of many times: a quantile, or their mean.
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

// of is the figure of a sum of so many samples in nanoseconds, and the width of
// the cell that it is in; false without a sample. In a cell, samples count as
// spread evenly.
func (f figure) of(sum []uint64, samples uint64, c cells) (value, width float64, ok bool) {
	n := float64(samples)
	if n == 0 {
		return 0, 0, false
	}
	if f.mean {
		weighted := 0.0
		for i, k := range sum {
			weighted += float64(k) * float64(c[i].Low+c[i].High) / 2
		}
		return weighted / n, 0, true
	}
	want, seen := f.quantile*n*(1-1e-12), 0.0 // no sample further by rounding alone
	for i, k := range sum {
		if k == 0 {
			continue
		}
		if seen+float64(k) >= want {
			width = float64(c[i].High - c[i].Low)
			return float64(c[i].Low) + width*(want-seen)/float64(k), width, true
		}
		seen += float64(k)
	}
	last := c[len(c)-1] // rounding let want be a little more than all
	return float64(last.High), float64(last.High - last.Low), true
}

// beyond is how many samples a figure rests on: those on its rarer side.
func (f figure) beyond(n uint64) float64 {
	if f.mean {
		return float64(n)
	}
	return float64(n) * min(f.quantile, 1-f.quantile) * (1 + 1e-12)
}
