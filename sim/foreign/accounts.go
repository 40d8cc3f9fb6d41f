package foreign

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// LineForm is a form of credentials.txt. The zero value has line feeds, also after the last line.
type LineForm struct {
	Name          string // in words, for a note
	CRLF          bool
	NoLastLineEnd bool
}

// LineForms has the forms in the order in which they are tried. The first is that of most programs.
var LineForms = []LineForm{
	{"line feeds, and none after the last line", false, true},
	{"CR LF, and none after the last line", true, true},
	{"line feeds, also after the last line", false, false},
	{"CR LF, also after the last line", true, false},
}

// WriteAccounts writes credentials.txt with the lines in a form to the folder of a program, and an empty file of each
// name that the folder does not have.
func WriteAccounts(folder string, lines []string, form LineForm, empty []string) error {
	end := "\n"
	if form.CRLF {
		end = "\r\n"
	}
	text := strings.Join(lines, end)
	if !form.NoLastLineEnd {
		text += end
	}
	name := filepath.Join(folder, "credentials.txt")
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) { // it may be a link, or read-only
		return fmt.Errorf("replacing a file of the program: %w", err)
	}
	errs := []error{os.WriteFile(name, []byte(text), 0o600)}
	for _, name := range empty {
		f, err := os.OpenFile(filepath.Join(folder, name), os.O_CREATE, 0o600)
		if err == nil {
			err = f.Close()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
