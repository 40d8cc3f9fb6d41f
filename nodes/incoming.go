package nodes

import (
	"fmt"

	"bluetrace/protocol"
)

// incoming is an upload under way. Memory follows what has come, not what was
// announced.
type incoming struct {
	want, got int    // lines
	text      []byte // the lines that have come, end to end: 20, 19, 19, 20, … bytes
}

// entrySize is the three lines of one entry.
const entrySize = protocol.TempIDSize + 2*protocol.TimeSize

// count takes the number of lines, or ends the session (PROTOCOL.md section 2).
func (s *Server) count(c Conn, b []byte, out *ServerOutbox) {
	x := &s.connections[c]
	lines, err := protocol.ParseCount(b)
	if err == nil && lines > s.settings.MaxUploadLines {
		err = protocol.ErrCountLimit
	}
	if err != nil {
		line := protocol.AppendField([]byte(x.name.user+": upload refused: "), b, false)
		out.print(fmt.Sprintf("%s is %v", line, err))
		s.end(c, ReasonCount, out)
		return
	}
	s.send(c, protocol.Ack, out)
	x.upload = &incoming{want: lines}
	if lines == 0 {
		s.uploaded(c, out)
		return
	}
	s.expect(c, connAtLines, protocol.ExpectLine)
}

// line takes one line of an upload; also a wrong one of the right length is
// answered.
func (s *Server) line(c Conn, b []byte, out *ServerOutbox) {
	u := s.connections[c].upload
	u.text = append(u.text, b...)
	u.got++
	s.uploading += len(b)
	if limit := s.settings.MaxUploadBytes; limit > 0 && s.uploading > limit && s.endLargestUpload(out) == c {
		return
	}
	s.send(c, protocol.Ack, out)
	if u.got == u.want {
		s.uploaded(c, out)
	}
}

// endLargestUpload closes the session whose upload takes the most memory, and
// says which it was: whoever holds many half uploads does not stop the others.
func (s *Server) endLargestUpload(out *ServerOutbox) Conn {
	largest, size := Conn(0), -1
	for c := range s.connections {
		if u := s.connections[c].upload; u != nil && len(u.text) > size {
			largest, size = Conn(c), len(u.text)
		}
	}
	out.print(fmt.Sprintf("more than %d bytes of uploads under way: the largest, of %s, is closed",
		s.settings.MaxUploadBytes, s.connections[largest].name.user))
	s.end(largest, ReasonUploadBytes, out)
	return largest
}

// uploaded ends a whole upload: its lines, then whom they belong to, as one
// block.
func (s *Server) uploaded(c Conn, out *ServerOutbox) {
	x := &s.connections[c]
	u := x.upload
	x.upload = nil
	s.uploading -= len(u.text)
	s.expect(c, connAtCommand, protocol.ExpectCommand)
	text := append([]byte("received contact log from "), x.name.user...)
	text = u.appendLines(text, u.got)
	text = append(text, "\nContact log checking"...)
	resolved := 0
	for at := 0; at < len(u.text); at += entrySize {
		id := protocol.TempID(u.text[at : at+protocol.TempIDSize])
		if i, ok := s.Resolve(id); ok {
			text = s.appendIssue(text, &i)
			resolved++
		}
	}
	out.print(string(text))
	out.event(c, ServerEvent{Kind: EventUploadDone, User: x.name.user, Entries: u.got / 3, Resolved: resolved})
}

// appendIssue appends the owner, start and expiry of the server's own record.
func (s *Server) appendIssue(dst []byte, i *Issue) []byte {
	dst = append(append(dst, '\n'), i.User...)
	dst = s.settings.Zone.Local(i.Start).Append(append(dst, '\n'))
	return s.settings.Zone.Local(i.Expiry).Append(append(dst, '\n'))
}

// appendLines appends the first n lines, each after a line feed, fit for the
// output.
func (u *incoming) appendLines(dst []byte, n int) []byte {
	rest := u.text
	for i := range n {
		dst = append(dst, '\n')
		if i%3 == 0 {
			dst = appendTempID(dst, rest[:protocol.TempIDSize])
			rest = rest[protocol.TempIDSize:]
		} else {
			dst = appendTime(dst, rest[:protocol.TimeSize])
			rest = rest[protocol.TimeSize:]
		}
	}
	return dst
}

// shownOfBroken is how many lines of an incomplete upload are shown.
const shownOfBroken = 3000

// brokenUpload reports what arrived of an upload that ends in the middle;
// nothing of it is resolved or kept.
func (s *Server) brokenUpload(c Conn, reason string, out *ServerOutbox) {
	x := &s.connections[c]
	entries := 0
	switch u := x.upload; {
	case u != nil:
		entries = u.got / 3
		s.uploading -= len(u.text)
		text := fmt.Appendf(nil, "%s: incomplete upload: %d of %d lines", x.name.user, u.got, u.want)
		text = u.appendLines(text, min(u.got, shownOfBroken))
		if u.got > shownOfBroken {
			text = fmt.Appendf(text, "\n(%d more lines)", u.got-shownOfBroken)
		}
		if rest := x.reader.Unread(); len(rest) > 0 {
			text = protocol.AppendField(append(text, '\n'), rest, false)
		}
		out.print(string(text))
	case reason != ReasonCount:
		out.print(x.name.user + ": incomplete upload: no count of lines")
	}
	e := ServerEvent{Kind: EventUploadBroken, User: x.name.user, Entries: entries, Reason: reason}
	if u := x.upload; u != nil {
		e.Lines, e.Announced = u.got, u.want
	}
	out.event(c, e)
}
