package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// formsFlag is the value of --report: a list of forms, separated by commas.
type formsFlag struct {
	known  []string
	chosen []string
	isSet  bool // chosen is the user's, not the default
}

// defineForms defines --report with the known forms. The default is text.
func defineForms(set *pflag.FlagSet, known ...string) *formsFlag {
	f := &formsFlag{known: known, chosen: []string{"text"}}
	set.Var(f, "report", "print `FORMS`, comma-separated: "+strings.Join(known, ", "))
	return f
}

// has reports whether a form was chosen.
func (f *formsFlag) has(form string) bool { return slices.Contains(f.chosen, form) }

// Set implements pflag.Value.
func (f *formsFlag) Set(text string) error {
	if !f.isSet {
		f.chosen, f.isSet = nil, true
	}
	for form := range strings.SplitSeq(text, ",") {
		form = strings.TrimSpace(form)
		if !slices.Contains(f.known, form) {
			last := len(f.known) - 1
			return fmt.Errorf("unknown form %q: must be %s or %s", form, strings.Join(f.known[:last], ", "),
				f.known[last])
		}
		f.chosen = append(f.chosen, form)
	}
	return nil
}

// String implements pflag.Value.
func (f *formsFlag) String() string { return strings.Join(f.chosen, ",") }

// Type implements pflag.Value.
func (f *formsFlag) Type() string { return "forms" }

// parseVariables reads the NAME=VALUE pairs of --set.
func parseVariables(sets []string) (map[string]string, error) {
	vars := map[string]string{}
	for _, pair := range sets {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("invalid --set %q: must be NAME=VALUE", pair)
		}
		if _, twice := vars[name]; twice {
			return nil, fmt.Errorf("--set gives %q twice", name)
		}
		vars[name] = value
	}
	return vars, nil
}

// refuseEmpty returns an error if one of the named flags was given an empty value.
func refuseEmpty(set *pflag.FlagSet, names ...string) error {
	for _, name := range names {
		if set.Changed(name) && set.Lookup(name).Value.String() == "" {
			return fmt.Errorf("--%s needs a value", name)
		}
	}
	return nil
}
