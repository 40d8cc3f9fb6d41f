package authority

import (
	"crypto/rand"
	"encoding/binary"
)

// entropy is a rand.Source of the system's cryptographic randomness, fetched
// many at once. It is not safe for concurrent use.
type entropy struct {
	buffer [512]byte
	left   int // bytes at the end of buffer that nobody had
}

// Uint64 gives each byte once, and forgets it.
func (e *entropy) Uint64() uint64 {
	if e.left == 0 {
		_, _ = rand.Read(e.buffer[:]) // never fails: the program ends if the system has none
		e.left = len(e.buffer)
	}
	next := e.buffer[len(e.buffer)-e.left:][:8]
	e.left -= 8
	n := binary.LittleEndian.Uint64(next)
	clear(next)
	return n
}
