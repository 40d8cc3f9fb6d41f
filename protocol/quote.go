package protocol

import "strconv"

// quotedLimit is how many bytes of a strange field are shown.
const quotedLimit = 64

// AppendField appends what a peer sent, fit for an output line (PROTOCOL.md
// section 2): as it is when ok says that it is what it should be (20 digits, a
// time); else quoted, with everything unprintable and all that is not ASCII
// escaped, and beyond 64 bytes cut, with the whole length behind it.
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
