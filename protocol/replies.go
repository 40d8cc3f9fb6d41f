package protocol

// Reply is an answer of the server as a phone reads it.
type Reply uint8

// The answers of a server (PROTOCOL.md section 2).
const (
	NoReply         Reply = iota // the answer is incomplete
	ReplyWelcome                 // Welcome
	ReplyTryAgain                // TryAgain
	ReplyNowBlocked              // NowBlocked
	ReplyIsBlocked               // IsBlocked
	ReplyTempID                  // 20 digits
	ReplyAck                     // Ack
	ReplyUnexpected              // not the beginning of any expected answer
)

func (r Reply) String() string {
	names := [...]string{
		"no reply", "welcome", "try again", "now blocked", "is blocked", "TempID", "ack", "strange",
	}
	if int(r) < len(names) {
		return names[r]
	}
	return "unknown reply"
}

// text returns the text of an answer to a login.
func (r Reply) text() string {
	switch r {
	case ReplyWelcome:
		return Welcome
	case ReplyTryAgain:
		return TryAgain
	case ReplyNowBlocked:
		return NowBlocked
	default:
		return IsBlocked
	}
}

// ReplyReader assembles an answer that arrives in pieces (PROTOCOL.md section 2,
// "When TCP joins or splits messages"). The zero value is ready. Each method handles
// one read. It returns NoReply while the answer is incomplete. With any other
// result the reader is ready for the next answer, and bytes after the answer are
// dropped.
type ReplyReader struct {
	digits TempID
	n      uint8 // bytes of the answer that have arrived
	login  Reply // an answer to a login that begins with those n bytes, or NoReply if they are digits
}

// Reset drops the beginning of an answer, for a new connection.
func (r *ReplyReader) Reset() { *r = ReplyReader{} }

// Login expects one of the four answers to a login.
func (r *ReplyReader) Login(p []byte) Reply {
	begun := ""
	if r.login != NoReply {
		begun = r.login.text()[:r.n]
	}
	for reply := ReplyWelcome; reply <= ReplyIsBlocked; reply++ {
		text := reply.text()
		if text[:min(len(begun), len(text))] != begun {
			continue
		}
		rest := text[len(begun):]
		n := min(len(rest), len(p))
		if string(p[:n]) != rest[:n] {
			continue
		}
		if n == len(rest) {
			r.Reset()
			return reply
		}
		r.n, r.login = uint8(len(begun)+n), reply
		return NoReply
	}
	r.Reset()
	return ReplyUnexpected
}

// TempID expects the 20 digits that answer a Download_tempID. It returns the TempID
// with ReplyTempID only.
func (r *ReplyReader) TempID(p []byte) (TempID, Reply) {
	if r.login != NoReply {
		r.Reset()
	}
	n := copy(r.digits[r.n:], p)
	for _, c := range p[:n] {
		if c < '0' || c > '9' {
			r.Reset()
			return TempID{}, ReplyUnexpected
		}
	}
	r.n += uint8(n)
	if r.n < TempIDSize {
		return TempID{}, NoReply
	}
	id := r.digits
	r.Reset()
	return id, ReplyTempID
}

// Ack expects the 1 that answers each step of an upload.
func (r *ReplyReader) Ack(p []byte) Reply {
	if len(p) == 0 {
		return NoReply
	}
	r.Reset()
	if p[0] != Ack[0] {
		return ReplyUnexpected
	}
	return ReplyAck
}
