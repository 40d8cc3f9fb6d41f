package files

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
)

// Memory is a folder in memory whose machine can be stopped at any moment: it
// keeps what was synced apart from what was not. It is deterministic, and safe
// for concurrent use.
//
// A file that fails to sync loses what was not synced, as on Linux: it still
// reads well, a later sync succeeds, and a crash shows that zeros are there.
// Simplifications: what was not synced reaches the disk in its order for each
// file and for the names, and modification times and modes are always durable.
type Memory struct {
	mu       sync.Mutex
	names    map[string]*memoryFile // as a running program sees them
	durable  map[string]*memoryFile // as a crash leaves them
	renames  []nameChange           // from durable to names
	locks    map[string]bool
	life     int   // open files of an earlier life are dead
	time     int64 // Unix nanoseconds
	room     int64 // bytes; below zero: no limit
	files    uint64
	spare    *memoryFile // one that is gone, for the memory that it has; nil: none
	fault    func(Operation) error
	count    int
	stopAt   int // 0: never
	stopping bool
}

// nameChange happens at one instant: from is no name any more, to is one of
// file. Either may be empty.
type nameChange struct {
	from, to string
	file     *memoryFile
}

// Errors of a Memory.
var (
	ErrNoSpace = errors.New("no space left on the device")
	ErrStopped = errors.New("the machine has stopped")
)

// NewMemory is an empty folder with no limit of room, at Unix time 0.
func NewMemory() *Memory {
	return &Memory{
		names:   map[string]*memoryFile{},
		durable: map[string]*memoryFile{},
		locks:   map[string]bool{},
		room:    -1,
	}
}

// SetTime sets the modification time that files get from now on, in Unix
// nanoseconds.
func (m *Memory) SetTime(wall int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.time = wall
}

// SetFreeSpace leaves room for so many more bytes; below zero: no limit.
func (m *Memory) SetFreeSpace(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.room = bytes
}

// Fail has fault asked before every operation; nil: no faults. An error makes
// the operation fail and do nothing; a ShortWrite does some of it.
func (m *Memory) SetFault(fault func(Operation) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = fault
}

// Operations is how many there have been.
func (m *Memory) Operations() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count
}

// ReadFile is a whole file as a running program sees it.
func (m *Memory) ReadFile(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.file("read", name)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(f.data), nil
}

// Size is the length of a file in bytes as a running program sees it; 0: there is
// none.
func (m *Memory) Size(name string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.names[name]; f != nil {
		return int64(len(f.data))
	}
	return 0
}

// WriteFile puts a file of another program there, durably and at once.
func (m *Memory) WriteFile(name string, p []byte, mode fs.FileMode) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.newFile(mode)
	f.data = bytes.Clone(p)
	f.durable = f.data
	m.names[name] = f
	m.durable[name] = f
}

func (m *Memory) newFile(mode fs.FileMode) *memoryFile {
	m.files++
	f := m.spare
	if f == nil {
		f = &memoryFile{}
	}
	m.spare = nil
	*f = memoryFile{identity: m.files, mode: mode, modified: m.time, data: f.data[:0], unsynced: f.unsynced[:0]}
	return f
}

// reuse keeps a file for the next new one when it has no name, nowhere, and
// nobody has it open. Most files replace one of their size.
func (m *Memory) reuse(f *memoryFile) {
	is := func(c nameChange) bool { return c.file == f }
	if f.open > 0 || named(m.names, f) || named(m.durable, f) || slices.ContainsFunc(m.renames, is) {
		return
	}
	m.spare = f
}

func named(names map[string]*memoryFile, f *memoryFile) bool {
	for _, g := range names {
		if g == f {
			return true
		}
	}
	return false
}

func (m *Memory) file(verb, name string) (*memoryFile, error) {
	f := m.names[name]
	if f == nil {
		return nil, &fs.PathError{Op: verb, Path: name, Err: fs.ErrNotExist}
	}
	return f, nil
}

// syncNames makes the first n changes of names durable.
func (m *Memory) syncNames(n int) {
	n = min(n, len(m.renames))
	for _, c := range m.renames[:n] {
		if c.from != "" {
			delete(m.durable, c.from)
		}
		if c.to != "" {
			m.durable[c.to] = c.file
		}
	}
	m.renames = slices.Delete(m.renames, 0, n)
}

