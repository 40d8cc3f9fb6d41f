package protocol

// Reply is the kind of an answer from the server.
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
	return NameOf(r, "no reply", "welcome", "try again", "now blocked", "is blocked", "TempID", "ack", "strange")
}

// loginTexts are the texts of the four answers to a login.
var loginTexts = [...]string{
	ReplyWelcome:    Welcome,
	ReplyTryAgain:   TryAgain,
	ReplyNowBlocked: NowBlocked,
	ReplyIsBlocked:  IsBlocked,
}

// ReplyReader assembles an answer that arrives in pieces (PROTOCOL.md section 2, "When
// TCP joins or splits messages"). The zero value is ready to use. The methods Login,
// TempID and Ack each handle one read. They return NoReply while the answer is
// incomplete. After any other result the reader is ready for the next answer, and bytes
// that followed the answer in the read are dropped.
type ReplyReader struct {
	digits TempID // the digits of an incomplete TempID
	n      uint8  // bytes of the answer that have arrived
	login  Reply  // an answer to a login that begins with those n bytes; NoReply if they are digits
}

// Reset drops an incomplete answer. It is called for a new connection.
func (r *ReplyReader) Reset() { *r = ReplyReader{} }

// Login handles the read p while the answer to a login is expected. It returns one of
// the four answers, NoReply or ReplyUnexpected.
func (r *ReplyReader) Login(p []byte) Reply {
	begun := ""
	if r.login != NoReply {
		begun = loginTexts[r.login][:r.n]
	}
	for reply := ReplyWelcome; reply <= ReplyIsBlocked; reply++ {
		text := loginTexts[reply]
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

// TempID handles the read p while the answer to Download_tempID is expected, which is
// 20 digits. It returns ReplyTempID, NoReply or ReplyUnexpected. The TempID is set only
// with ReplyTempID.
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

// MissingDigits returns the number of digits, 1 to 20, that an incomplete TempID lacks. It is called while the answer
// to Download_tempID is expected.
func (r *ReplyReader) MissingDigits() int { return TempIDSize - int(r.n) }

// Ack handles the read p while the acknowledgement of a step of an upload is expected,
// which is "1". It returns ReplyAck, ReplyUnexpected, or NoReply if p is empty.
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
