package swarm

import (
	"fmt"
	"strings"

	"bluetrace/scenarios"
)

// text is a fault on one line.
func (h *hand) text(f *scenarios.Fault) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", f.Kind)
	switch f.Kind {
	case scenarios.FaultLose, scenarios.FaultDuplicate, scenarios.FaultReorder, scenarios.FaultCorrupt, scenarios.FaultTruncate:
		fmt.Fprintf(&b, " %g%%", 100*f.Chance)
	default:
		fmt.Fprintf(&b, " %s", h.whom(f.Of))
		if f.Chance < 1 {
			fmt.Fprintf(&b, ", chance %g%%", 100*f.Chance)
		}
	}
	for _, w := range []struct {
		word string
		n    scenarios.Nodes
	}{{"from", f.From}, {"to", f.To}} {
		if len(w.n.Phones) > 0 || w.n.Server {
			fmt.Fprintf(&b, ", %s %s", w.word, h.whom(w.n))
		}
	}
	if d := f.Delay; d != (scenarios.Distribution{}) {
		fmt.Fprintf(&b, ", by %s", written(d))
	}
	for _, w := range []struct {
		word string
		is   any
	}{{"", f.Disk}, {"unsynced", f.Unsynced}, {"one way", f.OneWay}, {"bytes", f.Bytes}, {"room", f.Room}, {"drift", f.Drift},
		{"offset", f.Offset}, {"step", f.Step}, {"at", f.At}, {"for", f.For}, {"every", f.Every}, {"until", f.Until}} {
		if s := fmt.Sprint(w.is); s != "" && s != "0" && s != "0s" {
			fmt.Fprintf(&b, ", %s", strings.TrimSpace(w.word+" "+s))
		}
	}
	return b.String()
}

// whom names nodes, a few of them.
func (h *hand) whom(n scenarios.Nodes) string {
	if n.Any {
		return "anybody"
	}
	var all []string
	if n.Server {
		all = append(all, "server")
	}
	for i, p := range n.Phones {
		if i == 3 && len(n.Phones) > 4 {
			all = append(all, fmt.Sprintf("and %d more", len(n.Phones)-i))
			break
		}
		all = append(all, h.name(p))
	}
	return strings.Join(all, " ")
}

func (h *hand) name(phone int) string {
	for i := range h.s.Phones {
		g := &h.s.Phones[i]
		if phone < g.Count {
			return g.PhoneName(phone)
		}
		phone -= g.Count
	}
	return "?"
}
