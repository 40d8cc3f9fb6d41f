package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/iotest"

	"bluetrace/nodes"
)

func accounts(pairs ...string) (list []nodes.Credential) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, nodes.Credential{User: pairs[i], Password: pairs[i+1]})
	}
	return list
}

// credentialsAre checks the result of one call of Credentials.
func credentialsAre(t *testing.T, s *Server, changed bool, pairs ...string) {
	t.Helper()
	list, c, err := s.Credentials()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "accounts", list, accounts(pairs...))
	equal(t, "changed", c, changed)
}

func TestCredentialsAreReadAgainWhenTheyChange(t *testing.T) {
	m := NewMemory()
	m.WriteFile(credentialsName, []byte("+61410888888 comp3331\n+61410999999 comp9331"), 0o644)
	s := openServer(t, m)
	credentialsAre(t, s, true, alice, "comp3331", "+61410999999", "comp9331")
	before := m.Operations()
	credentialsAre(t, s, false, alice, "comp3331", "+61410999999", "comp9331")
	equal(t, "operations for an unchanged file", m.Operations()-before, 1)
	m.WriteFile(credentialsName, []byte("\ufeffa b\r\n\r\n \nc d\r\n"), 0o644)
	credentialsAre(t, s, true, "a", "b", "c", "d")
	m.SetTime(7)
	m.WriteFile(credentialsName, []byte("a b\nc d\n"), 0o644)
	credentialsAre(t, s, false, "a", "b", "c", "d") // others bytes, the same accounts
	equal(t, "notes", texts(s.Notes()), nil)
}

func TestBrokenCredentialsAreSkipped(t *testing.T) {
	m := NewMemory()
	m.WriteFile(credentialsName, []byte(strings.Join([]string{
		"alice secret1", "secret2", " secret3", "bob secret4 secret5", "bob  secret6", "carol ", "d\tave secret7",
		"\x1b[2Jeve secret8",
		"x " + strings.Repeat("secret", 1000), strings.Repeat("y", 1025) + " secret9", "frank s\x00e"}, "\n")), 0o644)
	s := openServer(t, m)
	credentialsAre(t, s, true, "alice", "secret1", "frank", "s\x00e")
	notes := s.Notes()
	equal(t, "notes", texts(notes), []string{
		"credentials.txt line 2 is skipped: it is not a username, one space and a password",
		"credentials.txt line 3 is skipped: the username is empty, longer than 1024 bytes, or has a space or an " +
			"unprintable character",
		"credentials.txt line 4 is skipped: it is not a username, one space and a password",
		"credentials.txt line 5 is skipped: it is not a username, one space and a password",
		"credentials.txt line 6 is skipped: it is not a username, one space and a password",
		"credentials.txt: 4 more such lines",
	})
}

func TestTheFirstCredentialsMustBeThere(t *testing.T) {
	m := NewMemory()
	s := openServer(t, m)
	_, _, err := s.Credentials()
	contains(t, "absent", err, `the server needs the file "credentials.txt"`, "username and password with one space",
		`"+61410888888 comp3331"`)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
	for _, text := range []string{"", "\n\n", "broken\n"} {
		m.WriteFile(credentialsName, []byte(text), 0o644)
		for range 2 {
			_, _, err = s.Credentials()
			contains(t, "no account", err, "needs the file", "it has no account")
		}
	}
	equal(t, "notes", texts(s.Notes()), []string{"credentials.txt line 1 is skipped: it is not a username, one space " +
		"and a password"})
	m.WriteFile(credentialsName, []byte("a b\n"), 0o644)
	credentialsAre(t, s, true, "a", "b")
}

func TestNotesOnCredentials(t *testing.T) {
	m := NewMemory()
	m.WriteFile(credentialsName, []byte("alice secret1\nbob secret2 \nalice secret3\ncarol secret4  \r\nalice "+
		"secret5\ndave  \n"), 0o644)
	s := openServer(t, m)
	credentialsAre(t, s, true, "alice", "secret1", "alice", "secret3", "alice", "secret5")
	want := []string{
		"credentials.txt line 2 is skipped: it ends with a space",
		"credentials.txt line 3 has the username of line 1: the later one counts",
		"credentials.txt line 4 is skipped: it ends with a space",
		"credentials.txt line 5 has the username of line 3: the later one counts",
		"credentials.txt line 6 is skipped: it is not a username, one space and a password",
	}
	equal(t, "notes", texts(s.Notes()), want)
	closeAll(t, s)
	remarks, err := CheckCredentials(m)
	equal(t, "error", err, nil)
	equal(t, "remarks", texts(remarks), want)
	m.WriteFile(credentialsName, []byte("secret1\nbob secret2 \n"), 0o644)
	remarks, err = CheckCredentials(m)
	contains(t, "only broken lines", err, "needs the file", "it has no account")
	equal(t, "remarks", texts(remarks), []string{
		"credentials.txt line 1 is skipped: it is not a username, one space and a password",
		"credentials.txt line 2 is skipped: it ends with a space",
	})
	if _, err := m.Stat(lockName); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a lock is there: %v", err)
	}
}

