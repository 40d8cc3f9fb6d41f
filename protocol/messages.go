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

// NameOf returns the name of a constant of an enumeration, given the names of all its
// constants in order. It returns "unknown" for a value that has no name.
func NameOf[K ~uint8](k K, names ...string) string {
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// MaxMessage is the largest TCP message, and the largest read, in bytes.
const MaxMessage = 1024

// quotedLimit is the largest number of bytes that are shown of a malformed field.
const quotedLimit = 64

// AppendField appends a field that a peer sent to an output line (PROTOCOL.md section
// 2). ok reports whether the field is well formed: 20 digits, or a time. A well-formed
// field is appended unchanged. Any other field is quoted, with unprintable and
// non-ASCII characters escaped. Only the first 64 bytes of a longer field are quoted,
// and its total length follows.
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
