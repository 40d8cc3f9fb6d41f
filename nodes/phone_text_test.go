package nodes

import "testing"

// IsConnectionMessage is true of messages that do not answer a typed line.
func TestIsConnectionMessage(t *testing.T) {
	for text, want := range map[string]bool{
		"no answer from the server":                                     true,
		"the server closed the connection":                              true,
		"the connection ended in the middle of the upload":              true,
		"cannot connect to the server: refused":                         true,
		`strange answer from the server: "x"`:                           true,
		"Welcome to the BlueTrace Simulator!":                           false,
		"not connected to the server: start the client again to log in": false,
		"you have logged out":                                           false,
	} {
		t.Run(text, func(t *testing.T) {
			e := PhoneEffect{Kind: PhonePrint, Text: text}
			equal(t, text, e.IsConnectionMessage(), want)
			e.Kind = PhonePrompt
			equal(t, "as a prompt", e.IsConnectionMessage(), false)
		})
	}
}
