package nodes

import (
	"fmt"
	"math/rand/v2"
	"time"

	"bluetrace/protocol"
)

// ServerSettings are fixed for the life of a Server.
type ServerSettings struct {
	BlockDuration   time.Duration  // from the third wrong password; > 0
	TempIDLifetime  time.Duration  // whole seconds, > 0
	LoginTimeout    time.Duration  // from Accept until the welcome; > 0
	IdleTimeout     time.Duration  // of a logged-in session, from its last input; > 0
	Attempts        int            // wrong passwords in a row that begin a block; >= 1
	MaxConnections  int            // sessions at once; 0: no limit
	MaxUploadLines  int            // largest count that an upload may announce; 0..9999999
	MaxUploadBytes  int            // bytes of all uploads under way, beyond which the largest is closed; 0: no limit
	MaxUnknownNames int            // names without an account whose attempts are kept; >= 1
	NameKey         [32]byte       // key of the HMAC under which such names are kept
	Zone            *protocol.Zone // of the times that are printed
	Entropy         rand.Source    // where TempIDs are drawn from
}

// DefaultServerSettings has the values of PROTOCOL.md in UTC, a block of one
// minute, and no Entropy: the host must set it (and a NameKey).
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

// Validate says in one sentence what is wrong with the first bad setting.
func (s *ServerSettings) Validate() error {
	switch {
	case s.BlockDuration <= 0:
		return fmt.Errorf("server settings: block duration %v is not positive", s.BlockDuration)
	case s.TempIDLifetime <= 0 || s.TempIDLifetime%time.Second != 0:
		return fmt.Errorf("server settings: TempID lifetime %v is not a positive number of whole seconds", s.TempIDLifetime)
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
		return fmt.Errorf("server settings: limit of %d bytes of uploads under way, want at least 1, or 0 for none", s.MaxUploadBytes)
	case s.MaxUnknownNames < 1:
		return fmt.Errorf("server settings: limit of %d unknown names, want at least 1", s.MaxUnknownNames)
	case s.Zone == nil:
		return fmt.Errorf("server settings: no zone")
	case s.Entropy == nil:
		return fmt.Errorf("server settings: no source of entropy for TempIDs")
	}
	return nil
}
