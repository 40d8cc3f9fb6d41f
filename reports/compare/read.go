package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bluetrace/reports"
)

// Limits of the input.
const (
	maxFile    = 256 << 20 // bytes of one file; a load of an hour needs about 20 MB
	maxSide    = 1 << 30   // bytes of all files of one side
	maxFiles   = 1000      // files of one side
	maxResults = 10_000    // results of one side

	maxOperations = 100     // kinds of operations of a load
	maxSeconds    = 100_000 // seconds of a load
)

// Read reads the results of one side: a file, a folder (every .json file below
// it), a pattern such as 'runs/*.json', or several of these with commas between.
// A file may hold several results, one after the other. The error is an *Invalid
// if there is no result or it cannot be read; otherwise it wraps the error of the
// operating system.
func Read(side string) ([]*Result, error) {
	files, err := findFiles(side)
	if err != nil {
		return nil, err
	}
	var all []*Result
	left := int64(maxSide)
	for _, path := range files {
		text, err := readFile(path, min(left, maxFile))
		if err != nil {
			return nil, err
		}
		left -= int64(len(text))
		results, err := parse(path, text)
		if err != nil {
			return nil, err
		}
		if all = append(all, results...); len(all) > maxResults {
			return nil, &Invalid{path, fmt.Errorf("with this file, a side has more than %d results: %s", maxResults,
				reports.Quoted(Parts(side)))}
		}
	}
	return all, nil
}

// ReadFrom reads the results of one side from in, up to the size of a file. Errors call it
// name, and are those of Read.
func ReadFrom(name string, in io.Reader) ([]*Result, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxFile))
	if err != nil {
		return nil, fmt.Errorf("reading a result: %w", err)
	}
	return parse(name, text)
}

// readFile reads a file of at most the given number of bytes.
func readFile(path string, limit int64) (text []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a result: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading a result: %w", err)
	}
	if int64(len(text)) > limit {
		return nil, &Invalid{path, fmt.Errorf("file too large: must be at most %d MiB, and all files of a side %d MiB",
			maxFile>>20, maxSide>>20)}
	}
	return text, nil
}

// parse reads the results of one file.
func parse(path string, text []byte) ([]*Result, error) {
	text, err := reports.TrimMark(text)
	if err != nil {
		return nil, &Invalid{path, err}
	}
	var all []*Result
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		var raw json.RawMessage
		before := d.InputOffset()
		err := d.Decode(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, decodeError(path, text, before, err)
		}
		begins := d.InputOffset() - int64(len(raw))
		r := &Result{path: path, number: len(all) + 1}
		if err := json.Unmarshal(raw, r); err != nil {
			return nil, decodeError(path, text, begins, err)
		}
		if err := r.check(); err != nil {
			return nil, &Invalid{placeOf(path, text, begins), err}
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, &Invalid{path, errors.New("empty file: expected a result")}
	}
	if len(all) == 1 {
		all[0].number = 0
	}
	return all, nil
}

// decodeError adds the place in the file to an error of the JSON decoder. begins
// is the offset of the value that was decoded; the offset in an
// UnmarshalTypeError counts from there.
func decodeError(path string, text []byte, begins int64, err error) error {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset := begins + syntaxOffset(text[begins:], e)
		return &Invalid{placeOf(path, text, offset), fmt.Errorf("invalid JSON: %w", err)}
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if e.Field == "" {
			return &Invalid{placeOf(path, text, begins),
				fmt.Errorf("expected the object of a result, found %s", e.Value)}
		}
		embedded := func(name string) bool { return name == "Run" || name == "Counts" }
		field := strings.Join(slices.DeleteFunc(strings.Split(e.Field, "."), embedded), ".")
		return &Invalid{placeOf(path, text, begins+e.Offset), fmt.Errorf("`%s` cannot be a %s", field, e.Value)}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &Invalid{placeOf(path, text, int64(len(text))),
			errors.New("incomplete file: it ends within a result")}
	}
	return &Invalid{path, err}
}

// syntaxOffset returns the offset of a syntax error from the start of rest. It
// decodes rest again with json.Unmarshal, because json.Decoder does not document
// where its offsets start. Without a syntax error it returns the offset of otherwise.
func syntaxOffset(rest []byte, otherwise *json.SyntaxError) int64 {
	var any json.RawMessage
	if e, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(rest, &any)); ok {
		return max(0, e.Offset-1)
	}
	return otherwise.Offset
}

