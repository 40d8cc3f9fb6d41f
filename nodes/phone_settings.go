package nodes

import (
	"fmt"
	"time"

	"bluetrace/protocol"
)

// PhoneSettings are shared by pointer among the phones that have the same, and
// do not change once a phone has them.
type PhoneSettings struct {
	Retention      time.Duration  // of a contact-log entry from its reception; > 0
	PasswordPause  time.Duration  // between username and password; >= 0
	RetryPause     time.Duration  // the same at the second try; >= PasswordPause
	AnswerLimit    time.Duration  // for one answer of the server; > 0
	TempIDLifetime time.Duration  // whole seconds, > 0
	MaxEntries     int            // of the contact log, beyond which the oldest goes before its time; 0: no limit
	Form           protocol.Form  // of the beacons it sends
	Zone           *protocol.Zone // of the times it writes, reads and prints
}

// DefaultPhoneSettings has the values of PROTOCOL.md in UTC.
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

// Validate says in one sentence what is wrong with the first bad setting.
func (s PhoneSettings) Validate() error {
	switch {
	case s.Retention <= 0:
		return fmt.Errorf("phone settings: retention %v is not positive", s.Retention)
	case s.PasswordPause < 0:
		return fmt.Errorf("phone settings: password pause %v is negative", s.PasswordPause)
	case s.RetryPause < s.PasswordPause:
		return fmt.Errorf("phone settings: long pause %v is shorter than the password pause %v", s.RetryPause, s.PasswordPause)
	case s.AnswerLimit <= 0:
		return fmt.Errorf("phone settings: answer limit %v is not positive", s.AnswerLimit)
	case s.TempIDLifetime <= 0 || s.TempIDLifetime%time.Second != 0:
		return fmt.Errorf("phone settings: TempID lifetime %v is not a positive number of whole seconds", s.TempIDLifetime)
	case s.MaxEntries < 0:
		return fmt.Errorf("phone settings: limit of %d log entries, want at least 1, or 0 for none", s.MaxEntries)
	case s.Form != protocol.Split && s.Form != protocol.Single:
		return fmt.Errorf("phone settings: form %d of beacons is neither split nor single", s.Form)
	case s.Zone == nil:
		return fmt.Errorf("phone settings: no zone")
	}
	return nil
}
