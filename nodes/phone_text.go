package nodes

import (
	"strings"

	"bluetrace/protocol"
)

// What a phone's terminal shows (PROTOCOL.md sections 3 and 4).
const (
	promptUsername = "Username: "
	promptPassword = "Password: "
	promptCommand  = "input the command: "

	textNoTempID    = "you do not have valid tempid"
	textBadBeacon   = "can't send the beacon"
	textBadCommand  = "Error. Invalid command"
	textLoggedOut   = "you have logged out"
	textValid       = "The beacon is valid."
	textInvalid     = "The beacon is invalid."
	textCurrentTime = "Current time is:"

	textNoConnection = "cannot connect to the server: "
	textStrange      = "strange answer from the server: "
	textNoAnswer     = "no answer from the server"
	textLost         = "the server closed the connection"
	textLostUpload   = "the connection ended in the middle of the upload"
	textNotConnected = "not connected to the server: start the client again to log in"
	textTooLong      = "what was typed is longer than a message of 1024 bytes"
	textQueueFull    = "too many lines typed ahead: this one is dropped"
)

// AppendText appends the terminal lines of a PhoneSendBeacon, PhonePrint or
// PhoneJudged, each ended with a line feed, and nothing for other kinds. Times
// are in z. A field of a beacon that is not what it should be is quoted.
func (e *PhoneEffect) AppendText(dst []byte, z *protocol.Zone) []byte {
	switch e.Kind {
	case PhonePrint:
		return append(append(dst, e.Text...), '\n')
	case PhoneSendBeacon:
		return appendFields(dst, &e.Raw)
	case PhoneJudged:
		return e.appendVerdict(dst, z)
	}
	return dst
}

// Trouble is true of a PhonePrint about the connection with the server. It
// answers no line that was typed.
func (e *PhoneEffect) IsConnectionMessage() bool {
	if e.Kind != PhonePrint {
		return false
	}
	switch e.Text {
	case textNoAnswer, textLost, textLostUpload:
		return true
	}
	return strings.HasPrefix(e.Text, textNoConnection) || strings.HasPrefix(e.Text, textStrange)
}

func (e *PhoneEffect) appendVerdict(dst []byte, z *protocol.Zone) []byte {
	if e.OutOfTurn {
		return append(dst, textInvalid+"\n"...)
	}
	dst = appendFields(dst, &e.Raw)
	dst = append(dst, textCurrentTime+"\n"...)
	dst = append(z.Local(e.At.Unix()).Append(dst), '\n')
	if e.Err != nil {
		return append(dst, textInvalid+"\n"...)
	}
	return append(dst, textValid+"\n"...)
}

// appendFields appends TempID, start and expiry, a line each.
func appendFields(dst []byte, raw *[protocol.BeaconSize]byte) []byte {
	dst = append(appendTempID(dst, protocol.Part(raw, 0)), '\n')
	dst = append(appendTime(dst, protocol.Part(raw, 1)), '\n')
	return append(appendTime(dst, protocol.Part(raw, 2)), '\n')
}

func appendTempID(dst, field []byte) []byte {
	_, err := protocol.ParseTempID(field)
	return protocol.AppendField(dst, field, err == nil)
}

func appendTime(dst, field []byte) []byte {
	_, err := protocol.ParseTime(field)
	return protocol.AppendField(dst, field, err == nil)
}
