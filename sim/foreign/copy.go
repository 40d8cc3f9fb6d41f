package foreign

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// CopyLimits bound the copy of a folder. Zero values mean those of DefaultLimits.
type CopyLimits struct {
	Bytes int64
	Files int // files and folders
}

// CopyFolder copies the regular files and folders in src, and symbolic links that stay in it, to the new folder dst,
// with their permissions. It refuses other files, links that leave src, and a folder beyond the limits, with a sentence
// that names the file by its path in src. After an error dst is removed.
func CopyFolder(dst, src string, l CopyLimits) (err error) {
	c := copier{src: src, dst: dst, bytes: or(l.Bytes, DefaultLimits.Folder), files: or(l.Files, DefaultLimits.Files)}
	c.limits = CopyLimits{c.bytes, c.files}
	if c.root, err = filepath.EvalSymlinks(src); err != nil {
		return fmt.Errorf("reading the folder: %w", err)
	}
	if info, err := os.Stat(c.root); err != nil || !info.IsDir() {
		return errors.Join(err, fmt.Errorf("%s is not a folder", src))
	}
	if err := os.Mkdir(dst, 0o700); err != nil {
		return fmt.Errorf("making the copy: %w", err)
	}
	if err := filepath.WalkDir(c.root, c.visit); err != nil {
		return errors.Join(err, RemoveFolder(dst))
	}
	return nil
}

// FreshFolder returns a new folder for temporary files with a copy of another one, or an empty one if from is "".
func FreshFolder(from string) (string, error) {
	folder, err := os.MkdirTemp("", "bluetrace-foreign-")
	if err != nil {
		return "", fmt.Errorf("making a folder for a program: %w", err)
	}
	if from == "" {
		return folder, nil
	}
	if err := os.Remove(folder); err != nil { // CopyFolder makes it
		return "", fmt.Errorf("making a folder for a program: %w", err)
	}
	if err := CopyFolder(folder, from, CopyLimits{}); err != nil {
		return "", fmt.Errorf("copying the folder of a program: %w", err)
	}
	return folder, nil
}

type copier struct {
	src, dst, root string // root is src without links
	bytes          int64  // left
	files          int    // left
	limits         CopyLimits
}

func (c *copier) visit(path string, e fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	name, err := filepath.Rel(c.root, path)
	if err != nil || name == "." {
		return err
	}
	if c.files--; c.files < 0 {
		return fmt.Errorf("the folder has more than %d files", c.limits.Files)
	}
	info, err := e.Info()
	if err != nil {
		return err
	}
	to := filepath.Join(c.dst, name)
	switch info.Mode().Type() {
	case fs.ModeDir:
		return os.Mkdir(to, info.Mode().Perm()|0o700) // to be filled and removed
	case fs.ModeSymlink:
		return c.link(to, path, name)
	case 0:
		return c.file(to, path, info.Mode().Perm())
	}
	return fmt.Errorf("%q is neither a file nor a folder", name)
}

// link copies a symbolic link, if it leads to a file in the folder.
func (c *copier) link(to, path, name string) error {
	target, err := os.Readlink(path)
	if err != nil {
		return err
	}
	end, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("the link %q leads to no file: %q", name, target)
	}
	if inside, err := filepath.Rel(c.root, end); err != nil || !filepath.IsLocal(inside) || filepath.IsAbs(target) {
		return fmt.Errorf("the link %q leaves the folder: %q", name, target)
	}
	return os.Symlink(target, to)
}

// file copies a regular file. On Linux the kernel copies, where it can without reading.
func (c *copier) file(to, path string, mode fs.FileMode) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // it was only read
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(w, io.LimitReader(from, c.bytes+1))
	if c.bytes -= n; c.bytes < 0 {
		err = fmt.Errorf("the folder has more than %s", size(c.limits.Bytes))
	}
	return errors.Join(err, w.Chmod(mode), w.Close())
}

// RemoveFolder removes a folder in which a program has written, with subfolders that it has made unreadable.
func RemoveFolder(path string) error {
	if os.RemoveAll(path) == nil {
		return nil
	}
	_ = filepath.WalkDir(path, func(p string, e fs.DirEntry, _ error) error { // RemoveAll reports errors
		if e != nil && e.IsDir() {
			_ = os.Chmod(p, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}
