package main

import (
	"strconv"
	"strings"
)

// fileNames gives each scenario a name for its files that no other has.
type fileNames map[string]bool

const fileNameLength = 100

// take makes a scenario's name safe as a file name: letters, digits, _ and -
// stay, everything else becomes -. A name that is taken, also when only the
// case of letters differs, gets a number.
func (n fileNames) take(scenario string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-':
			return r
		}
		return '-'
	}, scenario)
	safe = strings.TrimLeft(safe[:min(len(safe), fileNameLength)], "-")
	if safe == "" {
		safe = "scenario"
	}
	name := safe
	for i := 2; n[strings.ToLower(name)]; i++ {
		name = safe + "-" + strconv.Itoa(i)
	}
	n[strings.ToLower(name)] = true
	return name
}
