package virtual

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
)

// openFolder opens the files of the server, if it has any, with the code that
// does so on a real disk.
func (w *World) openFolder() {
	h := &w.host
	if h.memory == nil {
		return
	}
	h.memory.SetTime(w.wall(w.now))
	folder, err := files.OpenServer(h.memory, files.ServerOptions{Zone: w.zone, Entropy: &bytesOf{h.key}})
	if err != nil {
		panic(fmt.Sprintf("virtual: opening the server's files in memory: %v", err))
	}
	h.folder, h.settings.NameKey = folder, folder.NameKey()
}

// restore feeds the machine what is in the files.
func (w *World) restore() {
	h := &w.host
	if h.folder == nil {
		return
	}
	err := h.folder.Restore(w.wall(w.now), func(r nodes.Record) error { return h.machine.Restore(w.time(), r) })
	if err != nil {
		panic(fmt.Sprintf("virtual: reading the server's files in memory: %v", err))
	}
	if notes := h.folder.Notes(); len(notes) > 0 {
		panic("virtual: the server does not understand its own files: " + strings.Join(notes, "; "))
	}
}

// keep writes records to the files, if there are any.
func (w *World) keep(records []nodes.Record) error {
	h := &w.host
	if h.folder == nil {
		return nil
	}
	h.memory.SetTime(w.wall(w.now))
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
