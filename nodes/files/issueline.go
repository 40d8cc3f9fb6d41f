package files

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// A line of tempIDs.txt: a user, and behind it what has a fixed length: a space
// and the TempID, a space and the start, a space and the expiry.
const (
	issueTail     = 1 + protocol.TempIDSize + 1 + protocol.TimeSize + 1 + protocol.TimeSize
	longestUser   = protocol.MaxMessage // no longer name can come in one read
	firstWritable = -62_167_219_200     // 01/01/0000 00:00:00 as a local time
	lastWritable  = 253_402_300_799     // 31/12/9999 23:59:59
)

var (
	errIssueLine = errors.New("it is not username, TempID, start and expiry, with one space between them")
	errUser      = errors.New("the username is empty, longer than 1024 bytes, or has a space or an unprintable character")
)

// writtenIssue is a line of tempIDs.txt before its times are read as instants.
type writtenIssue struct {
	user          []byte // of the line
	id            protocol.TempID
	start, expiry protocol.LocalTime
}

// readIssue takes a line without its line feed. One space and a carriage return
// at its end, as other programs write them, are no part of it.
func readIssue(line []byte) (w writtenIssue, err error) {
	line = trimmed(line)
	at := len(line) - issueTail
	if at < 1 {
		return w, errIssueLine
	}
	w.user = line[:at]
	tail := line[at:]
	if tail[0] != ' ' || tail[21] != ' ' || tail[41] != ' ' {
		return w, errIssueLine
	}
	if w.id, err = protocol.ParseTempID(tail[1:21]); err != nil {
		return w, err
	}
	if w.start, err = protocol.ParseTime(tail[22:41]); err != nil {
		return w, err
	}
	if w.expiry, err = protocol.ParseTime(tail[42:]); err != nil {
		return w, err
	}
	if !plain(w.user) {
		return w, errUser
	}
	return w, nil
}

// trimmed is a line without what other programs put at its end.
func trimmed(line []byte) []byte {
	line = trimReturn(line)
	if n := len(line); n > 0 && line[n-1] == ' ' {
		line = line[:n-1]
	}
	return line
}

func trimReturn(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// plain says whether a name can stand in a line between spaces, and be printed.
func plain(user []byte) bool {
	if len(user) == 0 || len(user) > longestUser {
		return false
	}
	for i, c := range user {
		if c >= utf8.RuneSelf {
			return plainRunes(user[i:])
		}
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

func plainRunes(user []byte) bool {
	for len(user) > 0 {
		r, n := utf8.DecodeRune(user)
		if r == utf8.RuneError && n == 1 || r == ' ' || !strconv.IsPrint(r) {
			return false
		}
		user = user[n:]
	}
	return true
}

// appendIssue appends the line of i with its line feed.
func appendIssue(dst []byte, i *nodes.Issue, z *protocol.Zone) ([]byte, error) {
	if !plain([]byte(i.User)) {
		return dst, fmt.Errorf("writing TempID %s of %q: %w", i.TempID, i.User, errUser)
	}
	start, expiry := z.Local(i.Start), z.Local(i.Expiry)
	if start < firstWritable || expiry > lastWritable || start > lastWritable || expiry < firstWritable {
		return dst, fmt.Errorf("writing TempID %s of %q: its times, %d and %d in Unix seconds, are not in the years 0000 to 9999",
			i.TempID, i.User, i.Start, i.Expiry)
	}
	dst = append(append(dst, i.User...), ' ')
	dst = append(append(dst, i.TempID[:]...), ' ')
	dst = append(start.Append(dst), ' ')
	return append(expiry.Append(dst), '\n'), nil
}
