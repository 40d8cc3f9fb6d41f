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
	open     int    // handles
	data     []byte // as a running program sees it
	durable  []byte
	unsynced []change // from durable to data
	// apart: durable and the bytes of unsynced are copies. As long as the file has
	// only grown, as most do, they are views of data.
	apart bool
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

// setApart is called before anything but growth happens to data, or anything to
// the bytes of unsynced.
func (f *memoryFile) setApart() {
	if f.apart {
		return
	}
	f.apart = true
	f.durable = bytes.Clone(f.durable)
	for i := range f.unsynced {
		f.unsynced[i].bytes = bytes.Clone(f.unsynced[i].bytes)
	}
}

// write is of bytes at a place that is not behind the end.
func (f *memoryFile) write(p []byte, at int64) {
	if at < int64(len(f.data)) {
		f.setApart()
	}
	f.data = overwritten(f.data, p, at)
	c := change{bytes: f.data[at : at+int64(len(p))], at: at, cut: -1}
	if f.apart {
		c.bytes = bytes.Clone(p)
	}
	f.unsynced = append(f.unsynced, c)
}

func (f *memoryFile) truncate(size int64) {
	if len(f.data) > 0 {
		f.setApart()
	}
	f.data = f.data[:size]
	f.unsynced = append(f.unsynced, change{cut: size})
}

// overwritten is data with p at a place that is not behind its end.
func overwritten(data, p []byte, at int64) []byte {
	n := copy(data[at:], p)
	return append(data, p[n:]...)
}

// sync makes everything durable.
func (f *memoryFile) sync() {
	if f.apart {
		f.syncSteps(f.steps(), false)
	} else {
		f.durable = f.data
	}
	f.unsynced = f.unsynced[:0]
}

// syncSteps makes the first n steps durable, of a file that is apart.
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
	f.setApart()
	f.syncSteps(steps, zeros)
	f.unsynced = nil
	f.data, f.apart = f.durable, false
}

// lose is a failed sync.
func (f *memoryFile) lose() {
	f.setApart()
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
	if room := h.m.room; room >= 0 && room < int64(more) {
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
		return fmt.Errorf("truncate %q: %d is not 0 to %d, and a Memory does not lengthen a file", h.name, size, len(h.f.data))
	}
	h.truncate(size)
	return nil
}

func (h *memoryHandle) truncate(size int64) {
	if h.m.room >= 0 {
		h.m.room += int64(len(h.f.data)) - size
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
	h.f.open--
	h.m.reuse(h.f)
	return nil
}
