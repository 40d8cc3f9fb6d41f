package nodes

import (
	"fmt"

	"bluetrace/protocol"
)

// incoming is an upload in progress. Its memory grows with the lines that arrive,
// not with the announced count.
type incoming struct {
	want, got int    // lines that were announced, and lines that arrived
	text      []byte // the lines that arrived, without separators: 20, 19, 19, 20, … bytes
}

// entrySize is the length in bytes of the three lines of one entry (TempID, start,
// expiry), without separators.
const entrySize = protocol.TempIDSize + 2*protocol.TimeSize

// readCount handles the count of lines with which an upload begins. An invalid count
// ends the session (PROTOCOL.md section 2).
func (s *Server) readCount(c Conn, b []byte, out *ServerOutbox) {
	x := s.connection(c)
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
		s.finishUpload(c, out)
		return
	}
	s.expect(c, connAtLines, protocol.ExpectLine)
}

// readLine handles one line of an upload. A malformed line of the right length is
// acknowledged too.
func (s *Server) readLine(c Conn, b []byte, out *ServerOutbox) {
	u := s.connection(c).upload
	u.text = append(u.text, b...)
	u.got++
	s.uploadBytes += len(b)
	limit := s.settings.MaxUploadBytes
	if limit > 0 && s.uploadBytes > limit && s.endLargestUpload(out) == c {
		return
	}
	s.send(c, protocol.Ack, out)
	if u.got == u.want {
		s.finishUpload(c, out)
	}
}

// endLargestUpload closes the session whose upload uses the most memory and returns
// that session. A user with many incomplete uploads therefore cannot stop the uploads
// of others.
func (s *Server) endLargestUpload(out *ServerOutbox) Conn {
	largest := s.sessions.largestUpload()
	out.print(fmt.Sprintf("more than %d bytes of uploads under way: the largest, of %s, is closed",
		s.settings.MaxUploadBytes, s.connection(largest).name.user))
	s.end(largest, ReasonUploadBytes, out)
	return largest
}

// finishUpload prints a complete upload as one block: its lines, then the owners
// of its TempIDs.
func (s *Server) finishUpload(c Conn, out *ServerOutbox) {
	x := s.connection(c)
	u := x.upload
	x.upload = nil
	s.uploadBytes -= len(u.text)
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

// appendIssue appends the owner, the start and the expiry of a TempID, a line each.
func (s *Server) appendIssue(dst []byte, i *Issue) []byte {
	dst = append(append(dst, '\n'), i.User...)
	dst = s.settings.Zone.Local(i.Start).Append(append(dst, '\n'))
	return s.settings.Zone.Local(i.Expiry).Append(append(dst, '\n'))
}

// appendLines appends the first n lines, each after a line feed, with malformed
// fields quoted.
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

// shownOfBroken is the largest number of lines of an incomplete upload that are
// printed.
const shownOfBroken = 3000

// reportBrokenUpload prints and reports an upload that ends before its last line. Its
// TempIDs are neither resolved nor stored.
func (s *Server) reportBrokenUpload(c Conn, reason string, out *ServerOutbox) {
	x := s.connection(c)
	e := ServerEvent{Kind: EventUploadBroken, User: x.name.user, Reason: reason}
	switch u := x.upload; {
	case u != nil:
		e.Entries, e.Lines, e.Announced = u.got/3, u.got, u.want
		s.uploadBytes -= len(u.text)
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
	out.event(c, e)
}
