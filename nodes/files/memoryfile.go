package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// memoryFile is a file, independent of its names.
type memoryFile struct {
	identity uint64
	mode     fs.FileMode
	modified int64
	open     int    // number of open handles
	data     []byte // as a running program sees it
	durable  []byte
	unsynced []change // from durable to data
	// copied means that durable and the bytes of unsynced are copies. While a file
	// only grows, as most do, they are views of data.
	copied bool
}

// change is a write of bytes at an offset, or a truncation if cut is not negative.
type change struct {
	bytes []byte
	at    int64
	cut   int64
}

// steps returns the number of parts in which a change can reach the disk.
func (c change) steps() int {
	if c.cut >= 0 {
		return 1
	}
	return len(c.bytes)
}

func (f *memoryFile) steps() int {
	n := 0
	for _, c := range f.unsynced {
		n += c.steps()
	}
	return n
}

// copyData is called before data changes other than by growing, or before the bytes
// of unsynced change.
func (f *memoryFile) copyData() {
	if f.copied {
		return
	}
	f.copied = true
	f.durable = bytes.Clone(f.durable)
	for i := range f.unsynced {
		f.unsynced[i].bytes = bytes.Clone(f.unsynced[i].bytes)
	}
}

// write writes bytes at an offset up to the end of the file.
func (f *memoryFile) write(p []byte, at int64) {
	if at < int64(len(f.data)) {
		f.copyData()
	}
	f.data = overwritten(f.data, p, at)
	c := change{bytes: f.data[at : at+int64(len(p))], at: at, cut: -1}
	if f.copied {
		c.bytes = bytes.Clone(p)
	}
	f.unsynced = append(f.unsynced, c)
}

func (f *memoryFile) truncate(size int64) {
	if len(f.data) > 0 {
		f.copyData()
	}
	f.data = f.data[:size]
	f.unsynced = append(f.unsynced, change{cut: size})
}

// overwritten returns data with p at an offset up to its end.
func overwritten(data, p []byte, at int64) []byte {
	n := copy(data[at:], p)
	return append(data, p[n:]...)
}

// sync makes everything durable.
func (f *memoryFile) sync() {
	if f.copied {
		f.syncSteps(f.steps(), false)
	} else {
		f.durable = f.data
	}
	f.unsynced = f.unsynced[:0]
}

// syncSteps makes the first n steps of a copied file durable.
func (f *memoryFile) syncSteps(n int, zeros bool) {
	for _, c := range f.unsynced {
		if n <= 0 {
			return
		}
		left := min(n, c.steps())
		n -= left
		switch {
		case c.cut >= 0:
			f.durable = f.durable[:min(c.cut, int64(len(f.durable)))]
		case zeros:
			f.durable = overwritten(f.durable, make([]byte, left), c.at)
		default:
			f.durable = overwritten(f.durable, c.bytes[:left], c.at)
		}
	}
}

func (f *memoryFile) crash(steps int, zeros bool) {
	f.copyData()
	f.syncSteps(steps, zeros)
	f.unsynced = nil
	f.data, f.copied = f.durable, false
}

// lose replaces the unsynced bytes by zeros, as a failed sync does.
func (f *memoryFile) lose() {
	f.copyData()
	for i := range f.unsynced {
		clear(f.unsynced[i].bytes)
	}
}

func (f *memoryFile) stat() Stat {
	return Stat{Size: int64(len(f.data)), Modified: f.modified, Mode: f.mode, Identity: f.identity}
}

// memoryHandle is an open file.
type memoryHandle struct {
	m          *Memory
	f          *memoryFile
	name       string
	generation int
	writes     bool
	closed     bool
}

// begin begins an operation. The caller holds the lock.
func (h *memoryHandle) begin(v Verb, bytes int) error {
	if h.closed || h.generation != h.m.generation {
		return &fs.PathError{Op: string(v), Path: h.name, Err: fs.ErrClosed}
	}
	return h.m.before(Operation{Verb: v, Name: h.name, Bytes: bytes})
}

