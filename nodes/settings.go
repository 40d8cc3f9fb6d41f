package nodes

import (
	"fmt"
	"math/rand/v2"
	"time"

	"bluetrace/protocol"
)

// PhoneSettings are the settings of a phone. Phones with equal settings share one value
// by pointer. It must not change while a phone uses it.
type PhoneSettings struct {
	Retention      time.Duration  // of a contact-log entry from its reception; > 0
	PasswordPause  time.Duration  // between the username and the password; >= 0
	RetryPause     time.Duration  // the same on the second connection of a login; >= PasswordPause
	AnswerLimit    time.Duration  // for one answer of the server; > 0
	TempIDLifetime time.Duration  // from the download to the expiry of a TempID; whole seconds, > 0
	MaxEntries     int            // of the contact log, beyond which the oldest is dropped; 0 means no limit
	Form           protocol.Form  // of the beacons that it sends
	Zone           *protocol.Zone // of the times that it writes, reads and prints

	// JoinLogin sends username and password in one write. It requires a PasswordPause
	// of 0. The client program leaves it off, because some servers read such a write as
	// one name.
	JoinLogin bool
	// NoRetry ends an unanswered login instead of connecting a second time.
	NoRetry bool
	// Quiet suppresses PhonePrint and PhonePrompt effects.
	Quiet bool
}

// DefaultPhoneSettings returns the values of PROTOCOL.md in UTC.
func DefaultPhoneSettings() PhoneSettings {
	return PhoneSettings{
		Retention:      3 * time.Minute,
		PasswordPause:  50 * time.Millisecond,
		RetryPause:     500 * time.Millisecond,
		AnswerLimit:    10 * time.Second,
		TempIDLifetime: 15 * time.Minute,
		Form:           protocol.Split,
		Zone:           protocol.NewZone(time.UTC),
	}
}

// Validate returns an error about the first invalid setting.
func (s PhoneSettings) Validate() error {
	return validate("phone", []setting{
		{s.Retention > 0, "retention", s.Retention, "above 0"},
		{s.PasswordPause >= 0, "password pause", s.PasswordPause, "0 or more"},
		{s.RetryPause >= s.PasswordPause, "retry pause", s.RetryPause, "at least the password pause"},
		{!s.JoinLogin || s.PasswordPause == 0, "password pause", s.PasswordPause, "0 for a joined login"},
		{s.AnswerLimit > 0, "answer limit", s.AnswerLimit, "above 0"},
		{isWholeSeconds(s.TempIDLifetime), "TempID lifetime", s.TempIDLifetime, "whole seconds above 0"},
		{s.MaxEntries >= 0, "limit of log entries", s.MaxEntries, "1 or more, or 0 for none"},
		{s.Form <= protocol.Single, "form of beacons", int(s.Form), "split or single"},
		{s.Zone != nil, "zone", nil, "set"},
	})
}

// setting is a setting with the rule that it must satisfy.
type setting struct {
	valid bool
	name  string
	value any
	must  string // a description of the valid values
}

// validate returns an error about the first invalid setting of a phone or a server.
func validate(node string, all []setting) error {
	for _, s := range all {
		if !s.valid {
			return fmt.Errorf("%s settings: invalid %s %v: must be %s", node, s.name, s.value, s.must)
		}
	}
	return nil
}

func isWholeSeconds(d time.Duration) bool { return d > 0 && d%time.Second == 0 }

// ServerSettings are the settings of a server. They do not change during its life.
type ServerSettings struct {
	BlockDuration   time.Duration  // from the third wrong password; > 0
	TempIDLifetime  time.Duration  // whole seconds, > 0
	LoginTimeout    time.Duration  // from Accept until the welcome; > 0
	IdleTimeout     time.Duration  // of a logged-in session, from its last input; > 0
	Attempts        int            // consecutive wrong passwords that begin a block; >= 1
	MaxConnections  int            // simultaneous sessions; 0 means no limit
	MaxUploadLines  int            // largest count that an upload may announce; 0 to 9999999
	MaxUploadBytes  int            // of all uploads in progress, beyond which the largest is closed; 0 means no limit
	MaxUnknownNames int            // names without an account and without a block that are kept; >= 1
	MaxBlockedBytes int            // memory of the blocked names without an account that are kept; >= 1
	NameKey         [32]byte       // key of the HMAC under which such names are kept
	Zone            *protocol.Zone // of the times that are printed
	Entropy         rand.Source    // from which TempIDs are drawn
}

// DefaultServerSettings returns the values of PROTOCOL.md in UTC, with a block of
// one minute. The host must add Entropy and NameKey.
func DefaultServerSettings() ServerSettings {
	return ServerSettings{
		BlockDuration:   time.Minute,
		TempIDLifetime:  15 * time.Minute,
		LoginTimeout:    2 * time.Minute,
		IdleTimeout:     time.Hour,
		Attempts:        3,
		MaxUploadLines:  300_000,
		MaxUploadBytes:  256 << 20,
		MaxUnknownNames: 65_536,
		MaxBlockedBytes: 128 << 20,
		Zone:            protocol.NewZone(time.UTC),
	}
}

// MaxBlockedNames returns the number of names that MaxBlockedBytes allows, at least 1.
func (s *ServerSettings) MaxBlockedNames() int { return max(1, s.MaxBlockedBytes/UnknownNameBytes) }

// Validate returns an error about the first invalid setting.
func (s *ServerSettings) Validate() error {
	return validate("server", []setting{
		{s.BlockDuration > 0, "block duration", s.BlockDuration, "above 0"},
		{isWholeSeconds(s.TempIDLifetime), "TempID lifetime", s.TempIDLifetime, "whole seconds above 0"},
		{s.LoginTimeout > 0, "login timeout", s.LoginTimeout, "above 0"},
		{s.IdleTimeout > 0, "idle timeout", s.IdleTimeout, "above 0"},
		{s.Attempts >= 1, "number of attempts before a block", s.Attempts, "1 or more"},
		{s.MaxConnections >= 0, "limit of connections", s.MaxConnections, "1 or more, or 0 for none"},
		{s.MaxUploadLines >= 0 && s.MaxUploadLines <= 9_999_999, "limit of upload lines", s.MaxUploadLines,
			"0 to 9999999"},
		{s.MaxUploadBytes >= 0, "limit of upload bytes", s.MaxUploadBytes, "1 or more, or 0 for none"},
		{s.MaxUnknownNames >= 1, "limit of unknown names", s.MaxUnknownNames, "1 or more"},
		{s.MaxBlockedBytes >= 1, "limit of bytes of blocked names", s.MaxBlockedBytes, "1 or more"},
		{s.Zone != nil, "zone", nil, "set"},
		{s.Entropy != nil, "entropy", nil, "a source of randomness"},
	})
}