func (m *Memory) rename(c nameChange) {
	if c.from != "" {
		delete(m.names, c.from)
	}
	if c.to != "" {
		m.free(m.names[c.to])
		m.names[c.to] = c.file
	}
	m.renames = append(m.renames, c)
}

// free gives back the room of a file.
func (m *Memory) free(f *memoryFile) {
	if f != nil && m.room >= 0 {
		m.room += int64(len(f.data))
	}
}

func (m *Memory) use(bytes int) {
	if m.room >= 0 {
		m.room = max(0, m.room-int64(bytes))
	}
}

// Path is the name itself.
func (m *Memory) Path(name string) string { return name }

// before counts an operation and asks whether it may happen.
func (m *Memory) before(o Operation) error {
	m.count++
	if m.stopAt > 0 && m.count >= m.stopAt {
		m.stopping = true
	}
	if m.stopping {
		return fmt.Errorf("%v: %w", o, ErrStopped)
	}
	if m.fault != nil {
		if err := m.fault(o); err != nil {
			return fmt.Errorf("%v: %w", o, err)
		}
	}
	return nil
}

// Stat is FS.
func (m *Memory) Stat(name string) (Stat, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.before(Operation{Verb: VerbStat, Name: name}); err != nil {
		return Stat{}, err
	}
	f, err := m.file("stat", name)
	if err != nil {
		return Stat{}, err
	}
	return f.stat(), nil
}

// Open is FS.
func (m *Memory) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.before(Operation{Verb: VerbOpen, Name: name}); err != nil {
		return nil, err
	}
	f, err := m.file("open", name)
	if err != nil {
		return nil, err
	}
	return m.handle(f, name, false), nil
}

// Append is FS.
func (m *Memory) Append(name string, mode fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.before(Operation{Verb: VerbAppend, Name: name}); err != nil {
		return nil, err
	}
	return m.openAppend(name, mode), nil
}

// Create is FS.
func (m *Memory) Create(name string, mode fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.before(Operation{Verb: VerbCreate, Name: name}); err != nil {
		return nil, err
	}
	h := m.openAppend(name, mode)
	if len(h.f.data) > 0 {
		h.truncate(0)
	}
	return h, nil
}

// CreateRewritable is FS.
func (m *Memory) CreateRewritable(name string, mode fs.FileMode) (Rewritable, error) {
	f, err := m.Create(name, mode)
	if err != nil {
		return nil, err
	}
	return f.(*memoryHandle), nil
}

func (m *Memory) openAppend(name string, mode fs.FileMode) *memoryHandle {
	f := m.names[name]
	if f == nil {
		f = m.newFile(mode)
		m.rename(nameChange{to: name, file: f})
	}
	return m.handle(f, name, true)
}

func (m *Memory) handle(f *memoryFile, name string, writes bool) *memoryHandle {
	f.open++
	return &memoryHandle{m: m, f: f, name: name, life: m.life, writes: writes}
}

// Rename is FS.
func (m *Memory) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.before(Operation{Verb: VerbRename, Name: from}); err != nil {
		return err
	}
	f, err := m.file("rename", from)
	if err != nil {
		return err
	}
	m.rename(nameChange{from: from, to: to, file: f})
	return nil
}

// Remove is FS.
func (m *Memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.before(Operation{Verb: VerbRemove, Name: name}); err != nil {
		return err
	}
	f, err := m.file("remove", name)
	if err != nil {
		return err
	}
	m.free(f)
	m.rename(nameChange{from: name})
	return nil
}

// SyncNames is FS.
func (m *Memory) SyncNames() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.before(Operation{Verb: VerbSyncNames}); err != nil {
		return err
	}
	m.syncNames(len(m.renames))
	return nil
}

// Lock is FS.
func (m *Memory) Lock(name string) (unlock func() error, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.before(Operation{Verb: VerbLock, Name: name}); err != nil {
		return nil, err
	}
	if m.locks[name] {
		return nil, ErrLocked
	}
	m.locks[name] = true
	life := m.life
	return func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if life == m.life {
			delete(m.locks, name)
		}
		return nil
	}, nil
}
