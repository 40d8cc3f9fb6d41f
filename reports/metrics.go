package reports

import (
	"errors"
	"fmt"
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// Register shows a finished run in reg: counters, gauges and delay histograms,
// each with the label scenario. Other labels are outcome and operation, whose
// values are a fixed few. Two runs of one scenario do not fit in one registry:
// the second is refused. r must not change afterwards.
func Register(reg prometheus.Registerer, r *Run) error {
	f := finished{}
	f.counts(r)
	f.outcomes(r)
	f.gauges(r)
	f.delays(r)
	if f.err != nil {
		return fmt.Errorf("making the metrics of %q: %w", r.Scenario, f.err)
	}
	labelled := prometheus.WrapRegistererWith(prometheus.Labels{"scenario": Escape(r.Scenario)}, reg)
	if err := labelled.Register(&f); err != nil {
		return fmt.Errorf("registering the metrics of %q: %w", r.Scenario, err)
	}
	return nil
}

// OpenMetrics writes what g gathers in the OpenMetrics text form, up to and
// with its # EOF. Native buckets have no place in it; the classic ones stand.
func OpenMetrics(w io.Writer, g prometheus.Gatherer) error {
	families, err := g.Gather()
	if err != nil {
		return fmt.Errorf("gathering metrics: %w", err)
	}
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToOpenMetrics(w, family); err != nil {
			return fmt.Errorf("writing metric %q: %w", family.GetName(), err)
		}
	}
	if _, err := expfmt.FinalizeOpenMetrics(w); err != nil {
		return fmt.Errorf("writing the end of the metrics: %w", err)
	}
	return nil
}

// finished is a collector of metrics that no longer change.
type finished struct {
	metrics []prometheus.Metric
	err     error
}

func (f *finished) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(f, ch) }

func (f *finished) Collect(ch chan<- prometheus.Metric) {
	for _, m := range f.metrics {
		ch <- m
	}
}

func (f *finished) counts(r *Run) {
	for _, c := range []struct {
		name, help string
		value      uint64
	}{
		{"bluetrace_events_total", "Events of the run.", r.Events},
		{"bluetrace_beacons_sent_total", "Beacons that phones sent.", r.Beacons.Sent},
		{"bluetrace_beacons_delivered_total", "Beacons that a receiver judged.", r.Beacons.Delivered},
		{"bluetrace_beacons_kept_total", "Entries written to contact logs.", r.Beacons.Kept},
		{"bluetrace_beacons_expired_total", "Contact log entries that reached their retention.", r.Beacons.Expired},
		{"bluetrace_datagrams_sent_total", "UDP datagrams sent.", r.Datagrams.Sent},
		{"bluetrace_datagrams_delivered_total", "UDP datagrams that reached a phone.", r.Datagrams.Delivered},
		{"bluetrace_datagrams_lost_total", "UDP datagrams that the network lost.", r.Datagrams.Lost},
		{"bluetrace_sessions_opened_total", "TCP connections that the server accepted.", r.Sessions.Opened},
		{"bluetrace_sessions_closed_total", "TCP connections that ended.", r.Sessions.Closed},
		{"bluetrace_account_blocks_total", "Blocks that began after wrong passwords in a row.", r.Logins.Blocked},
		{"bluetrace_tempids_issued_total", "TempIDs that the server issued.", r.TempIDs.Issued},
		{"bluetrace_upload_entries_total", "Contact log entries in complete uploads.", r.Uploads.Entries},
		{"bluetrace_upload_entries_resolved_total", "Uploaded entries whose TempID the server issued.", r.Uploads.Resolved},
	} {
		f.add(prometheus.NewConstMetric(prometheus.NewDesc(c.name, c.help, nil, nil), prometheus.CounterValue, float64(c.value)))
	}
}

func (f *finished) outcomes(r *Run) {
	checks := map[Verdict]uint64{}
	for _, c := range r.Checks {
		checks[c.Verdict]++
	}
	for _, c := range []struct {
		name, help string
		values     []outcome
	}{
		{"bluetrace_beacons_judged_total", "Beacons by the receiver's verdict.",
			[]outcome{{"valid", r.Beacons.Valid}, {"invalid", r.Beacons.Invalid}}},
		{"bluetrace_logins_total", "Login attempts by the server's answer.",
			[]outcome{{"welcomed", r.Logins.Welcomed}, {"wrong", r.Logins.Wrong}, {"refused", r.Logins.Refused}}},
		{"bluetrace_uploads_total", "Uploads by how they ended.",
			[]outcome{{"complete", r.Uploads.Complete}, {"broken", r.Uploads.Broken}}},
		{"bluetrace_checks_total", "Expectations, thresholds and invariants by their verdict.",
			[]outcome{{"passed", checks[Passed]}, {"failed", checks[Failed]}, {"unknown", checks[Unknown]}}},
	} {
		desc := prometheus.NewDesc(c.name, c.help, []string{"outcome"}, nil)
		for _, o := range c.values {
			f.add(prometheus.NewConstMetric(desc, prometheus.CounterValue, float64(o.count), o.name))
		}
	}
}

type outcome struct {
	name  string
	count uint64
}

func (f *finished) gauges(r *Run) {
	for _, g := range []struct {
		name, help string
		value      float64
	}{
		{"bluetrace_datagrams_in_flight", "UDP datagrams under way when the run ended.", float64(r.Datagrams.InFlight)},
		{"bluetrace_phones", "Phones of the scenario.", float64(r.Phones)},
		{"bluetrace_run_virtual_seconds", "Virtual time that the run took.", r.VirtualSeconds},
		{"bluetrace_run_wall_seconds", "Wall time that the run took.", r.WallSeconds},
		{"bluetrace_run_peak_rss_bytes", "Largest resident memory of the process.", float64(r.PeakRSSBytes)},
	} {
		f.add(prometheus.NewConstMetric(prometheus.NewDesc(g.name, g.help, nil, nil), prometheus.GaugeValue, g.value))
	}
}

func (f *finished) delays(r *Run) {
	beacon := prometheus.NewDesc("bluetrace_beacon_delay_seconds",
		"From the sending of a beacon's first datagram to its verdict.", nil, nil)
	operation := prometheus.NewDesc("bluetrace_operation_delay_seconds",
		"From a request of a phone to the server's answer.", []string{"operation"}, nil)
	for _, o := range r.Operations {
		if o.Count() == 0 {
			continue
		}
		if o.Name == "beacon" {
			f.delay(newDelayMetric(delayBounds(), beacon, o.Histogram))
		} else {
			f.delay(newDelayMetric(delayBounds(), operation, o.Histogram, Escape(o.Name)))
		}
	}
}

func (f *finished) add(m prometheus.Metric, err error) {
	f.metrics, f.err = append(f.metrics, m), errors.Join(f.err, err)
}

func (f *finished) delay(m *delayMetric, err error) { f.add(m, err) }
