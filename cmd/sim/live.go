package main

import (
	"errors"
	"fmt"
	"os"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/sim"
)

// liveOptions are those of a live run; nil: it is in virtual time.
func (f *runFlags) liveOptions() (*sim.Live, error) {
	if !f.onSockets {
		return nil, nil
	}
	l := &sim.Live{Server: f.server}
	if f.accounts == "" {
		return l, nil
	}
	var err error
	l.Credentials, err = readCredentials(f.accounts)
	return l, err
}

// readCredentials reads a file as the server does (PROTOCOL.md section 2), but
// refuses what the server would skip.
func readCredentials(path string) ([]nodes.Credential, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, &sim.Invalid{Err: fmt.Errorf("opening the credentials: %w", err)}
	}
	defer func() { _ = file.Close() }() // it was only read
	list, err := files.ReadCredentials(file)
	if broken, ok := errors.AsType[*files.CredentialError](err); ok {
		return nil, &sim.Invalid{Place: fmt.Sprintf("%s:%d", path, broken.Line), Err: broken.Err}
	}
	if err != nil {
		return nil, &sim.Invalid{Place: path, Err: err}
	}
	return list, nil
}
