package files

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
)

// Memory is a folder in memory whose machine can crash at any time. It knows which
// changes were synced. It is deterministic and safe for concurrent use.
//
// A failed sync loses the unsynced bytes of the file, as on Linux: reads still
// return them and a later sync succeeds, but after a crash they are zeros.
// Simplifications: unsynced changes reach the disk in order, for each file and for
// the names, and modification times and modes are always durable.
type Memory struct {
	mu         sync.Mutex
	names      map[string]*memoryFile // as a running program sees them
	durable    map[string]*memoryFile // after a crash
	renames    []nameChange           // unsynced changes from durable to names
	locks      map[string]bool
	generation int   // open files of an earlier generation are dead
	time       int64 // Unix nanoseconds
	freeSpace  int64 // in bytes; negative without a limit
	files      uint64
	spare      *memoryFile // a removed file whose memory can be reused, or nil
	fault      func(Operation) error
	count      int
	stopAt     int // number of the operation, or 0 for none
	stopping   bool
}

// nameChange removes the name from and gives file the name to, atomically. Either
// name may be empty.
type nameChange struct {
	from, to string
	file     *memoryFile
}

func (c nameChange) apply(names map[string]*memoryFile) {
	delete(names, c.from)
	if c.to != "" {
		names[c.to] = c.file
	}
}

// Errors of a Memory.
var (
	ErrNoSpace = errors.New("no space left on the device")
	ErrStopped = errors.New("the machine has stopped")
)

// NewMemory returns an empty folder without a limit of space, at Unix time 0.
func NewMemory() *Memory {
	return &Memory{
		names:     map[string]*memoryFile{},
		durable:   map[string]*memoryFile{},
		locks:     map[string]bool{},
		freeSpace: -1,
	}
}

// SetTime sets the modification time of later changes, in Unix nanoseconds.
func (m *Memory) SetTime(wall int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.time = wall
}

// SetFreeSpace sets the free space in bytes. A negative number means no limit.
func (m *Memory) SetFreeSpace(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.freeSpace = bytes
}

// SetFault sets a function that is called before every operation, or nil for no
// faults. If it returns an error, the operation fails and does nothing. A ShortWrite
// does a part of the operation.
func (m *Memory) SetFault(fault func(Operation) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = fault
}

// Operations returns the number of operations so far.
func (m *Memory) Operations() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count
}

// ReadFile returns the contents of a file as a running program sees them.
func (m *Memory) ReadFile(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.file("read", name)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(f.data), nil
}

// Size returns the size of a file in bytes as a running program sees it, or 0 if it
// does not exist.
func (m *Memory) Size(name string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.names[name]; f != nil {
		return int64(len(f.data))
	}
	return 0
}

// WriteFile writes a whole file, durably and at once, like another program.
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

// reuse keeps the memory of a file for the next new one, if it has no name and no
// open handle. Most new files replace one of their size.
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

// existing begins an operation on a file that must exist.
func (m *Memory) existing(v Verb, name string) (*memoryFile, error) {
	if err := m.before(Operation{Verb: v, Name: name}); err != nil {
		return nil, err
	}
	return m.file(string(v), name)
}

// syncNames makes the first n changes of names durable.
func (m *Memory) syncNames(n int) {
	n = min(n, len(m.renames))
	for _, c := range m.renames[:n] {
		c.apply(m.durable)
	}
	m.renames = slices.Delete(m.renames, 0, n)
}

func (m *Memory) rename(c nameChange) {
	m.free(m.names[c.to])
	c.apply(m.names)
	m.renames = append(m.renames, c)
}

// free releases the space of a file.
func (m *Memory) free(f *memoryFile) {
	if f != nil && m.freeSpace >= 0 {
		m.freeSpace += int64(len(f.data))
	}
}

func (m *Memory) use(bytes int) {
	if m.freeSpace >= 0 {
		m.freeSpace = max(0, m.freeSpace-int64(bytes))
	}
}

// Path returns the name itself.
func (m *Memory) Path(name string) string { return name }

// before counts an operation and returns the error if it must fail.
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

// Stat implements FS.
func (m *Memory) Stat(name string) (Stat, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.existing(VerbStat, name)
	if err != nil {
		return Stat{}, err
	}
	return f.stat(), nil
}

// Open implements FS.
func (m *Memory) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.existing(VerbOpen, name)
	if err != nil {
		return nil, err
	}
	return m.handle(f, name, false), nil
}

// Append implements FS.
func (m *Memory) Append(name string, mode fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.before(Operation{Verb: VerbAppend, Name: name}); err != nil {
		return nil, err
	}
	return m.openAppend(name, mode), nil
}

// Create implements FS.
func (m *Memory) Create(name string, mode fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.before(Operation{Verb: VerbCreate, Name: name}); err != nil {
		return nil, err
	}
	h := m.openAppend(name, mode)
	h.f.mode = mode
	if len(h.f.data) > 0 {
		h.truncate(0)
	}
	return h, nil
}

// CreateRewritable implements FS.
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
	return &memoryHandle{m: m, f: f, name: name, generation: m.generation, writes: writes}
}

// Rename implements FS.
func (m *Memory) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.existing(VerbRename, from)
	if err != nil {
		return err
	}
	m.rename(nameChange{from: from, to: to, file: f})
	return nil
}

// Remove implements FS.
func (m *Memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.existing(VerbRemove, name)
	if err != nil {
		return err
	}
	m.free(f)
	m.rename(nameChange{from: name})
	return nil
}

// SyncNames implements FS.
func (m *Memory) SyncNames() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.before(Operation{Verb: VerbSyncNames}); err != nil {
		return err
	}
	m.syncNames(len(m.renames))
	return nil
}

// Lock implements FS.
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
	life := m.generation
	return func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if life == m.generation {
			delete(m.locks, name)
		}
		return nil
	}, nil
}

// StopBefore stops the machine before the nth operation from now, where 1 is the
// next. That operation and all later ones fail with ErrStopped until Crash or Kill.
func (m *Memory) StopBefore(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopAt = m.count + n
}

// Kill ends the program. Its writes stay, synced or not.
func (m *Memory) Kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end()
}

func (m *Memory) end() {
	m.generation++
	m.stopAt, m.stopping = 0, false
	m.locks = map[string]bool{}
}

// Crash crashes the machine. All unsynced changes are lost.
func (m *Memory) Crash() { m.CrashKeeping(PartialSync{}) }

// PartialSync is the part of the unsynced changes that reaches the disk in a crash.
// The zero value is none.
type PartialSync struct {
	Names int // number of unsynced changes of names, from the first on
	// Bytes returns the number of unsynced steps of a file, from the first on. A
	// step is one written byte or one truncation. nil means none.
	Bytes func(name string, unsynced int) int
	// Zeros replaces the written bytes by zeros, as if the size had reached the
	// disk and the contents had not.
	Zeros bool
}

// CrashKeeping crashes the machine. The unsynced changes of left reach the disk.
func (m *Memory) CrashKeeping(left PartialSync) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end()
	m.syncNames(left.Names)
	m.renames = nil
	m.names = maps.Clone(m.durable)
	for _, name := range slices.Sorted(maps.Keys(m.names)) {
		f, n := m.names[name], 0
		if left.Bytes != nil {
			n = left.Bytes(name, f.steps())
		}
		m.free(f)
		f.crash(n, left.Zeros)
		m.use(len(f.data))
	}
}

// Unsynced returns the number of unsynced changes of names and of unsynced steps of
// the file.
func (m *Memory) Unsynced(name string) (names, steps int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.names[name]; f != nil {
		steps = f.steps()
	}
	return len(m.renames), steps
}
