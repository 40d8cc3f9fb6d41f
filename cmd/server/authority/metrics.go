package authority

import (
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"bluetrace/nodes"
)

// metrics counts the events of the server, in a registry of its own. No label
// value comes from the network.
type metrics struct {
	registry *prometheus.Registry

	open, known             prometheus.Gauge
	sessions                prometheus.Counter
	welcomed, wrongPassword prometheus.Counter
	blocked, refused        prometheus.Counter
	issued, notIssued       prometheus.Counter
	complete, broken        prometheus.Counter
	entries, resolved       prometheus.Counter
	skipped                 prometheus.Counter
	stores                  prometheus.Histogram
	batch                   prometheus.Histogram
	storeErrors             prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.sessions = m.counter("sessions_total", "TCP connections that were accepted.")
	m.open = m.gauge("sessions_open", "TCP connections that are open.")
	logins := m.outcomes("logins_total",
		"Login attempts by the server's answer; blocked is the one with which a block begins, beside wrong.")
	m.welcomed, m.wrongPassword = logins("welcomed"), logins("wrong")
	m.blocked, m.refused = logins("blocked"), logins("refused")
	ids := m.outcomes("tempids_total",
		"TempIDs that were asked for, by whether they could be saved and so were issued.")
	m.issued, m.notIssued = ids("issued"), ids("not_issued")
	m.known = m.gauge("tempids_known", "TempIDs that resolve to their owner.")
	uploads := m.outcomes("uploads_total", "Uploads of contact logs by how they ended.")
	m.complete, m.broken = uploads("complete"), uploads("broken")
	m.entries = m.counter("upload_entries_total", "Contact log entries in complete uploads.")
	m.resolved = m.counter("upload_entries_resolved_total", "Uploaded entries whose TempID the server issued.")
	m.skipped = m.counter("skipped_bytes_total", "Bytes of phones that were no command.")
	m.stores = m.histogram(prometheus.HistogramOpts{
		Name:    "store_seconds",
		Help:    "How long the disk took to make a batch of records durable, fsync included.",
		Buckets: prometheus.ExponentialBuckets(50e-6, 2, 16), // to 1.6 s
	})
	m.batch = m.histogram(prometheus.HistogramOpts{
		Name:    "store_records",
		Help:    "Records that went to the disk together.",
		Buckets: prometheus.ExponentialBuckets(1, 2, 12),
	})
	m.storeErrors = m.counter("store_errors_total", "Batches that could not be saved, wholly or in part.")
	return m
}

const namespace, subsystem = "bluetrace", "server"

func (m *metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name,
		Help: help})
	m.registry.MustRegister(c)
	return c
}

func (m *metrics) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help})
	m.registry.MustRegister(g)
	return g
}

// outcomes returns a function that makes the counters of one name by outcome. A
// counter starts at 0.
func (m *metrics) outcomes(name, help string) func(outcome string) prometheus.Counter {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name,
		Help: help}, []string{"outcome"})
	m.registry.MustRegister(v)
	return func(outcome string) prometheus.Counter { return v.WithLabelValues(outcome) }
}

// histogram adds a histogram with native buckets and the classic ones of o.
func (m *metrics) histogram(o prometheus.HistogramOpts) prometheus.Histogram {
	o.Namespace, o.Subsystem = namespace, subsystem
	o.NativeHistogramBucketFactor = 1.1
	o.NativeHistogramMaxBucketNumber = 100
	o.NativeHistogramMinResetDuration = time.Hour
	h := prometheus.NewHistogram(o)
	m.registry.MustRegister(h)
	return h
}

// Accepted implements socket.ServerObserver: it counts a session.
func (m *metrics) Accepted(nodes.Now, nodes.Conn, netip.AddrPort) {
	m.sessions.Inc()
	m.open.Inc()
}

// Read implements socket.ServerObserver and counts nothing.
func (m *metrics) Read(nodes.Now, nodes.Conn, []byte) {}

// Ended implements socket.ServerObserver and counts nothing: Effect counts the close.
func (m *metrics) Ended(nodes.Now, nodes.Conn) {}

// Stored implements socket.ServerObserver and counts nothing: Store measures the disk.
func (m *metrics) Stored(nodes.Now, nodes.StoreID, []nodes.Record, error) {}

// Effect implements socket.ServerObserver: it counts the decisions of the server.
func (m *metrics) Effect(_ nodes.Now, e *nodes.ServerEffect) {
	switch e.Kind {
	case nodes.EffectClose:
		m.open.Dec()
	case nodes.EffectEvent:
		m.count(&e.Event)
	}
}

func (m *metrics) count(e *nodes.ServerEvent) {
	switch e.Kind {
	case nodes.EventLoggedIn:
		m.welcomed.Inc()
	case nodes.EventWrongPassword:
		m.wrongPassword.Inc()
	case nodes.EventBlockBegan:
		m.blocked.Inc()
	case nodes.EventRefused:
		m.refused.Inc()
	case nodes.EventIssued:
		m.issued.Inc()
		m.known.Inc()
	case nodes.EventNotIssued:
		m.notIssued.Inc()
	case nodes.EventUploadDone:
		m.complete.Inc()
		m.entries.Add(float64(e.Entries))
		m.resolved.Add(float64(e.Resolved))
	case nodes.EventUploadBroken:
		m.broken.Inc()
	case nodes.EventSkipped:
		m.skipped.Add(float64(e.Entries))
	}
}

// stored records the time and the size of one batch at the disk.
func (m *metrics) stored(records int, took time.Duration, err error) {
	m.stores.Observe(took.Seconds())
	m.batch.Observe(float64(records))
	if err != nil {
		m.storeErrors.Inc()
	}
}
