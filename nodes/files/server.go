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

// lockName is the lock of a server's folder.
const lockName = "tempIDs.txt.lock"

// ErrFolderInUse is why OpenServer refuses a folder that is good.
var ErrFolderInUse = errors.New("another server uses this folder")

// ServerOptions are how a Server keeps its files.
type ServerOptions struct {
	Zone *protocol.Zone // of the times in tempIDs.txt; required
	// NoSync gives up durability: Store returns when the system has the bytes.
	// They survive the end of the process, but not that of the machine.
	NoSync bool
	// Entropy gives 32 bytes for the key of unknown names when there is none
	// yet; required.
	Entropy io.Reader

	// WALSize is how many bytes the ahead log has; 0: a mebibyte. A world whose
	// disk is memory takes fewer: each start writes them all.
	WALSize int64
	// AttemptsSlack is how many lines more than twice the names attempts.txt may
	// have before it is written anew; 0: 4096. A world that looks for failures
	// takes fewer: it writes more often.
	AttemptsSlack int
}

// Server is the folder of one server: credentials.txt, tempIDs.txt and
// attempts.txt (PROTOCOL.md section 2). Store, Credentials and Notes may be
// called at the same time; Store, Restore and Close wait for each other.
type Server struct {
	unlock  func() error
	notes   notes
	storing sync.Mutex
	closed  bool
	tempIDs tempIDs
	tries   attempts

	reading  sync.Mutex
	accounts credentials
}

// OpenServer takes the folder for one server, and repairs what a crash has torn:
// Notes tells what. It refuses a folder that another server uses. Files that do
// not exist are made when something is stored.
func OpenServer(fsys FS, o ServerOptions) (*Server, error) {
	if o.Zone == nil || o.Entropy == nil {
		return nil, errors.New("opening the server's folder: no zone, or no source of entropy")
	}
	unlock, err := fsys.Lock(lockName)
	if errors.Is(err, ErrLocked) {
		return nil, fmt.Errorf("%w: %q is locked", ErrFolderInUse, fsys.Path(lockName))
	}
	if err != nil {
		return nil, fmt.Errorf("the server cannot keep its files in this folder: locking %q: %w", fsys.Path(lockName), err)
	}
	s := &Server{unlock: unlock}
	s.accounts = credentials{fs: fsys, notes: &s.notes}
	s.tempIDs = tempIDs{ledger: ledger{fs: fsys, name: tempIDsName, mode: openMode, noSync: o.NoSync}, zone: o.Zone, notes: &s.notes}
	s.tempIDs.ahead = ahead{fs: fsys, size: cmp.Or(o.WALSize, aheadSize), notes: &s.notes}
	s.tries = attempts{ledger: ledger{fs: fsys, name: attemptsName, mode: secretMode, noSync: o.NoSync}, notes: &s.notes,
		slack: cmp.Or(o.AttemptsSlack, attemptSlack)}
	if err := s.tempIDs.start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.tries.start(o.Entropy); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// NameKey is the key under which names without an account are kept. It is the
// same after a restart once an attempt was stored.
func (s *Server) NameKey() [32]byte { return s.tries.key }

// Restore hands what is stored to take: every line of tempIDs.txt in order, its
// local times read as seen from nowWall, Unix nanoseconds; then the last state of
// every name of attempts.txt. What cannot be read, or take refuses, is noted and
// stays as it is. The error is one of reading a file.
func (s *Server) Restore(nowWall int64, take func(nodes.Record) error) error {
	s.storing.Lock()
	defer s.storing.Unlock()
	if err := s.tempIDs.restore(nowWall, take); err != nil {
		return err
	}
	return s.tries.restore(take)
}

// Notes are what was repaired, put aside or skipped since the last call, a
// sentence each, for the server's output. What was found in a file is quoted;
// nothing of credentials.txt is told.
func (s *Server) Notes() []string { return s.notes.take() }

// Store makes records durable, with one sync for each kind that is concerned
// (TempIDs mostly in the ahead log of tempIDs.txt, where they are then too): all of a file's records, or none, and then its error. A record whose
// error was reported may be on the disk all the same, until the next one is
// stored.
func (s *Server) Store(records []nodes.Record) (issues, attempts error) {
	s.storing.Lock()
	defer s.storing.Unlock()
	if s.closed {
		err := fmt.Errorf("storing %d records: the folder was given up: %w", len(records), fs.ErrClosed)
		return err, err
	}
	return s.tempIDs.store(records), s.tries.store(records)
}

// Credentials reads credentials.txt again if it has changed. changed: the
// accounts are others than at the last call. If the file cannot be used, those
// read before stay in force, which is noted once; the error is that there never
// were any, and says what the server needs.
func (s *Server) Credentials() (list []nodes.Credential, changed bool, err error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	return s.accounts.read()
}

// Close gives the folder up; nothing can be stored any more.
func (s *Server) Close() error {
	s.storing.Lock()
	defer s.storing.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return errors.Join(s.tempIDs.finish(), s.tries.close(), s.unlock())
}
