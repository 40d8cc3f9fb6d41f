package files

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// A line of tempIDs.txt is a username followed by fields of fixed length: a space and
// the TempID, a space and the start, a space and the expiry. issueTail is the length of
// these fields.
const (
	issueTail     = 1 + protocol.TempIDSize + 1 + protocol.TimeSize + 1 + protocol.TimeSize
	longestUser   = protocol.MaxMessage // a session sends its name in one read
	firstWritable = -62_167_219_200     // 01/01/0000 00:00:00 as a local time
	lastWritable  = 253_402_300_799     // 31/12/9999 23:59:59
)

var (
	errIssueLine = errors.New("it is not username, TempID, start and expiry, with one space between them")
	errUser      = errors.New("the username is empty, longer than 1024 bytes, or has a space or " +
		"an unprintable character")
)

// readIssue parses a line without its line feed. It returns the username, which is a
// part of line, and the TempID with its local times as a beacon. It ignores a carriage
// return and one space at the end, which other programs write.
func readIssue(line []byte) (user []byte, b protocol.Beacon, err error) {
	line = trimLineEnd(line)
	at := len(line) - issueTail
	if at < 1 {
		return nil, b, errIssueLine
	}
	user, tail := line[:at], line[at:]
	if tail[0] != ' ' || tail[21] != ' ' || tail[41] != ' ' {
		return nil, b, errIssueLine
	}
	if err = parseEntry(&b, tail[1:21], tail[22:41], tail[42:]); err != nil {
		return nil, b, err
	}
	if !isPlain(user) {
		return nil, b, errUser
	}
	return user, b, nil
}

// trimLineEnd returns a line without a carriage return and one space at its end.
func trimLineEnd(line []byte) []byte {
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

// isPlain reports whether a username has 1 to 1024 bytes, no space, and printable
// characters only.
func isPlain(user []byte) bool {
	if len(user) == 0 || len(user) > longestUser {
		return false
	}
	for i, c := range user {
		if c >= utf8.RuneSelf {
			unprintable := func(r rune) bool { return r == ' ' || !strconv.IsPrint(r) }
			return utf8.Valid(user) && bytes.IndexFunc(user[i:], unprintable) < 0
		}
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// appendIssue appends the line of an issue, with its line feed, to dst. Times are
// written as local times of z. The error is about a name or a time that cannot be
// written.
func appendIssue(dst []byte, i *nodes.Issue, z *protocol.Zone) ([]byte, error) {
	if !isPlain([]byte(i.User)) {
		return dst, fmt.Errorf("writing TempID %s of %q: %w", i.TempID, i.User, errUser)
	}
	start, expiry := z.Local(i.Start), z.Local(i.Expiry)
	if start < firstWritable || expiry > lastWritable || start > lastWritable || expiry < firstWritable {
		return dst, fmt.Errorf("writing TempID %s of %q: its times, %d and %d in Unix seconds, "+
			"are not in the years 0000 to 9999", i.TempID, i.User, i.Start, i.Expiry)
	}
	dst = append(append(dst, i.User...), ' ')
	dst = append(append(dst, i.TempID[:]...), ' ')
	dst = append(start.Append(dst), ' ')
	return append(expiry.Append(dst), '\n'), nil
}

// pairs converts the start and the expiry of lines of tempIDs.txt, as
// protocol.Zone.Pair does. Converting a line takes a few nanoseconds, in whatever year
// its times are.
type pairs struct {
	zone *protocol.Zone
	near *protocol.Zone // the same zone with a cache of its own, which follows the times of the lines
	wall int64          // the argument wall of Pair, Unix nanoseconds
}

func newPairs(zone *protocol.Zone, wall int64) *pairs {
	return &pairs{zone: zone, near: protocol.NewZone(zone.Location()), wall: wall}
}

// convert returns the span of one line. The errors are those of protocol.Zone.Pair.
func (p *pairs) convert(start, expiry protocol.LocalTime) (protocol.Span, error) {
	offset, ok := p.near.Offset(start, expiry)
	if !ok {
		return p.zone.Pair(start, expiry, p.wall)
	}
	if expiry <= start {
		return protocol.Span{}, protocol.ErrNotAfter
	}
	return protocol.Span{Start: int64(start) - offset, Expiry: int64(expiry) - offset}, nil
}
