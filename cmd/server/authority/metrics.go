package authority

import (
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"bluetrace/nodes"
	"bluetrace/nodes/socket"
)

// metrics counts the decisions of the server, in a registry of its own. No label
// value comes from the network.
type metrics struct {
	socket.IgnoreServer
	registry *prometheus.Registry

	open, known                   prometheus.Gauge
	sessions, storeErrors         prometheus.Counter
	events                        map[nodes.ServerEventKind]prometheus.Counter // one more for each event of a kind
	entries, resolved, skipped    prometheus.Counter
	storeSeconds, recordsPerStore prometheus.Histogram
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	with := promauto.With(prometheus.WrapRegistererWithPrefix("bluetrace_server_", m.registry))
	counter := func(name, help string) prometheus.Counter {
		return with.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return with.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	outcomes := func(name, help string) *prometheus.CounterVec {
		return with.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"outcome"})
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return with.NewHistogram(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: buckets, // beside the native buckets
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
			NativeHistogramMinResetDuration: time.Hour,
		})
	}
	m.sessions = counter("sessions_total", "TCP connections that were accepted.")
	m.open = gauge("sessions_open", "TCP connections that are open.")
	logins := outcomes("logins_total",
		"Login attempts by the server's answer; blocked is the one with which a block begins, beside wrong.")
	ids := outcomes("tempids_total",
		"TempIDs that were asked for, by whether they could be saved and so were issued.")
	uploads := outcomes("uploads_total", "Uploads of contact logs by how they ended.")
	m.events = map[nodes.ServerEventKind]prometheus.Counter{ // all begin at 0
		nodes.EventLoggedIn:      logins.WithLabelValues("welcomed"),
		nodes.EventWrongPassword: logins.WithLabelValues("wrong"),
		nodes.EventBlockBegan:    logins.WithLabelValues("blocked"),
		nodes.EventRefused:       logins.WithLabelValues("refused"),
		nodes.EventIssued:        ids.WithLabelValues("issued"),
		nodes.EventNotIssued:     ids.WithLabelValues("not_issued"),
		nodes.EventUploadDone:    uploads.WithLabelValues("complete"),
		nodes.EventUploadBroken:  uploads.WithLabelValues("broken"),
	}
	m.known = gauge("tempids_known", "TempIDs that resolve to their owner.")
	m.entries = counter("upload_entries_total", "Contact log entries in complete uploads.")
	m.resolved = counter("upload_entries_resolved_total", "Uploaded entries whose TempID the server issued.")
	m.skipped = counter("skipped_bytes_total", "Bytes of phones that were no command.")
	m.storeSeconds = histogram("store_seconds",
		"How long the disk took to make a batch of records durable, fsync included.",
		prometheus.ExponentialBuckets(50e-6, 2, 16)) // to 1.6 s
	m.recordsPerStore = histogram("store_records", "Records that went to the disk together.",
		prometheus.ExponentialBuckets(1, 2, 12))
	m.storeErrors = counter("store_errors_total", "Batches that could not be saved, wholly or in part.")
	return m
}

// Accepted implements socket.ServerObserver: it counts a session.
func (m *metrics) Accepted(nodes.Now, nodes.Conn, netip.AddrPort) {
	m.sessions.Inc()
	m.open.Inc()
}

// Effect implements socket.ServerObserver: it counts an event or the end of a session.
func (m *metrics) Effect(_ nodes.Now, e *nodes.ServerEffect) {
	switch e.Kind {
	case nodes.EffectClose:
		m.open.Dec()
	case nodes.EffectEvent:
		m.count(&e.Event)
	}
}

func (m *metrics) count(e *nodes.ServerEvent) {
	if c := m.events[e.Kind]; c != nil {
		c.Inc()
	}
	switch e.Kind {
	case nodes.EventIssued:
		m.known.Inc()
	case nodes.EventUploadDone:
		m.entries.Add(float64(e.Entries))
		m.resolved.Add(float64(e.Resolved))
	case nodes.EventSkipped:
		m.skipped.Add(float64(e.Entries))
	}
}

// stored records one batch at the disk: its number of records, the time that the disk
// took, and the error, which is nil if all records were saved.
func (m *metrics) stored(records int, took time.Duration, err error) {
	m.storeSeconds.Observe(took.Seconds())
	m.recordsPerStore.Observe(float64(records))
	if err != nil {
		m.storeErrors.Inc()
	}
}
