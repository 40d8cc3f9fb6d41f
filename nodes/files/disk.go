package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// Disk is the folder dir of the machine; empty: the working directory.
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
		return Stat{}, err
	}
	return statOf(st), nil
}

func statOf(st fs.FileInfo) Stat {
	return Stat{Size: st.Size(), Modified: st.ModTime().UnixNano(), Mode: st.Mode().Perm(), Identity: identity(st)}
}

func (d disk) open(name string, flag int, mode fs.FileMode) (File, error) {
	f, err := os.OpenFile(d.Path(name), flag, mode)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		err = errors.Join(err, f.Close())
		if err == nil {
			err = errors.New("it is no regular file")
		}
		return nil, fmt.Errorf("open %s: %w", d.Path(name), err)
	}
	return &diskFile{f}, nil
}

func (d disk) Open(name string) (File, error) { return d.open(name, os.O_RDONLY, 0) }

func (d disk) Append(name string, mode fs.FileMode) (File, error) {
	return d.open(name, os.O_RDWR|os.O_APPEND|os.O_CREATE, mode)
}

func (d disk) Create(name string, mode fs.FileMode) (File, error) {
	return d.open(name, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_TRUNC, mode)
}

func (d disk) Rename(from, to string) error { return os.Rename(d.Path(from), d.Path(to)) }

func (d disk) Remove(name string) error { return os.Remove(d.Path(name)) }

func (d disk) SyncNames() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d disk) Lock(name string) (unlock func() error, err error) {
	l := flock.New(d.Path(name))
	ok, err := l.TryLock()
	if err != nil {
		return nil, err
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
