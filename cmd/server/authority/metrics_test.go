package authority

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"bluetrace/nodes"
)

// The counters after a sequence of events of all kinds.
func TestMetricsCount(t *testing.T) {
	m := newMetrics()
	for range 3 {
		m.Accepted(nodes.Now{}, 0, netip.AddrPort{})
	}
	m.Effect(nodes.Now{}, &nodes.ServerEffect{Kind: nodes.EffectClose})
	for kind, times := range map[nodes.ServerEventKind]int{
		nodes.EventLoggedIn: 2, nodes.EventWrongPassword: 4, nodes.EventBlockBegan: 1, nodes.EventRefused: 5,
		nodes.EventIssued: 7, nodes.EventNotIssued: 3, nodes.EventUploadBroken: 2, nodes.EventSessionEnded: 1,
	} {
		for range times {
			m.Effect(nodes.Now{}, &nodes.ServerEffect{Kind: nodes.EffectEvent, Event: nodes.ServerEvent{Kind: kind, Entries: 11}})
		}
	}
	for _, e := range []nodes.ServerEvent{
		{Kind: nodes.EventUploadDone, Entries: 10, Resolved: 4},
		{Kind: nodes.EventSkipped, Entries: 6, User: "not a label"},
	} {
		m.Effect(nodes.Now{}, &nodes.ServerEffect{Kind: nodes.EffectEvent, Event: e})
	}
	m.stored(1, 100*time.Microsecond, nil)
	m.stored(50, time.Millisecond, errors.New("full"))
	want := `
# HELP bluetrace_server_logins_total Login attempts by the server's answer; blocked is the one with which a block begins, beside wrong.
# TYPE bluetrace_server_logins_total counter
bluetrace_server_logins_total{outcome="blocked"} 1
bluetrace_server_logins_total{outcome="refused"} 5
bluetrace_server_logins_total{outcome="welcomed"} 2
bluetrace_server_logins_total{outcome="wrong"} 4
# HELP bluetrace_server_sessions_open TCP connections that are open.
# TYPE bluetrace_server_sessions_open gauge
bluetrace_server_sessions_open 2
# HELP bluetrace_server_sessions_total TCP connections that were accepted.
# TYPE bluetrace_server_sessions_total counter
bluetrace_server_sessions_total 3
# HELP bluetrace_server_skipped_bytes_total Bytes of phones that were no command.
# TYPE bluetrace_server_skipped_bytes_total counter
bluetrace_server_skipped_bytes_total 6
# HELP bluetrace_server_store_errors_total Batches that could not be saved, wholly or in part.
# TYPE bluetrace_server_store_errors_total counter
bluetrace_server_store_errors_total 1
# HELP bluetrace_server_store_records Records that went to the disk together.
# TYPE bluetrace_server_store_records histogram
bluetrace_server_store_records_bucket{le="1"} 1
bluetrace_server_store_records_bucket{le="2"} 1
bluetrace_server_store_records_bucket{le="4"} 1
bluetrace_server_store_records_bucket{le="8"} 1
bluetrace_server_store_records_bucket{le="16"} 1
bluetrace_server_store_records_bucket{le="32"} 1
bluetrace_server_store_records_bucket{le="64"} 2
bluetrace_server_store_records_bucket{le="128"} 2
bluetrace_server_store_records_bucket{le="256"} 2
bluetrace_server_store_records_bucket{le="512"} 2
bluetrace_server_store_records_bucket{le="1024"} 2
bluetrace_server_store_records_bucket{le="2048"} 2
bluetrace_server_store_records_bucket{le="+Inf"} 2
bluetrace_server_store_records_sum 51
bluetrace_server_store_records_count 2
# HELP bluetrace_server_tempids_known TempIDs that resolve to their owner.
# TYPE bluetrace_server_tempids_known gauge
bluetrace_server_tempids_known 7
# HELP bluetrace_server_tempids_total TempIDs that were asked for, by whether they could be saved and so were issued.
# TYPE bluetrace_server_tempids_total counter
bluetrace_server_tempids_total{outcome="issued"} 7
bluetrace_server_tempids_total{outcome="not_issued"} 3
# HELP bluetrace_server_upload_entries_resolved_total Uploaded entries whose TempID the server issued.
# TYPE bluetrace_server_upload_entries_resolved_total counter
bluetrace_server_upload_entries_resolved_total 4
# HELP bluetrace_server_upload_entries_total Contact log entries in complete uploads.
# TYPE bluetrace_server_upload_entries_total counter
bluetrace_server_upload_entries_total 10
# HELP bluetrace_server_uploads_total Uploads of contact logs by how they ended.
# TYPE bluetrace_server_uploads_total counter
bluetrace_server_uploads_total{outcome="broken"} 2
bluetrace_server_uploads_total{outcome="complete"} 1
`
	names := []string{}
	for line := range strings.Lines(want) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			names = append(names, strings.Fields(rest)[0])
		}
	}
	if err := testutil.GatherAndCompare(m.registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestMetricsOfTheDisk(t *testing.T) {
	m := newMetrics()
	for _, took := range []time.Duration{100 * time.Microsecond, 300 * time.Microsecond, time.Millisecond} {
		m.stored(1, took, nil)
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "bluetrace_server_store_seconds" {
			continue
		}
		h := family.Metric[0].Histogram
		if h.GetSampleCount() != 3 || h.GetSampleSum() < 0.00139 || h.GetSampleSum() > 0.00141 {
			t.Errorf("%d stores in %v s, want 3 in 0.0014", h.GetSampleCount(), h.GetSampleSum())
		}
		if b := h.Bucket[1]; b.GetUpperBound() != 100e-6 || b.GetCumulativeCount() != 1 {
			t.Errorf("classic bucket %v", b)
		}
		if len(h.PositiveSpan) == 0 {
			t.Error("no native buckets")
		}
		return
	}
	t.Error("there is no such metric")
}

func TestMetricNames(t *testing.T) {
	problems, err := testutil.GatherAndLint(newMetrics().registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
