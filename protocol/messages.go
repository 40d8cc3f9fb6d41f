package protocol

import "strconv"

// The texts of PROTOCOL.md section 2, without a line feed.
const (
	Welcome    = "Welcome to the BlueTrace Simulator!"
	TryAgain   = "Invalid Password. Please try again"
	NowBlocked = "Invalid Password. Your account has been blocked. Please try again later"
	IsBlocked  = "Your account is blocked due to multiple login failures. Please try again later"
	Ack        = "1"

	CommandDownload     = "Download_tempID"
	CommandUpload       = "Upload_contact_log"
	CommandLogout       = "log out"
	CommandLogoutJoined = "logout"
)

// MaxMessage is the largest TCP message, and the largest read, in bytes.
const MaxMessage = 1024

// quotedLimit is the largest number of bytes that are shown of a malformed field.
const quotedLimit = 64

// AppendField appends a field from a peer to an output line (PROTOCOL.md section
// 2). It appends a well-formed field (ok: 20 digits, a time) as it is. It quotes
// any other field, escapes all that is unprintable or not ASCII, and replaces all
// beyond 64 bytes by the total length.
func AppendField(dst, field []byte, ok bool) []byte {
	if ok {
		return append(dst, field...)
	}
	if len(field) <= quotedLimit {
		return strconv.AppendQuoteToASCII(dst, string(field))
	}
	dst = strconv.AppendQuoteToASCII(dst, string(field[:quotedLimit]))
	dst = append(dst, "... ("...)
	dst = strconv.AppendInt(dst, int64(len(field)), 10)
	return append(dst, " bytes)"...)
}
