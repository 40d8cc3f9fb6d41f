package runpage

import (
	"maps"
	"math"
	"slices"

	"bluetrace/reports"
	"bluetrace/reports/chart"
	"bluetrace/reports/stats"
)

// heatmap returns the chart of the distribution of the response times over the load, or nil if there is none.
func (c *course) heatmap() *chart.Chart {
	cells, most := c.heat()
	if most == 0 {
		return nil
	}
	levels := make([]chart.Blocks, chart.Levels)
	var times []float64
	for k := range levels {
		levels[k] = chart.Blocks{Color: chart.Blue, Level: k + 1}
	}
	for i, column := range cells {
		p := &c.parts[i]
		for _, row := range slices.Sorted(maps.Keys(column)) {
			n := column[row]
			low, high := rowMs(row), rowMs(row+1)
			level := chart.Levels - 1
			if most > 1 {
				level = int(math.Log(float64(n)) / math.Log(float64(most)) * (chart.Levels - 1))
			}
			levels[level].List = append(levels[level].List, p.block(low, high))
			times = append(times, low, high)
		}
	}
	levels[0].Name = "1 sample"
	levels[chart.Levels-1].Name = reports.FormatCount(most) + " samples"
	y := chart.Log("ms (log)", 1, 10, append(times, limitValues(limits(c.load))...)...)
	one := c.chart("Distribution of the response times", y, responseText)
	limit(one, limits(c.load), c.failed)
	one.Blocks, one.Height = levels, 240
	return one
}

// heat returns the number of samples of each part by the row of their response time, and the largest number.
func (c *course) heat() (cells []map[int]uint64, most uint64) {
	for i := range c.parts {
		column := map[int]uint64{}
		for _, r := range c.parts[i].Rows {
			column[r.Index] += r.Count
			most = max(most, column[r.Index])
		}
		cells = append(cells, column)
	}
	return cells, most
}

// rowMs returns the lowest time of a row in milliseconds.
func rowMs(row int) float64 { return stats.RowLow(row) / 1e6 }
