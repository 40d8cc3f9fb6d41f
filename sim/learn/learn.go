// Package learn learns the wire of a foreign client and server. It runs them with a proxy between them, types known
// values, and puts the values that it finds in the bytes back as placeholders of a dialect. Infer is the pure part.
package learn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/protocol/dialect"
	"bluetrace/sim/foreign"
)

// Config describes the programs whose wire is learned.
type Config struct {
	ServerCommand string // shell command; {port} and {block}, in seconds, are replaced
	ClientCommand string // shell command; {port} and {udp} are replaced
	Folder        string // a copy of it is the working directory of the programs
	Seed          uint64 // of accounts and passwords
	Clock         clock.Clock
	Sandbox       foreign.Config // limits of the programs
}

const (
	startLimit = 15 * time.Second // for a program to start
	endLimit   = time.Second      // for a program to end after SIGTERM
	block      = 37               // seconds of a block: longer than its observation, and rare as a number
)

// account is an account of the server.
type account struct{ user, password string }

// learner runs the programs.
type learner struct {
	Config
	accounts []account
	unknown  account
	wrong    []string // passwords of no account, each used once
	form     int      // of foreign.LineForms
	files    []string // created before the start

	root     string // temporary folder
	port     uint16 // of the server
	server   *foreign.Program
	output   buffer // of server and phones
	observed Observed
	typed    dialect.Typed
	phones   []*phone
	welcomed bool // the phone shows a welcome
	mute     bool // the server gives no answer
}

// Learn runs the programs of c and learns their wire. It starts them in temporary folders, which it removes, and ends
// them. An error means that the server did not start or that ctx ended. A wire that is not understood is no error: then
// Result.HasLogin is false, and the first of its Notes has the reason.
func Learn(ctx context.Context, c Config) (*Result, error) {
	var first *Result
	var firstErr error
	var files []string
	late := false
	for form := 0; form < len(foreign.LineForms); form++ {
		l := newLearner(c, form, files)
		err := l.run(ctx)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if name := l.missingFile(); name != "" && len(files) < 4 {
			files = append(files, name)
			form-- // again
			continue
		}
		if err != nil && (l.welcomed || late) {
			return nil, err
		}
		if late = errors.Is(err, foreign.ErrNotListening); late {
			form-- // again: a busy machine starts a program slowly
			continue
		}
		if err != nil {
			firstErr = cmp.Or(firstErr, err)
			continue
		}
		r := l.learned()
		if l.welcomed || l.mute || r.HasLogin {
			return r, nil
		}
		first = cmp.Or(first, r)
	}
	if first == nil {
		return nil, firstErr
	}
	return first, nil
}

// learned returns the result of a run.
func (l *learner) learned() *Result {
	r := Infer(&l.observed)
	r.Form, r.Dialect.Typed = l.form, l.typed
	if r.HasLogin {
		r.Dialect.Files = l.files
	}
	if l.form > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("the server takes no credentials.txt with %s; it takes one with %s",
			foreign.LineForms[0].Name, foreign.LineForms[l.form].Name))
	}
	return r
}

// newLearner returns a learner with accounts of the seed.
func newLearner(c Config, form int, files []string) *learner {
	l := &learner{Config: c, form: form, files: files}
	random := rand.New(rand.NewPCG(c.Seed, 0x6c6561726e))
	text := func(n int, of string) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = of[random.IntN(len(of))]
		}
		return string(b)
	}
	const digits, letters = "0123456789", "bcdfghjkmnpqrstvwxz"
	for range 5 {
		l.accounts = append(l.accounts, account{"+614" + text(8, digits), text(6, letters) + text(4, digits)})
	}
	l.unknown = account{"+614" + text(8, digits), text(6, letters) + text(4, digits)}
	for range 6 {
		l.wrong = append(l.wrong, text(6, letters)+text(4, digits))
	}
	l.observed.Block = block
	return l
}

// folder returns a new copy of the folder with the files that a program needs.
func (l *learner) folder(name string) (string, error) {
	to := filepath.Join(l.root, name)
	if err := foreign.CopyFolder(to, l.Folder, foreign.CopyLimits{}); err != nil {
		return "", fmt.Errorf("copying %s: %w", l.Folder, err)
	}
	var lines []string
	for _, a := range l.accounts {
		lines = append(lines, a.user+" "+a.password)
	}
	return to, foreign.WriteAccounts(to, lines, foreign.LineForms[l.form], l.files)
}

// run starts the server and holds the sessions. It ends all programs, and removes their folders.
func (l *learner) run(ctx context.Context) error {
	var err error
	if l.root, err = os.MkdirTemp("", "bluetrace-learn"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(l.root) }() // a process that has left its group may still write there
	folder, err := l.folder("server")
	if err != nil {
		return err
	}
	if l.port, err = foreign.FreePort(); err != nil {
		return err
	}
	c := l.Sandbox
	c.Command, c.Folder, c.Clock, c.Line, c.Bytes = l.ServerCommand, folder, l.Clock, func(string) {}, l.output.add
	c.Values = []string{"{port}", strconv.Itoa(int(l.port)), "{block}", strconv.Itoa(block)}
	l.server, err = foreign.Start(c)
	if err != nil {
		return err
	}
	defer l.server.End(endLimit)
	if err := l.server.AwaitPort(ctx, l.port, startLimit); err != nil {
		return err
	}
	defer l.endPhones()
	if err := l.sessions(ctx, folder); err != nil {
		return err
	}
	if hasEnded(l.server) {
		return errors.New("the server process has ended: " + l.server.Failure())
	}
	return nil
}

var missing = regexp.MustCompile(`(?:No such file or directory: ['"]|FileNotFoundException: )(?:\./)?([\w.-]+)`)

// missingFile returns the name of a file that a program missed, and that was not created.
func (l *learner) missingFile() string {
	for _, found := range missing.FindAllStringSubmatch(l.output.text(), -1) {
		if !slices.Contains(l.files, found[1]) && found[1] != "credentials.txt" && filepath.IsLocal(found[1]) {
			return found[1]
		}
	}
	return ""
}

var tempIDFile = regexp.MustCompile(`(?i)^temp.*id.*\.txt$`)

// readTempIDs reads the TempIDs of the learner's accounts from the server's file: the longest digits of a line.
func (l *learner) readTempIDs(folder string) []string {
	entries, _ := os.ReadDir(folder) // without it there are no TempIDs
	var ids []string
	for _, e := range entries {
		if !tempIDFile.MatchString(e.Name()) {
			continue
		}
		text, _ := os.ReadFile(filepath.Join(folder, e.Name()))
		for line := range strings.Lines(string(text)) {
			if !slices.ContainsFunc(l.accounts, func(a account) bool { return strings.Contains(line, a.user) }) {
				continue
			}
			if longest := longestDigits(line); len(longest) > len(l.accounts[0].user) {
				ids = append(ids, longest)
			}
		}
	}
	return ids
}
