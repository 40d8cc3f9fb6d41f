package main

import (
	"io"
	"sync"
)

const (
	ctrlC  = 3
	escape = 27
	// keysAhead is how many bytes may be typed before they are asked for; what
	// comes on top is dropped, as a terminal does.
	keysAhead = 64 << 10
	// longestKey is how many bytes one key may send behind an escape.
	longestKey = 32
)

// keyboard takes what a terminal in raw mode sends, also while nobody reads, so
// that Ctrl-C works at any moment.
type keyboard struct {
	interrupt func()

	mu      sync.Mutex
	more    sync.Cond
	waiting []byte
	err     error
	key     int // bytes since an escape whose sequence goes on; 0: none
}

func newKeyboard(interrupt func()) *keyboard {
	k := &keyboard{interrupt: interrupt}
	k.more.L = &k.mu
	return k
}

// pump takes what in sends until it ends.
func (k *keyboard) pump(in io.Reader) {
	b := make([]byte, 4096)
	for {
		n, err := in.Read(b)
		for _, c := range b[:n] {
			if c == ctrlC {
				k.interrupt()
			}
		}
		k.take(b[:n], err)
		if err != nil {
			return
		}
	}
}

func (k *keyboard) take(b []byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range b {
		if c != ctrlC && len(k.waiting) < keysAhead {
			k.waiting = append(k.waiting, c)
			k.bound(c)
		}
	}
	k.err = err
	k.more.Broadcast()
}

// bound ends an escape sequence that grows longer than any key's: the editor
// would wait for its end for ever.
func (k *keyboard) bound(c byte) {
	letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '~'
	switch {
	case c == escape && k.key == 0:
		k.key = 1
	case k.key == 0:
	case letter:
		k.key = 0
	case k.key == longestKey:
		k.key = 0
		k.waiting = append(k.waiting, '~')
	default:
		k.key++
	}
}

// Read waits for keys; an error comes after the last of them.
func (k *keyboard) Read(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.waiting) == 0 {
		if k.err != nil {
			return 0, k.err
		}
		k.more.Wait()
	}
	n := copy(p, k.waiting)
	k.waiting = k.waiting[n:]
	return n, nil
}
