package compare

// CountRow compares a count of all runs of each side. No test is made of it:
// failures come in heaps, and none of them is expected.
type CountRow struct {
	Metric string  `json:"metric"`
	A      uint64  `json:"a"`
	AOf    uint64  `json:"a_of"` // of so many
	ARate  float64 `json:"a_rate"`
	B      uint64  `json:"b"`
	BOf    uint64  `json:"b_of"`
	BRate  float64 `json:"b_rate"`
}

func countsOf(p sides) []CountRow {
	var rows []CountRow
	for _, c := range []struct {
		name string
		of   func(*loaded) (n, of uint64)
	}{
		{"arrivals_dropped", func(l *loaded) (uint64, uint64) { return l.Arrivals.Dropped, l.Arrivals.Due }},
		{"operations_failed", func(l *loaded) (uint64, uint64) { return l.All.Failed, l.All.count() }},
		{"operations_unknown", func(l *loaded) (uint64, uint64) { return l.All.Unknown, l.All.count() }},
		{"beacons_lost", func(l *loaded) (uint64, uint64) { return l.Beacons.Lost, l.Beacons.Sent }},
	} {
		sum := func(results []*Result) (n, of uint64, rate float64) {
			for _, r := range results {
				some, ofSome := c.of(r.Load)
				n, of = n+some, of+ofSome
			}
			return n, of, float64(n) / float64(max(1, of))
		}
		row := CountRow{Metric: c.name}
		row.A, row.AOf, row.ARate = sum(p.a)
		row.B, row.BOf, row.BRate = sum(p.b)
		rows = append(rows, row)
	}
	return rows
}

// Used is what each run's own server used; no test is made of it.
type Used struct {
	What string    `json:"what"` // with its unit last
	A    []float64 `json:"a"`    // one for each run
	B    []float64 `json:"b"`
}

// usedOf is empty when a server was elsewhere.
func usedOf(p sides) []Used {
	all := []Used{}
	for _, u := range []struct {
		what string
		of   func(*Result) float64
	}{
		{"server_cpu_us_per_operation", func(r *Result) float64 {
			return 1e6 * (r.Load.ServerUse.UserSeconds + r.Load.ServerUse.SystemSeconds) / float64(max(1, r.Load.All.count()))
		}},
		{"server_peak_mib", func(r *Result) float64 { return float64(r.Load.ServerUse.PeakBytes) / (1 << 20) }},
		{"server_gc_pause_ms", func(r *Result) float64 { return 1000 * r.Load.ServerUse.GCPauseSeconds }},
	} {
		each := func(results []*Result) (values []float64) {
			for _, r := range results {
				if r.Load.ServerUse == nil {
					return nil
				}
				values = append(values, u.of(r))
			}
			return values
		}
		if a, b := each(p.a), each(p.b); a != nil && b != nil {
			all = append(all, Used{u.what, a, b})
		}
	}
	return all
}
