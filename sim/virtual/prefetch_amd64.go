package virtual

import "unsafe"

// prefetch asks for the memory at p, without waiting for it.
//
//go:noescape
func prefetch(p unsafe.Pointer)
