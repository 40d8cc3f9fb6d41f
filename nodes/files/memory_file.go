package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// memoryFile is what a name stands for.
type memoryFile struct {
	identity uint64
	mode     fs.FileMode
	modified int64
	data     []byte // as a running program sees it
	durable  []byte
	unsynced []change // from durable to data
}

// change is bytes at a place, or, when cut is not negative, a truncation.
type change struct {
	bytes []byte
	at    int64
	cut   int64
}

// steps is in how many parts a change can reach the disk.
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

// sync makes the first n steps durable.
func (f *memoryFile) sync(n int, zeros bool) {
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

// overwritten is data with p at a place that is not behind its end.
func overwritten(data, p []byte, at int64) []byte {
	n := copy(data[at:], p)
	return append(data, p[n:]...)
}

func (f *memoryFile) crash(steps int, zeros bool) {
	f.sync(steps, zeros)
	f.unsynced = nil
	f.data = bytes.Clone(f.durable)
}

// lose is a failed sync.
func (f *memoryFile) lose() {
	for i := range f.unsynced {
		clear(f.unsynced[i].bytes)
	}
}

func (f *memoryFile) stat() Stat {
	return Stat{Size: int64(len(f.data)), Modified: f.modified, Mode: f.mode, Identity: f.identity}
}

// memoryHandle is an open file.
type memoryHandle struct {
	m      *Memory
	f      *memoryFile
	name   string
	life   int
	writes bool
	closed bool
}

// begin is called with the lock held.
func (h *memoryHandle) begin(v Verb, bytes int) error {
	if h.closed || h.life != h.m.life {
		return &fs.PathError{Op: v.String(), Path: h.name, Err: fs.ErrClosed}
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

// WriteAt is Rewritable.
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
	var short ShortWrite
	switch {
	case errors.As(err, &short):
		n = min(short.Bytes, n)
	case err != nil:
		return 0, err
	case !h.writes:
		return 0, &fs.PathError{Op: "write", Path: h.name, Err: fs.ErrPermission}
	}
	more := max(0, int(at)+n-len(h.f.data))
	if room := h.m.room; room >= 0 && room < int64(more) {
		n, err = n-more+int(room), fmt.Errorf("write %q: %w", h.name, ErrNoRoom)
		more = int(room)
	}
	h.f.data = overwritten(h.f.data, p[:n], at)
	h.f.unsynced = append(h.f.unsynced, change{bytes: bytes.Clone(p[:n]), at: at, cut: -1})
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
		return fmt.Errorf("truncate %q: %d is not 0 to %d, and a Memory does not lengthen a file", h.name, size, len(h.f.data))
	}
	h.truncate(size)
	return nil
}

func (h *memoryHandle) truncate(size int64) {
	if h.m.room >= 0 {
		h.m.room += int64(len(h.f.data)) - size
	}
	h.f.data = h.f.data[:size]
	h.f.unsynced = append(h.f.unsynced, change{cut: size})
	h.f.modified = h.m.time
}

func (h *memoryHandle) Sync() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.begin(VerbSync, 0); err != nil {
		if !errors.Is(err, ErrStopped) {
			h.f.lose()
		}
		return err
	}
	h.f.sync(h.f.steps(), false)
	h.f.unsynced = h.f.unsynced[:0]
	return nil
}

// SyncContent is Rewritable; its Operation is VerbSync too.
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
	return nil
}
