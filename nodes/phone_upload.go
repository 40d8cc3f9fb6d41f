package nodes

import (
	"strconv"

	"bluetrace/protocol"
)

// outgoing is an upload under way, one message at a time.
type outgoing struct {
	entries []Contact // the log at the moment of the command
	sent    int       // messages after the command: the count, then the lines
}

// startUpload takes the log as it is now, also what expires meanwhile
// (PROTOCOL.md section 4).
func (p *Phone) startUpload(now Now, out *PhoneOutbox) {
	entries := make([]Contact, p.log.Len())
	for i := range entries {
		entries[i] = p.log.At(i)
	}
	p.inSession().upload = &outgoing{entries: entries}
	p.ask(now, OpUpload, protocol.CommandUpload, out)
}

func (p *Phone) uploadAnswer(now Now, b []byte, out *PhoneOutbox) {
	switch p.session.replies.Ack(b) {
	case protocol.NoReply:
	case protocol.ReplyAck:
		p.uploadNext(now, out)
	default:
		p.strange(now, b, out)
	}
}

// uploadNext follows an answer with the next message, or ends the upload.
func (p *Phone) uploadNext(now Now, out *PhoneOutbox) {
	u := p.session.upload
	lines := 3 * len(u.entries)
	switch {
	case u.sent == 0:
		p.send(strconv.Itoa(lines), out)
	case u.sent <= lines:
		line := u.line(u.sent - 1)
		p.send(line, out)
		out.print(line)
	default:
		p.ready(now, OutcomeOK, out)
		return
	}
	u.sent++
	p.await(now)
}

// line is line i of the upload: TempID, start, expiry, TempID, and so on.
func (u *outgoing) line(i int) string {
	c := &u.entries[i/3]
	switch i % 3 {
	case 0:
		return c.TempID.String()
	case 1:
		return c.Start.String()
	default:
		return c.Expiry.String()
	}
}
