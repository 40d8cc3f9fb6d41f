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
	switch {
	case s.Retention <= 0:
		return fmt.Errorf("phone settings: retention %v is not positive", s.Retention)
	case s.PasswordPause < 0:
		return fmt.Errorf("phone settings: password pause %v is negative", s.PasswordPause)
	case s.RetryPause < s.PasswordPause:
		return fmt.Errorf("phone settings: long pause %v is shorter than the password pause %v",
			s.RetryPause, s.PasswordPause)
	case s.JoinLogin && s.PasswordPause != 0:
		return fmt.Errorf("phone settings: a joined login needs no password pause, but it is %v", s.PasswordPause)
	case s.AnswerLimit <= 0:
		return fmt.Errorf("phone settings: answer limit %v is not positive", s.AnswerLimit)
	case s.TempIDLifetime <= 0 || s.TempIDLifetime%time.Second != 0:
		return fmt.Errorf("phone settings: TempID lifetime %v is not a positive number of whole seconds",
			s.TempIDLifetime)
	case s.MaxEntries < 0:
		return fmt.Errorf("phone settings: limit of %d log entries, want at least 1, or 0 for none", s.MaxEntries)
	case s.Form != protocol.Split && s.Form != protocol.Single:
		return fmt.Errorf("phone settings: form %d of beacons is neither split nor single", s.Form)
	case s.Zone == nil:
		return fmt.Errorf("phone settings: no zone")
	}
	return nil
}

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
	MaxUnknownNames int            // names without an account whose attempts are kept; >= 1
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
		Zone:            protocol.NewZone(time.UTC),
	}
}

// Validate returns an error about the first invalid setting.
func (s *ServerSettings) Validate() error {
	switch {
	case s.BlockDuration <= 0:
		return fmt.Errorf("server settings: block duration %v is not positive", s.BlockDuration)
	case s.TempIDLifetime <= 0 || s.TempIDLifetime%time.Second != 0:
		return fmt.Errorf("server settings: TempID lifetime %v is not a positive number of whole seconds",
			s.TempIDLifetime)
	case s.LoginTimeout <= 0:
		return fmt.Errorf("server settings: login timeout %v is not positive", s.LoginTimeout)
	case s.IdleTimeout <= 0:
		return fmt.Errorf("server settings: idle timeout %v is not positive", s.IdleTimeout)
	case s.Attempts < 1:
		return fmt.Errorf("server settings: %d attempts before a block, want at least 1", s.Attempts)
	case s.MaxConnections < 0:
		return fmt.Errorf("server settings: limit of %d connections, want at least 1, or 0 for none", s.MaxConnections)
	case s.MaxUploadLines < 0 || s.MaxUploadLines > 9_999_999:
		return fmt.Errorf("server settings: limit of %d upload lines, want 0 to 9999999", s.MaxUploadLines)
	case s.MaxUploadBytes < 0:
		return fmt.Errorf("server settings: limit of %d bytes of uploads under way, want at least 1, or 0 for none",
			s.MaxUploadBytes)
	case s.MaxUnknownNames < 1:
		return fmt.Errorf("server settings: limit of %d unknown names, want at least 1", s.MaxUnknownNames)
	case s.Zone == nil:
		return fmt.Errorf("server settings: no zone")
	case s.Entropy == nil:
		return fmt.Errorf("server settings: no source of entropy for TempIDs")
	}
	return nil
}
