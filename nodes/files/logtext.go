package files

import (
	"errors"
	"fmt"
	"slices"

	"bluetrace/protocol"
)

var errEntry = errors.New("it is not part of an entry: TempID, start and expiry on three lines")

// readLog hands out the entries of a contact log: three lines each, TempID, start
// and expiry. Where three lines are no entry, the first of them is noted, and the
// next is looked at.
func readLog(l *lines, odd *strange, take func(protocol.Beacon)) error {
	var held [][]byte // up to three lines
	first := 1        // number of held[0]
	for {
		line, ok := l.next()
		if ok {
			held = append(held, slices.Clone(trimReturn(line)))
		}
		for len(held) == 3 || !ok && len(held) > 0 {
			n := 1
			if b, err := entryOf(held); err == nil {
				take(b)
				n = 3
			} else {
				odd.line(first, fmt.Sprintf("is dropped: %s: %v", quoted(held[0]), err))
			}
			held, first = held[n:], first+n
		}
		if !ok {
			odd.done()
			return l.err
		}
	}
}

func entryOf(held [][]byte) (b protocol.Beacon, err error) {
	if len(held) < 3 {
		return b, errEntry
	}
	if b, err = readEntry(held[0], held[1], held[2]); err != nil {
		return b, errEntry
	}
	return b, nil
}
