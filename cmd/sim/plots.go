package main

import (
	"io"

	"bluetrace/reports"
)

const (
	timePlotEnd   = ".time.png"
	searchPlotEnd = ".search.png"
)

// plot is a picture of a load run, as a file.
type plot struct {
	file string
	draw func(io.Writer, *reports.Run) error
}

// plotsOf are the pictures that r has, in files whose names begin with name.
func plotsOf(r *reports.Run, name string) (plots []plot) {
	if r.Load == nil {
		return nil
	}
	if r.Load.Search != nil {
		plots = append(plots, plot{name + searchPlotEnd, reports.SearchPlot})
	}
	return append(plots, plot{name + timePlotEnd, reports.LoadPlot})
}

// writePlots draws them in the folder of --out.
func (b *batch) writePlots(r *reports.Run, name string) {
	for _, p := range plotsOf(r, name) {
		b.writeFile(p.file, func(w io.Writer) error { return p.draw(w, r) })
	}
}
