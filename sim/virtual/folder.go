package virtual

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
)

// aheadSize of the server's log that is written ahead: a few hundred TempIDs, so
// that a run comes to its end and begins it anew.
const aheadSize = 16 << 10

// attemptSlack is how many lines more than needed the server's attempts.txt may
// have: few, so that a run comes to write it anew.
const attemptSlack = 32

// openFolder opens the files of the server, if it has any, with the code that
// does so on a real disk.
func (w *World) openFolder() error {
	h := &w.host
	if h.memory == nil {
		return nil
	}
	h.memory.SetTime(w.time(nobody).Wall)
	folder, err := files.OpenServer(h.memory, files.ServerOptions{Zone: w.zone, Entropy: &bytesOf{h.key}, WALSize: aheadSize, AttemptsSlack: attemptSlack})
	if err != nil {
		return err
	}
	h.folder, h.settings.NameKey = folder, folder.NameKey()
	return nil
}

// restore feeds the machine what is in the files.
func (w *World) restore(m *nodes.Server) error {
	h := &w.host
	if h.folder == nil {
		return nil
	}
	now := w.time(nobody)
	return h.folder.Restore(now.Wall, func(r nodes.Record) error { return m.Restore(now, r) })
}

// printNotes has the server print what it found amiss in its files. Where there
// are no faults, nothing is.
func (w *World) printNotes() {
	h := &w.host
	if h.folder == nil {
		return
	}
	notes := h.folder.Notes()
	if w.faults == nil && len(notes) > 0 {
		panic("virtual: the server does not understand its own files: " + strings.Join(notes, "; "))
	}
	for _, n := range notes {
		w.serverPrints(n)
	}
}

// keep writes records to the files, if there are any.
func (w *World) keep(records []nodes.Record) error {
	h := &w.host
	if h.folder == nil {
		return nil
	}
	h.memory.SetTime(w.time(nobody).Wall)
	return errors.Join(h.folder.Store(records))
}

// bytesOf reads a random stream, eight bytes a number.
type bytesOf struct{ src rand.PCG }

func (b *bytesOf) Read(p []byte) (int, error) {
	var eight [8]byte
	for at := 0; at < len(p); at += len(eight) {
		binary.LittleEndian.PutUint64(eight[:], b.src.Uint64())
		copy(p[at:], eight[:])
	}
	return len(p), nil
}
