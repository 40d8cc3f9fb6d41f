package protocol

// Reply is what a phone makes of the server's bytes.
type Reply uint8

// The answers of a server (PROTOCOL.md section 2).
const (
	NoReply         Reply = iota // not yet: more bytes must come
	ReplyWelcome                 // Welcome
	ReplyTryAgain                // TryAgain
	ReplyNowBlocked              // NowBlocked
	ReplyIsBlocked               // IsBlocked
	ReplyTempID                  // 20 digits
	ReplyAck                     // Ack
	ReplyUnexpected              // cannot become any answer that was awaited
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

// text is the answer to a login that r stands for.
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

// ReplyReader is the phone's side of "When TCP joins or splits messages"
// (PROTOCOL.md section 2): it puts together an answer that came in pieces. The
// zero value is ready. Each method takes one read and returns NoReply while the
// answer may still become whole; with any other result the reader is ready for
// the next answer, and bytes beyond the answer are dropped.
type ReplyReader struct {
	digits TempID
	n      uint8 // bytes of the answer that have come
	login  Reply // an answer to a login that begins with those n bytes; NoReply: they are digits
}

// Reset forgets the beginning of an answer, for a new connection.
func (r *ReplyReader) Reset() { *r = ReplyReader{} }

// Login awaits one of the four answers to a login.
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

// TempID awaits the 20 digits that answer a Download_tempID. The TempID is set
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

// Ack awaits the 1 that answers each step of an upload.
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
