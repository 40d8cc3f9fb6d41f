//go:build !amd64

package virtual

import "unsafe"

// prefetch does nothing here: a run is the same, only slower.
func prefetch(unsafe.Pointer) {}
