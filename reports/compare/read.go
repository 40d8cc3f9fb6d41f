package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
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
