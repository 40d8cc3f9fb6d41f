package files

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

const (
	// damagedSuffix ends the first of the names under which what is damaged of a
	// file is put aside.
	damagedSuffix = ".damaged"
	maxDamaged    = 1000
)

// span is bytes of a file, from begin to before end.
type span struct{ begin, end int64 }

// spans are in the order of the file.
type spans []span

// add takes what follows, and keeps neighbours as one.
func (s *spans) add(more span) {
	if n := len(*s); n > 0 && (*s)[n-1].end == more.begin {
		(*s)[n-1].end = more.end
		return
	}
	*s = append(*s, more)
}

// putAside writes parts of a file to another one beside it, durably, and answers
// with its name.
func putAside(fsys FS, name string, from io.ReaderAt, parts spans, mode fs.FileMode) (string, error) {
	damaged, err := freeName(fsys, name+damagedSuffix)
	if err != nil {
		return "", err
	}
	aside := ledger{fs: fsys, name: damaged, mode: mode}
	err = aside.rewrite(func(w *bufio.Writer) error {
		for _, s := range parts {
			if _, err := io.Copy(w, io.NewSectionReader(from, s.begin, s.end-s.begin)); err != nil {
				return err
			}
		}
		return nil
	})
	if err = errors.Join(err, aside.close()); err != nil {
		return "", fmt.Errorf("putting it aside as %q: %w", fsys.Path(damaged), err)
	}
	return damaged, nil
}

// freeName is the first name like this that no file has.
func freeName(fsys FS, first string) (string, error) {
	name := first
	for i := 2; i <= maxDamaged; i++ {
		_, err := fsys.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
		name = fmt.Sprintf("%s-%d", first, i)
	}
	return "", fmt.Errorf("putting it aside: there are %d files %q to %q already", maxDamaged-1, first, name)
}
