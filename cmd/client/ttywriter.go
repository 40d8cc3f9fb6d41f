package main

import (
	"io"
	"sync"
)

// ttyWriter brings what the editor writes in small pieces to the device, while
// it is held in one piece, so that the line does not flicker.
type ttyWriter struct {
	out io.Writer

	mu     sync.Mutex
	held   bool
	pieces []byte
}

func (w *ttyWriter) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = true
}

// release writes what came meanwhile.
func (w *ttyWriter) release() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = false
	_, err := w.out.Write(w.pieces)
	w.pieces = w.pieces[:0]
	return err
}

func (w *ttyWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held {
		w.pieces = append(w.pieces, p...)
		return len(p), nil
	}
	return w.out.Write(p)
}
