package load

import (
	"fmt"

	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
)

// Histograms returns the times of every operation, second by second.
func (m *Measurement) Histograms() *reports.Histograms {
	out := &reports.Histograms{Schema: stats.Schema, Operations: []reports.OperationHistograms{}}
	for o := range operations {
		if k := &m.figures.kinds[o]; len(k.responseSeconds) > 0 {
			out.Operations = append(out.Operations, reports.OperationHistograms{
				Name: scenarios.LoadOperations[o], Response: encoded(k.responseSeconds), Service: encoded(k.serviceSeconds),
			})
		}
	}
	return out
}

func encoded(seconds []stats.Second) []string {
	out := make([]string, 0, len(seconds))
	for _, s := range seconds {
		text, err := stats.EncodeSecond(s.Bins())
		if err != nil {
			panic(fmt.Sprintf("load: a second of %d cells: %v", len(s), err))
		}
		out = append(out, text)
	}
	return out
}

// bins returns seconds with their cells in order.
func bins(seconds []stats.Second) [][]stats.Bin {
	out := make([][]stats.Bin, 0, len(seconds))
	for _, s := range seconds {
		out = append(out, s.Bins())
	}
	return out
}
