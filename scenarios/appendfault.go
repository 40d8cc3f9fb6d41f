package scenarios

import (
	"fmt"

	yaml "go.yaml.in/yaml/v4"
)

func (w *writer) faults() {
	var list []flowing
	for i := range w.s.Faults {
		list = append(list, w.fault(&w.s.Faults[i], true))
	}
	w.items("faults", list)
}

// fault writes the kind first, then to whom, how, and when: of what happens in an
// instant a file has to say that even of its start.
func (w *writer) fault(v *Fault, ofFile bool) flowing {
	var f flowing
	w.faultKind(&f, v)
	w.nodesUnlessAny(&f, "from", v.From)
	w.nodesUnlessAny(&f, "to", v.To)
	f.putIf(v.OneWay != "", "one_way", v.OneWay)
	f.putIf(v.Stream, "transport", "tcp")
	if !v.Kind.ValueIsChance() {
		f.putIf(v.Chance != 1, "chance", percentText(v.Chance))
	}
	f.putIf(v.Skip > 0, "skip", fmt.Sprint(v.Skip))
	f.putIf(v.Count > 0, "count", fmt.Sprint(v.Count))
	f.putIf(v.At != 0 || ofFile && v.Instant(), "at", durationText(v.At))
	f.duration("for", v.For, 0)
	f.duration("every", v.Every, 0)
	f.duration("until", v.Until, 0)
	return f
}

// faultKind writes the key of the kind, and those that are its alone.
func (w *writer) faultKind(f *flowing, v *Fault) {
	kind := string(v.Kind)
	switch v.Kind {
	case FaultLose, FaultDuplicate, FaultReorder, FaultCorrupt, FaultTruncate:
		f.put(kind, percentText(v.Chance))
		f.putIf(v.Kind == FaultReorder, "by", v.Delay.String())
		f.putIf(v.Kind == FaultCorrupt && v.Bytes > 0, "byte", fmt.Sprint(v.Bytes))
		f.putIf(v.Kind == FaultTruncate && v.Bytes >= 0, "left", fmt.Sprint(v.Bytes))
	case FaultDelay:
		f.put(kind, v.Delay.String())
	case FaultSlow:
		f.put(kind, fmt.Sprint(v.Bytes))
		f.putIf(v.Room > 0, "room", fmt.Sprint(v.Room))
	case FaultPieces:
		f.put(kind, fmt.Sprint(v.Bytes))
		w.nodesUnlessAny(f, "of", v.Of)
	case FaultJoin:
		f.put(kind, v.Delay.String())
		w.nodesUnlessAny(f, "of", v.Of)
	default:
		f.put(kind, w.nodes(v.Of))
	}
	switch v.Kind {
	case FaultCrash:
		f.putIf(v.Unsynced != "" && v.Unsynced != defaultOf[string](faultShape(), "unsynced"), "unsynced", v.Unsynced)
	case FaultDisk:
		f.put("is", v.Disk)
		f.putIf(v.Disk == "slow", "delay", v.Delay.String())
	case FaultClock:
		f.duration("offset", v.Offset, 0)
		f.duration("step", v.Step, 0)
		f.putIf(v.Drift != 0 || v.Offset == 0 && v.Step == 0, "drift", numberText(v.Drift))
	}
}

func (w *writer) nodes(n Nodes) string {
	names := w.names(n.Phones)
	if n.Server {
		names = append([]string{serverWord}, names...)
	}
	return listed(names)
}

func (w *writer) nodesUnlessAny(f *flowing, key string, n Nodes) {
	f.putIf(!n.Any && (n.Server || len(n.Phones) > 0), key, w.nodes(n))
}

func (w *writer) adversaries() {
	var list []flowing
	for i := range w.s.Adversaries {
		list = append(list, w.adversary(&w.s.Adversaries[i]))
	}
	w.items("adversaries", list)
}

func (w *writer) adversary(a *Adversary) flowing {
	var f flowing
	switch a.Kind {
	case AdversaryReplay, AdversaryGuess:
		f.put(string(a.Kind), w.phones(a.Of))
	case AdversaryForge, AdversaryFlood:
		f.put(string(a.Kind), w.phones(a.To))
	case AdversaryUpload:
		which := "foreign"
		if a.Invented {
			which = "invented"
		}
		f.put(string(a.Kind), which)
	default:
		f.put(string(a.Kind), serverWord)
	}
	f.put("by", w.phones(a.By))
	if a.Kind == AdversaryReplay {
		f.put("to", w.phones(a.To))
		f.putIf(a.After != Distribution{}, "after", a.After.String())
		f.putIf(a.Chance != 1, "chance", percentText(a.Chance))
	}
	f.duration("every", a.Every, 0)
	f.putIf(a.Jitter != 0, "jitter", percentText(a.Jitter))
	f.duration("from", a.From, 0)
	f.duration("until", a.Until, 0)
	return f
}

// FaultText is what Fault.Text of f will be when the file that AppendYAML writes
// is read.
func (s *Scenario) FaultText(f *Fault) string { return asRead(newWriter(s).fault(f, true)) }

// StepFaultText is the same of a step's fault.
func (s *Scenario) StepFaultText(f *Fault) string { return asRead(newWriter(s).fault(f, false)) }

// AdversaryText is the same of an adversary.
func (s *Scenario) AdversaryText(a *Adversary) string { return asRead(newWriter(s).adversary(a)) }

func asRead(f flowing) string {
	var n yaml.Node
	if err := yaml.Load([]byte(f.String()), &n); err != nil {
		panic(fmt.Sprintf("scenarios: what was written is no YAML: %v in %s", err, f))
	}
	return oneLine(n.Content[0])
}
