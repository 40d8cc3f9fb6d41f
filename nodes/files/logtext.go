package files

import (
	"slices"

	"bluetrace/protocol"
)

// logLine is a line of a contact log.
type logLine struct {
	text   []byte
	number int
	at     span
}

// readLog hands out the entries of a contact log: three lines each, TempID, start
// and expiry. Where three lines are no entry, the first of them is refused, and
// the next is looked at.
func readLog(l *lines, take func(protocol.Beacon), refuse func(logLine)) error {
	var held []logLine // up to three
	begin := int64(0)
	for {
		line, ok := l.next()
		if ok {
			held = append(held, logLine{slices.Clone(trimReturn(line)), l.number, span{begin, l.end()}})
			begin = l.end()
		}
		for len(held) == 3 || !ok && len(held) > 0 {
			n := 1
			if b, ok := entryOf(held); ok {
				take(b)
				n = 3
			} else {
				refuse(held[0])
			}
			held = held[n:]
		}
		if !ok {
			return l.err
		}
	}
}

func entryOf(held []logLine) (protocol.Beacon, bool) {
	if len(held) < 3 {
		return protocol.Beacon{}, false
	}
	b, err := readEntry(held[0].text, held[1].text, held[2].text)
	return b, err == nil
}
