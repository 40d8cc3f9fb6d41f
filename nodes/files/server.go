package files

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// lockName is the name of the lock of a server's folder.
const lockName = "tempIDs.txt.lock"

// ErrFolderInUse is the error about a folder that another server uses.
var ErrFolderInUse = errors.New("another server uses this folder")

// ServerOptions are the options of OpenServer.
type ServerOptions struct {
	Zone *protocol.Zone // of the times in tempIDs.txt; required
	// NoSync disables syncs: Store returns when the operating system has the bytes.
	// They survive a crash of the process but, before Close, not one of the machine.
	NoSync bool
	// Entropy is the source of 32 bytes for the key of unknown names, if there is no
	// key yet; required.
	Entropy io.Reader

	// WALSize is the size of the write-ahead log in bytes; 0 means 1 MiB. A virtual
	// world uses less, because each start writes all of it.
	WALSize int64
	// AttemptsSlack is the number of lines beyond twice the names at which
	// attempts.txt is rewritten; 0 means 4096. A search for failures uses less, so
	// that rewrites are frequent.
	AttemptsSlack int
	// MaxBlocked is the number of blocked names without an account that attempts.txt
	// has, as nodes.ServerSettings.MaxBlockedNames; 0 means that of the default settings.
	MaxBlocked int
}

// Server is the folder of one server: credentials.txt, tempIDs.txt and
// attempts.txt (PROTOCOL.md section 2). Store, Credentials and Notes may be called
// concurrently. Store, Restore and Close wait for each other.
type Server struct {
	unlock   func() error
	notes    notes
	storing  sync.Mutex
	closed   bool
	tempIDs  tempIDs
	attempts attempts

	reading  sync.Mutex
	accounts credentials
}

// OpenServer opens the folder for one server and repairs the damage of a crash, which
// Notes reports. The error is ErrFolderInUse if another server uses the folder. The
// first Store creates files that do not exist.
func OpenServer(fsys FS, o ServerOptions) (*Server, error) {
	if o.Zone == nil || o.Entropy == nil {
		return nil, errors.New("opening the server's folder: no zone, or no source of entropy")
	}
	unlock, err := fsys.Lock(lockName)
	if errors.Is(err, ErrLocked) {
		return nil, fmt.Errorf("%w: %q is locked", ErrFolderInUse, fsys.Path(lockName))
	}
	if err != nil {
		return nil, fmt.Errorf("the server cannot keep its files in this folder: locking %q: %w",
			fsys.Path(lockName), err)
	}
	s := &Server{unlock: unlock}
	s.accounts = credentials{fs: fsys, notes: &s.notes}
	s.tempIDs = tempIDs{
		appendFile: appendFile{fs: fsys, name: tempIDsName, noSync: o.NoSync},
		zone:       o.Zone,
		notes:      &s.notes,
	}
	s.tempIDs.wal = wal{fs: fsys, size: cmp.Or(o.WALSize, defaultWALSize), notes: &s.notes}
	s.attempts = attempts{
		appendFile: appendFile{fs: fsys, name: attemptsName, noSync: o.NoSync},
		notes:      &s.notes,
		slack:      cmp.Or(o.AttemptsSlack, attemptSlack),
	}
	defaults := nodes.DefaultServerSettings()
	s.attempts.state = newAttemptTable(cmp.Or(o.MaxBlocked, defaults.MaxBlockedNames()))
	if err := s.tempIDs.start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.attempts.start(o.Entropy); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// NameKey returns the key of the keyed hash of names without an account. It stays the
// same after a restart once an attempt has been stored.
func (s *Server) NameKey() [32]byte { return s.attempts.key }

// Restore passes the stored records to take: every line of tempIDs.txt in order, then
// the last state of every name of attempts.txt. Ambiguous local times are read as
// seen from nowWall, in Unix nanoseconds. Restore notes lines that are malformed or
// that take refuses, and leaves them as they are. The error is about reading a
// file.
func (s *Server) Restore(nowWall int64, take func(nodes.Record) error) error {
	s.storing.Lock()
	defer s.storing.Unlock()
	if err := s.tempIDs.restore(nowWall, take); err != nil {
		return err
	}
	return s.attempts.restore(take)
}

// Notes returns the notes about repaired, quarantined and skipped lines since the last
// call, a sentence each, for the server's output. File contents are quoted. Nothing
// of credentials.txt is shown.
func (s *Server) Notes() []Note { return s.notes.take() }

// Store makes records durable, with one sync for each kind of record. It stores all
// records of a kind, or none and returns the error of that kind. After an error, a
// record may still be on the disk until the next one is stored. Attempts that could not be
// stored are stored with the next attempts, with a nodes.RecordUnsaved, or by Close.
func (s *Server) Store(records []nodes.Record) (issues, attempts error) {
	s.storing.Lock()
	defer s.storing.Unlock()
	if s.closed {
		err := fmt.Errorf("storing %d records: the folder was given up: %w", len(records), fs.ErrClosed)
		return err, err
	}
	return s.tempIDs.store(records), s.attempts.store(records)
}

// Credentials reads credentials.txt again if it has changed. changed reports whether
// the accounts differ from the last call. If the file cannot be used, the last valid
// accounts stay in force, which is noted once. If there never were any, the error
// states the contents that the server needs.
func (s *Server) Credentials() (list []nodes.Credential, changed bool, err error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	return s.accounts.read()
}

// Close releases the folder. Nothing can be stored afterwards. Before that, it tries a last
// time to save the attempts that could not be stored; an error means that they are lost.
func (s *Server) Close() error {
	s.storing.Lock()
	defer s.storing.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return errors.Join(s.tempIDs.finish(), s.attempts.finish(), s.unlock())
}