// placeOf returns path:line:column of the byte at an offset.
func placeOf(path string, text []byte, offset int64) string {
	before := text[:min(max(offset, 0), int64(len(text)))]
	line := 1 + bytes.Count(before, []byte{'\n'})
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1) + 1
	return fmt.Sprintf("%s:%d:%d", path, line, column)
}

// findFiles returns the files of a side, each once.
func findFiles(side string) ([]string, error) {
	var files []string
	for _, part := range Parts(side) {
		some, err := findOne(part)
		if err != nil {
			return nil, err
		}
		for _, path := range some {
			if !slices.Contains(files, path) {
				files = append(files, path)
			}
		}
		if len(files) > maxFiles {
			return nil, &Invalid{part, fmt.Errorf("more than %d files for one side", maxFiles)}
		}
	}
	return files, nil
}

// Parts returns the paths and patterns of a side, which commas separate unless there is a file with this name.
func Parts(side string) []string {
	if _, err := os.Lstat(side); err == nil {
		return []string{side}
	}
	return strings.Split(side, ",")
}

// findOne returns the files of one path or pattern.
func findOne(part string) ([]string, error) {
	stat, err := os.Stat(part)
	switch {
	case err == nil && stat.IsDir():
		return jsonFiles(part)
	case err == nil:
		return []string{part}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("looking for results: %w", err)
	}
	matches, err := filepath.Glob(part)
	if err != nil {
		return nil, &Invalid{part, errors.New("neither a file nor a valid pattern")}
	}
	var files []string
	for _, path := range matches {
		some, err := findOne(path)
		if err != nil {
			return nil, err
		}
		files = append(files, some...)
	}
	if len(files) == 0 {
		return nil, &Invalid{part, errors.New("no such file or folder; expected results of `sim run --out DIR`")}
	}
	return files, nil
}

// jsonFiles returns the .json files of a folder and its subfolders. It skips
// names that begin with a dot: a report has such a name until it is complete.
func jsonFiles(folder string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		hidden := path != folder && strings.HasPrefix(d.Name(), ".")
		switch {
		case err != nil:
			return err
		case d.IsDir() && hidden:
			return fs.SkipDir
		case d.Type().IsRegular() && !hidden && strings.HasSuffix(d.Name(), ".json"):
			files = append(files, path)
		}
		if len(files) > maxFiles {
			return fs.SkipAll
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for results: %w", err)
	}
	if len(files) == 0 {
		return nil, &Invalid{folder, errors.New("no .json file in the folder; expected results of `sim run --out DIR`")}
	}
	return files, nil
}

// Result is a run that was read from its JSON form (docs/RESULTS.md).
type Result struct {
	path   string // of the file
	number int    // of the object in the file, from 1; 0 if it is the only one

	Format int `json:"format"`
	reports.Run
	Operations []reports.OperationDocument `json:"operations"`
}

// place returns the file, with the number of the object if there are several.
func (r *Result) place() string {
	if r.number == 0 {
		return r.path
	}
	return fmt.Sprintf("%s, object %d", r.path, r.number)
}

// check returns an error if the result is not that of a run.
func (r *Result) check() error {
	if err := reports.CheckFormat(r.Format); err != nil {
		return err
	}
	switch {
	case r.Scenario == "" || r.World == "":
		return fmt.Errorf("not the result of a run: missing `scenario` or `world`")
	case r.Load == nil || r.Load.Histograms == nil:
		return nil
	}
	all := r.Load.Histograms.Operations
	if len(all) > maxOperations {
		return fmt.Errorf("`load.histograms` has %d operations: must be at most %d", len(all), maxOperations)
	}
	seen := map[string]bool{}
	for _, o := range all {
		switch {
		case o.Name == "" || seen[o.Name]:
			return fmt.Errorf("`load.histograms` has an operation %q: the name must be unique and not empty", o.Name)
		case len(o.Response) != len(o.Service):
			return fmt.Errorf("%s has %d seconds of response times and %d of service times",
				o.Name, len(o.Response), len(o.Service))
		case len(o.Response) > maxSeconds:
			return fmt.Errorf("%s has %d seconds: must be at most %d", o.Name, len(o.Response), maxSeconds)
		}
		seen[o.Name] = true
	}
	return nil
}
