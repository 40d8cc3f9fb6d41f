package scenarios

import (
	"fmt"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// otherWords are words that people try, each with how the language says it.
type otherWords map[string]string

// faultWords are tried as keys of a fault.
func faultWords() otherWords {
	const (
		lasts   = "`for`, which says how long it is in force; then it is over, and who was stopped goes on"
		restart = "`crash` with `for`, after which it starts again from its disk"
		torn    = "`crash` with `unsynced: torn`"
		failing = "`disk` with `is: failing`"
	)
	return otherWords{
		"heal": lasts, "resume": lasts, "repair": lasts, "recover": lasts, "duration": lasts, "length": lasts,
		"restart": restart, "kill": restart, "stop": restart,
		"partition": "`cut`", "isolate": "`cut`", "disconnect": "`cut`",
		"drop": "`lose`", "loss": "`lose`", "latency": "`delay`", "lag": "`delay`",
		"freeze": "`pause`", "suspend": "`pause`", "skew": "`clock` with `offset`", "bandwidth": "`slow`",
		"torn": torn, "error": failing,
	}
}

// diskWords are tried as what a disk is.
func diskWords() otherWords {
	return otherWords{"torn": "`crash` with `unsynced: torn`", "error": "`failing`", "broken": "`failing`", "eio": "`failing`", "enospc": "`full`"}
}

// stepWords are the kinds of faults, which stand under `fault` in a step.
func stepWords() otherWords {
	words := otherWords{}
	for _, k := range kindsOfFaults() {
		words[k] = fmt.Sprintf("`fault: {%s: …}`", k)
	}
	return words
}

// meant is "did you mean …?" or nothing.
func (o otherWords) meant(word string) string {
	if says, ok := o[strings.ToLower(word)]; ok {
		return "did you mean " + says + "?"
	}
	return ""
}

// alsoSaid is a scalar that knows other words for what it takes.
func alsoSaid(words otherWords, s *shape) *shape {
	parse := s.scalar.parse
	s.scalar.parse = func(t string) (any, error) {
		v, err := parse(t)
		if meant := words.meant(t); err != nil && meant != "" {
			return nil, told{fmt.Errorf("%s", meant)}
		}
		return v, err
	}
	return s
}

// kindKey is a key of which a mapping has one, with those that stand beside it.
type kindKey struct {
	name   string
	beside []string
}

// couldStand lists what could stand in n in the place of an unknown key: the
// kinds, when it has none of them, else what stands beside the one it has.
func (m *mapping) couldStand(n *yaml.Node) string {
	if m.kinds == nil {
		return m.couldBe()
	}
	var names []string
	for _, k := range m.kinds {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == k.name {
				return "one of " + backquoted(slices.Concat(k.beside, m.besideAll))
			}
		}
		names = append(names, k.name)
	}
	return "one of " + backquoted(names)
}
