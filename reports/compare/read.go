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
	"bluetrace/reports/counts"
)

// What is read at most.
const (
	maxFile    = 256 << 20 // bytes of one file; a load of an hour needs about 20 MB
	maxSide    = 1 << 30   // bytes of all files of one side
	maxFiles   = 1000      // of one side
	maxResults = 10_000    // of one side
)

// Read the results that a side names: a file, a folder (every .json file below
// it), a pattern such as 'runs/*.json', or several of these with commas. A file
// may hold several results, one after the other. The error is an *Invalid when
// there is no such result, else it wraps the operating system's.
func Read(side string) ([]*Result, error) {
	files, err := find(side)
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
			return nil, &Invalid{path, fmt.Errorf("%q has more than %d results", side, maxResults)}
		}
	}
	return all, nil
}

// readFile reads at most the given number of bytes.
func readFile(path string, most int64) (text []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a result: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err = io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("reading a result: %w", err)
	}
	if int64(len(text)) > most {
		return nil, &Invalid{path, fmt.Errorf("too large: one file may have %d MiB, those of one side together %d MiB", maxFile>>20, maxSide>>20)}
	}
	return text, nil
}

// parse reads the results of one file.
func parse(path string, text []byte) ([]*Result, error) {
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
			return nil, notJSON(path, text, before, err)
		}
		begins := d.InputOffset() - int64(len(raw))
		r := &Result{path: path, number: len(all) + 1}
		if err := json.Unmarshal(raw, r); err != nil {
			return nil, notJSON(path, text, begins, err)
		}
		if err := r.check(); err != nil {
			return nil, &Invalid{at(path, text, begins), err}
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, &Invalid{path, errors.New("the file is empty: no result was written to it")}
	}
	if len(all) == 1 {
		all[0].number = 0
	}
	return all, nil
}

// notJSON says where the text is none, or not that of a result. Offsets of a
// value's own errors count from where it begins.
func notJSON(path string, text []byte, begins int64, err error) error {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return &Invalid{at(path, text, begins+syntaxOffset(text[begins:], e)), fmt.Errorf("this is no JSON: %w", err)}
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if e.Field == "" {
			return &Invalid{at(path, text, begins), fmt.Errorf("a result is an object, and this is a %s", e.Value)}
		}
		return &Invalid{at(path, text, begins+e.Offset), fmt.Errorf("`%s` cannot be a %s", e.Field, e.Value)}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &Invalid{at(path, text, int64(len(text))), errors.New("the file ends in the middle of a result; it was not written whole")}
	}
	return &Invalid{path, err}
}

// syntaxOffset asks again, of the value alone: what the decoder of a stream
// counts from is not said.
func syntaxOffset(rest []byte, otherwise *json.SyntaxError) int64 {
	var any json.RawMessage
	if e, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(rest, &any)); ok {
		return max(0, e.Offset-1)
	}
	return otherwise.Offset
}

// at is path:line:column of the byte at offset.
func at(path string, text []byte, offset int64) string {
	before := text[:min(max(offset, 0), int64(len(text)))]
	line := 1 + bytes.Count(before, []byte{'\n'})
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1) + 1
	return fmt.Sprintf("%s:%d:%d", path, line, column)
}

// find is the files that a side names, none twice.
func find(side string) ([]string, error) {
	var files []string
	for _, part := range parts(side) {
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

// parts splits at commas, unless the whole is a file.
func parts(side string) []string {
	if _, err := os.Lstat(side); err == nil {
		return []string{side}
	}
	return strings.Split(side, ",")
}

func findOne(part string) ([]string, error) {
	stat, err := os.Stat(part)
	switch {
	case err == nil && stat.IsDir():
		return below(part)
	case err == nil:
		return []string{part}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("looking for results: %w", err)
	}
	matches, err := filepath.Glob(part)
	if err != nil {
		return nil, &Invalid{part, errors.New("this is neither a file nor a pattern that can be read")}
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
		return nil, &Invalid{part, errors.New("there is no such file or folder; name results that `sim run --out DIR` wrote")}
	}
	return files, nil
}

// below is every .json file of a folder and of those in it. Names with a dot
// before them are skipped: so a report is called until it is whole.
func below(folder string) ([]string, error) {
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
		return nil, &Invalid{folder, errors.New("the folder has no .json file; name one that `sim run --out DIR` wrote to")}
	}
	return files, nil
}

// Result is what a comparison needs of one run's JSON (docs/RESULTS.md).
type Result struct {
	path   string // of the file that it was read from
	number int    // of the objects in that file, from 1; 0: it is the only one

	Format         int             `json:"format"`
	Scenario       string          `json:"scenario"`
	World          string          `json:"world"`
	Seed           uint64          `json:"seed"`
	Digest         string          `json:"digest"`
	Verdict        reports.Verdict `json:"verdict"`
	VirtualSeconds float64         `json:"virtual_seconds"`
	Events         uint64          `json:"events"`
	Phones         int             `json:"phones"`

	counts.Counts

	Operations []delayed       `json:"operations"`
	Checks     []reports.Check `json:"checks"`
	Load       *loaded         `json:"load"`
}

// delayed is an operation of a run without a load.
type delayed struct {
	Name    string         `json:"name"`
	Count   int64          `json:"count"`
	DelayMs reports.Delays `json:"delay_ms"`
}

// loaded is the part of a load.
type loaded struct {
	Executor      string              `json:"executor"`
	Server        string              `json:"server"`
	WarmUpSeconds float64             `json:"warm_up_seconds"`
	Seconds       float64             `json:"seconds"`
	Arrivals      reports.Arrivals    `json:"arrivals"`
	All           outcomes            `json:"all"`
	Beacons       reports.LoadBeacons `json:"beacons"`
	ServerUse     *reports.ProcessUse `json:"server_use"`
	Conditions    *reports.Conditions `json:"conditions"`
	Histograms    *reports.Histograms `json:"histograms"`
}

// outcomes of operations.
type outcomes struct {
	OK      uint64 `json:"ok"`
	Failed  uint64 `json:"failed"`
	Unknown uint64 `json:"unknown"`
}

func (o outcomes) count() uint64 { return o.OK + o.Failed + o.Unknown }

func (r *Result) place() string {
	if r.number == 0 {
		return r.path
	}
	return fmt.Sprintf("%s, object %d", r.path, r.number)
}

// check refuses what is no result, or one that no run can have.
func (r *Result) check() error {
	if err := reports.CheckFormat(r.Format); err != nil {
		return err
	}
	switch {
	case r.Scenario == "" || r.World == "":
		return fmt.Errorf("this is no result of a run: it has no `scenario` or no `world`")
	case r.Load == nil || r.Load.Histograms == nil:
		return nil
	}
	const (
		mostOperations = 100
		mostSeconds    = 100_000
	)
	all := r.Load.Histograms.Operations
	if len(all) > mostOperations {
		return fmt.Errorf("`load.histograms` has %d operations; the most are %d", len(all), mostOperations)
	}
	seen := map[string]bool{}
	for _, o := range all {
		switch {
		case o.Name == "" || seen[o.Name]:
			return fmt.Errorf("`load.histograms` has the operation %q twice, or without a name", o.Name)
		case len(o.Response) != len(o.Service):
			return fmt.Errorf("%s has %d seconds of response times and %d of service times", o.Name, len(o.Response), len(o.Service))
		case len(o.Response) > mostSeconds:
			return fmt.Errorf("%s has %d seconds; the most are %d", o.Name, len(o.Response), mostSeconds)
		}
		seen[o.Name] = true
	}
	return nil
}
