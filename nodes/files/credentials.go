package files

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"bluetrace/nodes"
)

const (
	credentialsName = "credentials.txt"
	// maxCredentials bounds what is read of the file, in bytes.
	maxCredentials = 64 << 20
)

var (
	errNoAccount      = errors.New("it has no account")
	errCredentialLine = errors.New("it is not a username, one space and a password")
	errSpaceAtEnd     = errors.New("it ends with a space")
)

// credentials is credentials.txt as it was last good.
type credentials struct {
	fs    FS
	notes *notes

	list []nodes.Credential // nil: it never was
	seen Stat               // when it was last read
	err  error              // what was wrong with it then
}

// read answers with the accounts, and whether others than the last time. A file
// that cannot be read or has none leaves the last good ones in force.
func (c *credentials) read() (list []nodes.Credential, changed bool, err error) {
	st, err := c.fs.Stat(credentialsName)
	if err == nil && st == c.seen && (c.err == nil || errors.Is(c.err, errNoAccount)) {
		return c.held()
	}
	if err == nil {
		list, err = c.load(st)
	}
	if err != nil {
		return c.failed(st, err)
	}
	changed = !slices.Equal(list, c.list)
	c.list, c.seen, c.err = list, st, nil
	return c.list, changed, nil
}

func (c *credentials) held() (list []nodes.Credential, changed bool, err error) {
	if c.list == nil {
		return nil, false, c.err
	}
	return c.list, false, nil
}

// failed notes what is wrong once.
func (c *credentials) failed(st Stat, err error) (list []nodes.Credential, changed bool, _ error) {
	if c.list == nil {
		c.seen = st
		c.err = fmt.Errorf("the server needs the file %q with an account a line, username and password with one space between them, like %q: %w",
			c.fs.Path(credentialsName), "+61410888888 comp3331", err)
		return nil, false, c.err
	}
	if c.err == nil || c.err.Error() != err.Error() {
		c.notes.add("%s: %v; the accounts read before stay in force", credentialsName, err)
	}
	c.seen, c.err = st, err
	return c.list, false, nil
}

func (c *credentials) load(st Stat) ([]nodes.Credential, error) {
	if st.Size > maxCredentials {
		return nil, fmt.Errorf("it has %d bytes, and %d are read at most", st.Size, maxCredentials)
	}
	f, err := c.fs.Open(credentialsName)
	if err != nil {
		return nil, err
	}
	list, err := c.loadLines(newLines(f, st.Size))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errNoAccount
	}
	return list, nil
}

func (c *credentials) loadLines(l *lines) (list []nodes.Credential, err error) {
	odd := strange{notes: c.notes, file: credentialsName}
	defer odd.done()
	twice := strange{notes: c.notes, file: credentialsName}
	defer twice.done()
	first := map[string]int{} // line of each username
	for {
		line, ok := l.next()
		if !ok {
			return list, l.err
		}
		if l.number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		account, err := readCredential(line)
		if err != nil { // also of a line too long to be given whole
			odd.line(l.number, fmt.Sprintf("is skipped: %v", err))
			continue
		}
		if earlier, ok := first[account.User]; ok {
			twice.line(l.number, fmt.Sprintf("has the username of line %d: the later one counts", earlier))
		}
		first[account.User] = l.number
		list = append(list, account)
	}
}

// readCredential takes a line without its line feed; a carriage return at its end
// is no part of it. The error does not tell what is in the line: it may be a
// password.
func readCredential(line []byte) (nodes.Credential, error) {
	user, password, ok := bytes.Cut(trimReturn(line), []byte(" "))
	switch {
	case ok && len(user) > 0 && spacedAtEnd(password):
		return nodes.Credential{}, errSpaceAtEnd
	case !ok || len(password) == 0 || bytes.IndexByte(password, ' ') >= 0:
		return nodes.Credential{}, errCredentialLine
	case !plain(user):
		return nodes.Credential{}, errUser
	case len(password) > longestUser:
		return nodes.Credential{}, fmt.Errorf("the password is longer than %d bytes", longestUser)
	}
	return nodes.Credential{User: string(user), Password: string(password)}, nil
}

// spacedAtEnd is true of a password that would be good without the spaces at
// its end.
func spacedAtEnd(password []byte) bool {
	trimmed := bytes.TrimRight(password, " ")
	return len(trimmed) > 0 && len(trimmed) < len(password) && bytes.IndexByte(trimmed, ' ') < 0
}

// CheckCredentials says whether a server could use credentials.txt, as Credentials
// would, and what is to be said of its lines. It takes no lock and writes nothing.
func CheckCredentials(fsys FS) (remarks []string, err error) {
	c := credentials{fs: fsys, notes: &notes{}}
	_, _, err = c.read()
	return c.notes.take(), err
}
