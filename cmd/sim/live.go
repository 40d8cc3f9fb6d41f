package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"bluetrace/nodes"
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
func readCredentials(path string) (list []nodes.Credential, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, &sim.Invalid{Err: fmt.Errorf("opening the credentials: %w", err)}
	}
	defer func() { _ = file.Close() }() // it was only read
	lines := bufio.NewScanner(file)
	first := map[string]int{} // the line of each username
	n := 1
	for ; lines.Scan(); n++ {
		line := strings.TrimSuffix(lines.Text(), "\r")
		user, password, ok := strings.Cut(line, " ")
		switch {
		case line == "":
		case n == 1 && strings.HasPrefix(line, "\ufeff"):
			return nil, &sim.Invalid{Place: path + ":1", Err: errors.New("the file begins with a byte order mark, which would be part of the first username; save it without")}
		case !ok || user == "" || password == "" || strings.Contains(password, " "):
			return nil, &sim.Invalid{Place: fmt.Sprintf("%s:%d", path, n), Err: fmt.Errorf("%q is no username and password with one blank between", line)}
		case first[user] > 0:
			return nil, &sim.Invalid{Place: fmt.Sprintf("%s:%d", path, n), Err: fmt.Errorf("the account %q is in line %d already", user, first[user])}
		default:
			first[user] = n
			list = append(list, nodes.Credential{User: user, Password: password})
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, &sim.Invalid{Place: fmt.Sprintf("%s:%d", path, n), Err: fmt.Errorf("the line is longer than %d bytes: this is no file of credentials", bufio.MaxScanTokenSize)}
	} else if err != nil {
		return nil, &sim.Invalid{Err: fmt.Errorf("reading the credentials %q: %w", path, err)}
	}
	if len(list) == 0 {
		return nil, &sim.Invalid{Place: path, Err: fmt.Errorf("the credentials have no account")}
	}
	return list, nil
}