func TestReadCredentials(t *testing.T) {
	for text, want := range map[string][]nodes.Credential{
		"+61410888888 comp3331\r\n\r\n \t\nzoe a":      accounts(alice, "comp3331", "zoe", "a"),
		"\ufeffzoe \ufeffa\nyan Zoë\x00\x1b\n":         accounts("zoe", "\ufeffa", "yan", "Zoë\x00\x1b"),
		"x " + strings.Repeat("p", longestUser):        accounts("x", strings.Repeat("p", longestUser)),
		strings.Repeat(" ", longestLine-1) + "\nzoe a": accounts("zoe", "a"),
		strings.Repeat("\n", 1<<20) + "zoe a":          accounts("zoe", "a"),
	} {
		t.Run(fmt.Sprintf("%.30q", text), func(t *testing.T) {
			list, err := ReadCredentials(strings.NewReader(text))
			if err != nil {
				t.Errorf("%.40q: %v", text, err)
			}
			equal(t, fmt.Sprintf("accounts of %.40q", text), list, want)
		})
	}
}

func TestReadCredentialsRefuses(t *testing.T) {
	for _, c := range []struct {
		text string
		line int
		err  string
	}{
		{"zoe Secret\n\nyan Secret \n", 3, "line 3: it ends with a space"},
		{"zoeSecret", 1, "line 1: it is not a username, one space and a password"},
		{"zoe Secret\r\nzoe Secret2\r\nzoe Secret3", 2, "line 2: it has the username of line 1 again"},
		{"Secret\x1b Secret", 1, "line 1: " + errUser.Error()},
		{"Secret\x00 Secret", 1, "line 1: it has a NUL byte: the file is UTF-16 or no text; save it as UTF-8"},
		{"\xff\xfeS\x00e\x00 \x00S\x00\n\x00", 1, "line 1: it has a NUL byte: the file is UTF-16 or no text; save it " +
			"as UTF-8"},
		{"zoe Secret\ryan Secret2\r", 1, "line 1: it is not a username, one space and a password"},
		{"zoe " + strings.Repeat("Secret", 1<<20) + "\n", 1, "line 1: the password is longer than 1024 bytes"},
		{strings.Repeat(" ", 1<<20) + "zoe Secret", 1, "line 1: it is not a username, one space and a password"},
	} {
		t.Run(fmt.Sprintf("%.30q", c.text), func(t *testing.T) {
			list, err := ReadCredentials(strings.NewReader(c.text))
			broken, ok := errors.AsType[*CredentialError](err)
			if list != nil || !ok || broken.Line != c.line || err.Error() != c.err ||
				strings.Contains(err.Error(), "Secret") {
				t.Errorf("%.40q: %d accounts, %v, want %s", c.text, len(list), err, c.err)
			}
		})
	}
	_, err := ReadCredentials(strings.NewReader("\ufeff\r\n"))
	if !errors.Is(err, errNoAccount) {
		t.Errorf("no account: %v", err)
	}
	_, err = ReadCredentials(io.MultiReader(strings.NewReader("zoe a\n"), iotest.ErrReader(fs.ErrPermission)))
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("unreadable: %v", err)
	}
	_, err = ReadCredentials(io.MultiReader(strings.NewReader("zoe a"),
		strings.NewReader(strings.Repeat("\n", maxCredentials))))
	contains(t, "too long", err, "more than the 67108864 bytes")
}

func TestTheLastGoodCredentialsHold(t *testing.T) {
	m := NewMemory()
	good := func() {
		m.SetTime(m.time + 1)
		m.WriteFile(credentialsName, []byte("a b\n"), 0o644)
	}
	good()
	s := openServer(t, m)
	credentialsAre(t, s, true, "a", "b")
	twice := func(note string) {
		t.Helper()
		credentialsAre(t, s, false, "a", "b")
		credentialsAre(t, s, false, "a", "b")
		if notes := s.Notes(); len(notes) != 1 || !strings.Contains(notes[0].Text, note) ||
			!strings.Contains(notes[0].Text, "stay in force") {
			t.Errorf("notes: %q, want %q", notes, note)
		}
	}
	m.WriteFile(credentialsName, nil, 0o644)
	twice("no account")
	good()
	credentialsAre(t, s, false, "a", "b")
	if err := m.Remove(credentialsName); err != nil {
		t.Fatal(err)
	}
	twice("file does not exist")
	good()
	m.SetFault(func(o Operation) error {
		if o.Verb == VerbOpen {
			return fs.ErrPermission
		}
		return nil
	})
	twice("permission denied")
	m.SetFault(nil)
	credentialsAre(t, s, false, "a", "b")
	m.WriteFile(credentialsName, []byte("c d\n"), 0o644)
	credentialsAre(t, s, true, "c", "d")
	equal(t, "notes", texts(s.Notes()), nil)
}

func TestCredentialsOfAnySizeAreBounded(t *testing.T) {
	m := NewMemory()
	m.WriteFile(credentialsName, make([]byte, maxCredentials+1), 0o644)
	_, _, err := openServer(t, m).Credentials()
	contains(t, "too large", err, "67108865 bytes")
}
