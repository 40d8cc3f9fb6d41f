package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"bluetrace/nodes"
)

const (
	credentialsName = "credentials.txt"
	// maxCredentials is the largest size of the file in bytes.
	maxCredentials = 64 << 20
)

var (
	errNoAccount      = errors.New("it has no account")
	errCredentialLine = errors.New("it is not a username, one space and a password")
	errSpaceAtEnd     = errors.New("it ends with a space")
	errNotUTF8        = errors.New("it has a NUL byte: the file is UTF-16 or no text; save it as UTF-8")
)

// credentials is the last valid contents of credentials.txt.
type credentials struct {
	fs    FS
	notes *notes

	list []nodes.Credential // nil if the file was never valid
	seen Stat               // metadata of the file at the last read
	err  error              // of the last read
}

// read reads the file if it has changed. It returns the accounts, and reports whether
// they differ from those of the last call. If the file cannot be read or has no
// account, the last valid accounts stay in force.
func (c *credentials) read() (list []nodes.Credential, changed bool, err error) {
	st, err := c.fs.Stat(credentialsName)
	if err == nil && st == c.seen && (c.err == nil || errors.Is(c.err, errNoAccount)) {
		if c.list == nil {
			return nil, false, c.err
		}
		return c.list, false, nil
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

// failed handles err, the error of a read of the file with the metadata st. If there
// never were valid accounts, it returns the error with advice for the user. Otherwise
// it notes the error, unless the last read had the same one, and returns the last valid
// accounts.
func (c *credentials) failed(st Stat, err error) (list []nodes.Credential, changed bool, _ error) {
	if c.list == nil {
		c.seen = st
		c.err = fmt.Errorf("the server needs the file %q with an account a line, "+
			"username and password with one space between them, like %q: %w",
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
	bad := malformedLines{notes: c.notes, file: credentialsName}
	defer bad.finish()
	repeated := malformedLines{notes: c.notes, file: credentialsName}
	defer repeated.finish()
	for line := range credentialLines(l) {
		switch {
		case line.err != nil:
			bad.add(line.number, fmt.Sprintf("is skipped: %v", line.err))
			continue
		case line.earlier != 0:
			repeated.add(line.number, fmt.Sprintf("has the username of line %d: the later one counts", line.earlier))
		}
		list = append(list, line.account)
	}
	return list, l.err
}

// CredentialError is the error about one line of a file of accounts. Its text contains
// nothing of the line, because the line may be a password.
type CredentialError struct {
	Line int // from 1
	Err  error
}

func (e *CredentialError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

func (e *CredentialError) Unwrap() error { return e.Err }

// ReadCredentials reads accounts like the server (PROTOCOL.md section 2), but more
// strictly. The first malformed line or repeated username is a *CredentialError. A file
// without an account or with more than 64 MiB is an error, too.
func ReadCredentials(from io.Reader) (list []nodes.Credential, err error) {
	text, err := io.ReadAll(io.LimitReader(from, maxCredentials+1))
	if err != nil {
		return nil, fmt.Errorf("reading the accounts: %w", err)
	}
	if len(text) > maxCredentials {
		return nil, fmt.Errorf("there are more than the %d bytes that are read at most", maxCredentials)
	}
	l := newLines(bytes.NewReader(text), int64(len(text)))
	for line := range credentialLines(l) {
		switch {
		case line.err != nil:
			return nil, &CredentialError{Line: line.number, Err: line.err}
		case line.earlier != 0:
			err := fmt.Errorf("it has the username of line %d again", line.earlier)
			return nil, &CredentialError{Line: line.number, Err: err}
		}
		list = append(list, line.account)
	}
	if l.err == nil && len(list) == 0 {
		return nil, fmt.Errorf("%w: one is a username, one space and a password, on a line of its own", errNoAccount)
	}
	return list, l.err
}

// credentialLine is a line that is not blank.
type credentialLine struct {
	number  int
	account nodes.Credential
	earlier int   // number of the last earlier line with the same username, or 0
	err     error // the reason why it is not an account
}

// credentialLines yields each line that is not blank. If reading fails, l.err is the
// error after the last line. The file may begin with a byte order mark.
func credentialLines(l *lines) iter.Seq[credentialLine] {
	return func(yield func(credentialLine) bool) {
		last := map[string]int{} // line number of each username
		for {
			text, ok := l.next()
			if !ok {
				return
			}
			if l.number == 1 {
				text = bytes.TrimPrefix(text, []byte("\ufeff"))
			}
			if !l.long && len(bytes.TrimSpace(text)) == 0 {
				continue
			}
			line := credentialLine{number: l.number}
			line.account, line.err = readCredential(text) // the beginning of a long line is too long too
			if line.err == nil {
				line.earlier = last[line.account.User]
				last[line.account.User] = l.number
			}
			if !yield(line) {
				return
			}
		}
	}
}

// readCredential parses a line without its line feed. It ignores a carriage return at
// the end. The text of the error contains nothing of the line, because the line may be
// a password.
func readCredential(line []byte) (nodes.Credential, error) {
	user, password, ok := bytes.Cut(trimReturn(line), []byte(" "))
	switch {
	case bytes.IndexByte(user, 0) >= 0:
		return nodes.Credential{}, errNotUTF8
	case ok && len(user) > 0 && spacedAtEnd(password):
		return nodes.Credential{}, errSpaceAtEnd
	case !ok || len(password) == 0 || bytes.IndexByte(password, ' ') >= 0:
		return nodes.Credential{}, errCredentialLine
	case !isPlain(user):
		return nodes.Credential{}, errUser
	case len(password) > longestUser:
		return nodes.Credential{}, fmt.Errorf("the password is longer than %d bytes", longestUser)
	}
	return nodes.Credential{User: string(user), Password: string(password)}, nil
}

// spacedAtEnd reports whether a password is invalid only because of spaces at its end.
func spacedAtEnd(password []byte) bool {
	trimmed := bytes.TrimRight(password, " ")
	return len(trimmed) > 0 && len(trimmed) < len(password) && bytes.IndexByte(trimmed, ' ') < 0
}

// CheckCredentials reads credentials.txt as Server.Credentials does. It returns the
// notes about the lines of the file, and the error. It takes no lock and writes
// nothing.
func CheckCredentials(fsys FS) (lineNotes []Note, err error) {
	c := credentials{fs: fsys, notes: &notes{}}
	_, _, err = c.read()
	return c.notes.take(), err
}
