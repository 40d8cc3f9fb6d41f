//go:build !linux

package epoll

import (
	"errors"
	"io"
)

// Supported reports whether Kernel has a poller.
const Supported = false

// Kernel returns system calls of which only NewPoller and Duplicate may be called,
// and both fail.
func Kernel() System { return kernel{} }

type kernel struct{ System }

func (kernel) NewPoller() (Poller, error)                       { return nil, errors.ErrUnsupported }
func (kernel) Duplicate(io.ReadWriteCloser) (fd int, err error) { return 0, errors.ErrUnsupported }

// WouldBlock is false: there is no Read or Write here.
func WouldBlock(error) bool { return false }

// Event does not occur here.
type Event struct{}

// Key returns 0.
func (*Event) Key() int32 { return 0 }

// Ended returns false.
func (*Event) Ended() bool { return false }
