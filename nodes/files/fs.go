package files

import (
	"errors"
	"io"
	"io/fs"
)

// FS is one folder. Names have no separators. Errors about a file that does not
// exist wrap fs.ErrNotExist.
type FS interface {
	// Path returns the path of a file for messages.
	Path(name string) string
	Stat(name string) (Stat, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	// Append opens a file for reading and for writing at its end. It creates the
	// file with mode, less the umask, if it does not exist.
	Append(name string, mode fs.FileMode) (File, error)
	// Create creates or empties a file, for reading and for writing at its end.
	Create(name string, mode fs.FileMode) (File, error)
	// CreateRewritable creates or empties a file that may be overwritten.
	CreateRewritable(name string, mode fs.FileMode) (Rewritable, error)
	// Rename replaces a file that has the name to, atomically.
	Rename(from, to string) error
	Remove(name string) error
	// SyncNames makes the names of the folder durable. A new or renamed file may be
	// lost in a crash before the next SyncNames.
	SyncNames() error
	// Lock acquires the lock with a name. The process holds it until unlock or its
	// end. The error is ErrLocked if another process holds it.
	Lock(name string) (unlock func() error, err error)
}

// File is an open file. Write writes at its end. After an error, a part may have
// been written.
type File interface {
	io.ReaderAt
	io.Writer
	Truncate(size int64) error
	// Sync makes the contents durable.
	Sync() error
	Stat() (Stat, error)
	Close() error
}

// Rewritable is an open file that may be overwritten. WriteAt writes within its
// size. After an error, a part may have been written.
type Rewritable interface {
	File
	io.WriterAt
	// SyncContent makes the contents durable, and only the metadata that is needed
	// to read them.
	SyncContent() error
}

// Stat is the metadata of a file.
type Stat struct {
	Size     int64
	Modified int64 // Unix nanoseconds
	Mode     fs.FileMode
	// Identity distinguishes a file from one that replaced it under the same name
	// while the first is open. It is 0 on systems that have none.
	Identity uint64
}

// ErrLocked is the error about a lock that another process holds.
var ErrLocked = errors.New("it is locked")