func (h *memoryHandle) ReadAt(p []byte, at int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.begin(VerbRead, len(p)); err != nil {
		return 0, err
	}
	if at >= int64(len(h.f.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.f.data[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *memoryHandle) Write(p []byte) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return h.put(p, int64(len(h.f.data)))
}

// WriteAt implements Rewritable.
func (h *memoryHandle) WriteAt(p []byte, at int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if at < 0 || at+int64(len(p)) > int64(len(h.f.data)) {
		return 0, fmt.Errorf("write %q: %d bytes at %d are not within its %d", h.name, len(p), at, len(h.f.data))
	}
	return h.put(p, at)
}

func (h *memoryHandle) put(p []byte, at int64) (int, error) {
	err := h.begin(VerbWrite, len(p))
	n := len(p)
	short, isShort := errors.AsType[ShortWrite](err)
	switch {
	case isShort:
		n = min(short.Bytes, n)
	case err != nil:
		return 0, err
	case !h.writes:
		return 0, &fs.PathError{Op: "write", Path: h.name, Err: fs.ErrPermission}
	}
	more := max(0, int(at)+n-len(h.f.data))
	if room := h.m.freeSpace; room >= 0 && room < int64(more) {
		n, err = n-more+int(room), fmt.Errorf("write %q: %w", h.name, ErrNoSpace)
		more = int(room)
	}
	h.f.write(p[:n], at)
	h.f.modified = h.m.time
	h.m.use(more)
	return n, err
}

func (h *memoryHandle) Truncate(size int64) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.begin(VerbTruncate, int(size)); err != nil {
		return err
	}
	if size < 0 || size > int64(len(h.f.data)) {
		return fmt.Errorf("truncate %q: %d is not 0 to %d, and a Memory does not lengthen a file",
			h.name, size, len(h.f.data))
	}
	h.truncate(size)
	return nil
}

func (h *memoryHandle) truncate(size int64) {
	if h.m.freeSpace >= 0 {
		h.m.freeSpace += int64(len(h.f.data)) - size
	}
	h.f.truncate(size)
	h.f.modified = h.m.time
}

func (h *memoryHandle) Sync() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.begin(VerbSync, 0); err != nil {
		if !errors.Is(err, ErrStopped) && !errors.Is(err, fs.ErrClosed) {
			h.f.lose()
		}
		return err
	}
	h.f.sync()
	return nil
}

// SyncContent implements Rewritable. Its Operation has VerbSync, like that of Sync.
func (h *memoryHandle) SyncContent() error { return h.Sync() }

func (h *memoryHandle) Stat() (Stat, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.begin(VerbStat, 0); err != nil {
		return Stat{}, err
	}
	return h.f.stat(), nil
}

func (h *memoryHandle) Close() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.begin(VerbClose, 0); err != nil {
		return err
	}
	h.closed = true
	h.f.open--
	h.m.reuse(h.f)
	return nil
}

// Operation is one operation of a Memory.
type Operation struct {
	Verb  Verb
	Name  string // of the file; the old name of a rename; empty for VerbSyncNames
	Bytes int    // of a read or write; the new size of a truncation
}

func (o Operation) String() string {
	switch o.Verb {
	case VerbRead, VerbWrite, VerbTruncate:
		return fmt.Sprintf("%v %q (%d bytes)", o.Verb, o.Name, o.Bytes)
	case VerbSyncNames:
		return string(o.Verb)
	}
	return fmt.Sprintf("%v %q", o.Verb, o.Name)
}

// Verb is the kind of an Operation, as it is shown in errors.
type Verb string

// The verbs.
const (
	VerbStat      Verb = "stat"
	VerbOpen      Verb = "open"
	VerbAppend    Verb = "append to"
	VerbCreate    Verb = "create"
	VerbRename    Verb = "rename"
	VerbRemove    Verb = "remove"
	VerbSyncNames Verb = "sync names"
	VerbLock      Verb = "lock"
	VerbRead      Verb = "read"
	VerbWrite     Verb = "write"
	VerbTruncate  Verb = "truncate"
	VerbSync      Verb = "sync"
	VerbClose     Verb = "close"
)

// ShortWrite is the fault of a write that writes only its first Bytes bytes.
type ShortWrite struct{ Bytes int }

func (s ShortWrite) Error() string { return fmt.Sprintf("only %d bytes were written", s.Bytes) }
