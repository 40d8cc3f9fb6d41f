package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// Disk returns the folder dir of the operating system's file system. An empty dir is
// the working directory.
func Disk(dir string) FS {
	if dir == "" {
		dir = "."
	}
	return disk(dir)
}

type disk string

func (d disk) Path(name string) string { return filepath.Join(string(d), name) }

func (d disk) Stat(name string) (Stat, error) {
	st, err := os.Stat(d.Path(name))
	if err != nil {
		return Stat{}, WithoutPath(err)
	}
	return statOf(st), nil
}

// errNotRegular is the error for a folder, a device or a pipe.
var errNotRegular = errors.New("it is no regular file")

// WithoutPath returns an error of package os without the name of the file, for a caller
// that adds the name.
func WithoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}

func statOf(st fs.FileInfo) Stat {
	return Stat{Size: st.Size(), Modified: st.ModTime().UnixNano(), Mode: st.Mode().Perm(), Identity: identity(st)}
}

func (d disk) open(name string, flag int, mode fs.FileMode) (Rewritable, error) {
	if st, err := os.Stat(d.Path(name)); err == nil && !st.Mode().IsRegular() {
		return nil, errNotRegular // opening a pipe would wait for its other end
	}
	f, err := os.OpenFile(d.Path(name), flag|nonBlocking, mode) // it may have become a pipe since
	if err != nil {
		return nil, WithoutPath(err)
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		err = errors.Join(WithoutPath(err), f.Close())
		if err == nil {
			err = errNotRegular
		}
		return nil, err
	}
	return &diskFile{f}, nil
}

func (d disk) Open(name string) (File, error) { return d.open(name, os.O_RDONLY, 0) }

func (d disk) Append(name string, mode fs.FileMode) (File, error) {
	return d.open(name, os.O_RDWR|os.O_APPEND|os.O_CREATE, mode)
}

func (d disk) Create(name string, mode fs.FileMode) (File, error) {
	f, err := d.open(name, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_TRUNC, secretMode)
	if err != nil {
		return nil, err
	}
	if err := f.(*diskFile).Chmod(mode); err != nil {
		return nil, errors.Join(WithoutPath(err), f.Close(), d.Remove(name))
	}
	return f, nil
}

func (d disk) Rename(from, to string) error { return WithoutPath(os.Rename(d.Path(from), d.Path(to))) }

func (d disk) Remove(name string) error { return WithoutPath(os.Remove(d.Path(name))) }

func (d disk) SyncNames() error {
	f, err := os.Open(string(d))
	if err != nil {
		return WithoutPath(err)
	}
	return errors.Join(WithoutPath(f.Sync()), f.Close())
}

func (d disk) Lock(name string) (unlock func() error, err error) {
	if st, err := os.Stat(d.Path(name)); err == nil && !st.Mode().IsRegular() {
		return nil, errNotRegular
	}
	l := flock.New(d.Path(name))
	ok, err := l.TryLock()
	if err != nil {
		return nil, WithoutPath(err)
	}
	if !ok {
		return nil, ErrLocked
	}
	return l.Unlock, nil
}

type diskFile struct{ *os.File }

func (f *diskFile) Stat() (Stat, error) {
	st, err := f.File.Stat()
	if err != nil {
		return Stat{}, err
	}
	return statOf(st), nil
}

func (f *diskFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(p, at)
	return n, WithoutPath(err)
}

func (f *diskFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, WithoutPath(err)
}

func (f *diskFile) Truncate(size int64) error { return WithoutPath(f.File.Truncate(size)) }

func (f *diskFile) Sync() error { return WithoutPath(f.File.Sync()) }

func (d disk) CreateRewritable(name string, mode fs.FileMode) (Rewritable, error) {
	return d.open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, mode)
}
