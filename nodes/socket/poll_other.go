//go:build !linux

package socket

import "errors"

// poll is what one goroutine watches. There is none here: every connection has a
// goroutine of its own.
type poll struct{}

func newPolls(*Server) []*poll { return nil }

func (*poll) run()                   {}
func (*poll) close()                 {}
func (*poll) watch(*conn, int) error { return errors.ErrUnsupported }
func (*poll) again(*conn)            {}
func (*poll) release(*conn) stream   { return nil }

func descriptorOf(stream) (descriptor int, ok bool) { return 0, false }

func wouldWait(error) bool { return false }

func closeDescriptor(int) {}

func writeNow(int, []byte) (int, error) { return 0, nil }
