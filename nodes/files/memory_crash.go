package files

import (
	"maps"
	"slices"
)

// StopBefore stops the machine before the nth operation from now, 1 the next: it
// and all later ones fail with ErrStopped until Crash or Kill.
func (m *Memory) StopBefore(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopAt = m.count + n
}

// Kill ends the program that has files open: what it wrote stays, synced or not.
func (m *Memory) Kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end()
}

func (m *Memory) end() {
	m.life++
	m.stopAt, m.stopping = 0, false
	m.locks = map[string]bool{}
}

// Crash stops the machine and starts it again: all that was not synced is gone.
func (m *Memory) Crash() { m.CrashKeeping(PartialSync{}) }

// Left is what a crash leaves of what was not synced. The zero value is nothing.
type PartialSync struct {
	Names int // so many of the new, renamed and removed names, the first ones
	// Bytes says how many of the unsynced steps of a file are left, the first
	// ones: a byte written is a step, a truncation is one. nil: none.
	Bytes func(name string, unsynced int) int
	// Zeros: the written bytes that are left are zeros, as when the length
	// reached the disk and the contents did not.
	Zeros bool
}

// CrashKeeping stops the machine and starts it again.
func (m *Memory) CrashKeeping(left PartialSync) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end()
	m.syncNames(left.Names)
	m.renames = nil
	m.names = map[string]*memoryFile{}
	for name, f := range m.durable {
		m.names[name] = f
	}
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

// Unsynced is how many changes of names, and steps of the file, no sync has made
// durable.
func (m *Memory) Unsynced(name string) (names, steps int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.names[name]; f != nil {
		steps = f.steps()
	}
	return len(m.renames), steps
}
