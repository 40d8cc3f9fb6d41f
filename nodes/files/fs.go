package files

import (
	"errors"
	"io"
	"io/fs"
)

// FS is one folder. A name is that of a file in the folder and contains no separator.
// An error about a file that does not exist wraps fs.ErrNotExist.
type FS interface {
	// Path returns the path of a file as it is shown in messages.
	Path(name string) string
	Stat(name string) (Stat, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	// Append opens a file for reading and for writing at its end. It creates the
	// file with mode, less the umask, if it does not exist.
	Append(name string, mode fs.FileMode) (File, error)
	// Create creates or empties a file, for reading and for writing at its end. The file
	// has exactly the permissions mode, whatever the umask is.
	Create(name string, mode fs.FileMode) (File, error)
	// CreateRewritable creates or empties a file that may be overwritten.
	CreateRewritable(name string, mode fs.FileMode) (Rewritable, error)
	// Rename gives the file from the name to. It atomically replaces a file that has
	// the name to.
	Rename(from, to string) error
	Remove(name string) error
	// SyncNames makes the names of the folder durable. A new or renamed file may be
	// lost in a crash before the next SyncNames.
	SyncNames() error
	// Lock acquires the lock with this name. The process holds it until it calls unlock
	// or ends. The error is ErrLocked if another process holds the lock.
	Lock(name string) (unlock func() error, err error)
}

// File is an open file. Write writes at its end. If Write fails, a part of the bytes
// may have been written.
type File interface {
	io.ReaderAt
	io.Writer
	Truncate(size int64) error
	// Sync makes the contents durable.
	Sync() error
	Stat() (Stat, error)
	Close() error
}

// Rewritable is an open file whose contents may be overwritten. WriteAt writes within
// the size of the file. If WriteAt fails, a part of the bytes may have been written.
type Rewritable interface {
	File
	io.WriterAt
	// SyncContent makes the contents durable, with only the metadata that is needed to
	// read them.
	SyncContent() error
}

// Stat is the metadata of a file.
type Stat struct {
	Size     int64
	Modified int64 // Unix nanoseconds
	Mode     fs.FileMode
	// Identity distinguishes an open file from another one that has replaced it under
	// the same name. It is 0 on systems without such a number.
	Identity uint64
}

// readFile opens a file, passes it with its metadata to the function read, and closes
// it. found is false if the file does not exist.
func readFile(fsys FS, name string, read func(File, Stat) error) (found bool, err error) {
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	st, err := f.Stat()
	if err == nil {
		err = read(f, st)
	}
	return true, errors.Join(err, f.Close())
}

// ErrLocked is the error about a lock that another process holds.
var ErrLocked = errors.New("it is locked")
