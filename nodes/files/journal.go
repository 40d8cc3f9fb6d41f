package files

import (
	"bytes"
	"errors"
	"strconv"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// The journal of a contact log: its first line is journalMark; every other line
// is an entry of the log, TempID, start and expiry, and its reception in Unix
// nanoseconds, with one space between them, in order of arrival.
const (
	journalMark   = "bluetrace contact journal 1"
	journalSuffix = ".journal"
	// beforeReceived is the length of an entry up to its reception.
	beforeReceived = protocol.TempIDSize + 1 + protocol.TimeSize + 1 + protocol.TimeSize + 1
)

var (
	errJournalMark = errors.New("it is not " + strconv.Quote(journalMark))
	errJournalLine = errors.New("it is not a TempID, a start, an expiry and a reception")
)

func appendJournal(dst []byte, k *nodes.StoredContact) []byte {
	dst = append(append(dst, k.TempID[:]...), ' ')
	dst = append(k.Start.Append(dst), ' ')
	dst = append(k.Expiry.Append(dst), ' ')
	return append(strconv.AppendInt(dst, k.Received, 10), '\n')
}

// journalLine is a line of a journal that is no entry.
type journalLine struct {
	text   []byte
	number int
	at     span
	torn   bool // it is the last, and has no line feed
	err    error
}

// readJournal hands out the entries of a journal, and what is none of them. The
// error errJournalMark: it is no journal.
func readJournal(t *lines, take func(nodes.StoredContact), refuse func(journalLine)) error {
	begin := int64(0)
	for {
		line, ok := t.next()
		if !ok {
			return t.err
		}
		k, err := readJournalLine(line)
		isMark := t.number == 1 && string(line) == journalMark
		switch {
		case t.number == 1 && err != nil && !isMark:
			return errJournalMark
		case !t.whole:
			refuse(journalLine{text: line, number: t.number, at: span{begin, t.end()}, torn: true})
		case isMark:
		case err != nil:
			refuse(journalLine{text: line, number: t.number, at: span{begin, t.end()}, err: err})
		default:
			take(k)
		}
		begin = t.end()
	}
}

// readJournalLine takes a line without its line feed, and only as appendJournal
// writes it.
func readJournalLine(line []byte) (k nodes.StoredContact, err error) {
	if len(line) <= beforeReceived || line[20] != ' ' || line[40] != ' ' || line[60] != ' ' {
		return k, errJournalLine
	}
	b, err := readEntry(line[:20], line[21:40], line[41:60])
	if err != nil {
		return k, err
	}
	received := line[beforeReceived:]
	n, err := strconv.ParseInt(string(received), 10, 64)
	var again [24]byte
	if err != nil || !bytes.Equal(strconv.AppendInt(again[:0], n, 10), received) {
		return k, errJournalLine
	}
	return nodes.StoredContact{TempID: b.TempID, Start: b.Start, Expiry: b.Expiry, Received: n}, nil
}

// readEntry reads the three fields of an entry.
func readEntry(id, start, expiry []byte) (b protocol.Beacon, err error) {
	if b.TempID, err = protocol.ParseTempID(id); err != nil {
		return b, err
	}
	if b.Start, err = protocol.ParseTime(start); err != nil {
		return b, err
	}
	b.Expiry, err = protocol.ParseTime(expiry)
	return b, err
}
