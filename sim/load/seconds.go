package load

import (
	"fmt"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// Histograms are the times of every operation, second by second.
func (m *Measurement) Histograms() *reports.Histograms { return m.figures.histograms() }

// histograms are the times of every operation, second by second.
func (f *figures) histograms() *reports.Histograms {
	out := &reports.Histograms{Schema: reports.SecondsSchema, Operations: []reports.OperationHistograms{}}
	for o := range operations {
		if k := &f.kinds[o]; len(k.slices) > 0 {
			out.Operations = append(out.Operations, reports.OperationHistograms{
				Name: scenarios.LoadOperations[o], Response: encoded(k.slices), Service: encoded(k.serviceSlices),
			})
		}
	}
	return out
}

func encoded(seconds []slice) []string {
	out := make([]string, 0, len(seconds))
	for _, s := range seconds {
		samples := make(map[int64]uint64, len(s))
		for c, n := range s {
			samples[int64(cellTop(c))] += uint64(n)
		}
		text, err := reports.EncodeSecond(samples)
		if err != nil {
			panic(fmt.Sprintf("load: a second of %d cells: %v", len(s), err))
		}
		out = append(out, text)
	}
	return out
}
