package files

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

func (d disk) CreateRewritable(name string, mode fs.FileMode) (Rewritable, error) {
	f, err := d.open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return nil, err
	}
	raw, err := f.(*diskFile).SyscallConn()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &diskRewritable{f.(*diskFile), raw}, nil
}

type diskRewritable struct {
	*diskFile
	raw syscall.RawConn
}
