package authority

import (
	"fmt"
	"io"
)

// output is standard output, which may go away while the server goes on.
type output struct {
	to       io.Writer
	complain func(error)
}

// Write complains when it fails; the server does not write again.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.to.Write(p)
	if err != nil {
		o.complain(fmt.Errorf("printing: %w; the server goes on, and prints nothing more", reason(err)))
	}
	return n, err
}
