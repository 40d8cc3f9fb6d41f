package files

import (
	"errors"
	"io"
	"io/fs"
)

// FS is one folder. Names have no separators. Errors wrap fs.ErrNotExist where
// there is no such file.
type FS interface {
	// Path is what a person calls the file, for messages.
	Path(name string) string
	Stat(name string) (Stat, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	// Append opens a file for reading and for writing at its end. It is made
	// with mode, less the umask, when there is none.
	Append(name string, mode fs.FileMode) (File, error)
	// Create makes an empty file, or empties one, for reading and for writing at
	// its end.
	Create(name string, mode fs.FileMode) (File, error)
	// CreateRewritable makes an empty file, or empties one, that may be
	// overwritten.
	CreateRewritable(name string, mode fs.FileMode) (Rewritable, error)
	// Rename replaces to, if it is there, at one instant.
	Rename(from, to string) error
	Remove(name string) error
	// SyncNames makes durable which files there are: a new or renamed file is
	// one of the folder after a crash only if this came after it.
	SyncNames() error
	// Lock takes the lock that is called name, which the process has until
	// unlock or its end. The error is ErrLocked when another has it.
	Lock(name string) (unlock func() error, err error)
}

// File is an open file. Write writes at the end of the file; when it fails, some
// of it may have been written.
type File interface {
	io.ReaderAt
	io.Writer
	Truncate(size int64) error
	// Sync makes the contents durable.
	Sync() error
	Stat() (Stat, error)
	Close() error
}

// Rewritable is an open file that may be overwritten: WriteAt writes within its
// size, and when it fails, some of it may have been written.
type Rewritable interface {
	File
	io.WriterAt
	// SyncContent makes the contents durable, and of what is told about the file
	// only what reading them back needs.
	SyncContent() error
}

// Stat is what an FS knows of a file.
type Stat struct {
	Size     int64
	Modified int64 // Unix nanoseconds
	Mode     fs.FileMode
	// Identity differs between a file and the one that replaced it under the
	// same name, as long as somebody has the first one open; 0 where the system
	// tells none.
	Identity uint64
}

// ErrLocked says that somebody else has a lock.
var ErrLocked = errors.New("it is locked")
