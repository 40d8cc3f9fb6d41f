package chunks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"bluetrace/reports"
)

// MergedFile is the name of the merged result in the folder of a run.
const MergedFile = "merged.json"

const (
	manifestName   = "manifest.ndjson"
	resultsName    = "results"
	manifestFormat = 1
)

// header is the first record of a manifest.
type header struct {
	Format int    `json:"format"`
	Run    string `json:"run"` // the name of the run, which no other run has
	Key    string `json:"key"` // a hash of the command, the scenarios and the build
}

// done is the record of the first result of a chunk.
type done struct {
	Chunk  int    `json:"chunk"`
	Digest string `json:"digest"`
	Worker string `json:"worker"`
}

// record is one line of a manifest, with one field.
type record struct {
	Header   *header `json:"header,omitempty"`
	Cut      *Chunk  `json:"cut,omitempty"`
	Done     *done   `json:"done,omitempty"`
	Finished bool    `json:"finished,omitempty"`
}

// isOne reports whether the record has one field.
func (r record) isOne() bool {
	n := 0
	for _, is := range []bool{r.Header != nil, r.Cut != nil, r.Done != nil, r.Finished} {
		if is {
			n++
		}
	}
	return n == 1
}

// manifest is the file that records the chunks of a run and their results, one JSON object a line. Each line is on the
// disk before the coordinator acts on it.
type manifest struct {
	file *os.File
	size int64 // of the complete lines
}

// openManifest opens the manifest in a folder, and returns its records. If there is none, or if its run is finished, it
// begins a new one with the given header. The records of an unfinished run of another command are an error.
func openManifest(folder string, begin header) (m *manifest, records []record, err error) {
	path := filepath.Join(folder, manifestName)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("reading the manifest: %w", err)
	}
	records, size, err := parseManifest(text)
	if err != nil {
		return nil, nil, fmt.Errorf("reading %q: %w", path, err)
	}
	if len(records) == 0 || records[len(records)-1].Finished {
		records = []record{{Header: &begin}}
		line, err := json.Marshal(records[0])
		if err != nil {
			return nil, nil, fmt.Errorf("encoding the manifest: %w", err)
		}
		err = errors.Join(os.RemoveAll(filepath.Join(folder, resultsName)),
			reports.RemoveFile(filepath.Join(folder, MergedFile))) // it could be taken for the result of this run
		if err != nil {
			return nil, nil, fmt.Errorf("removing the results of an earlier run: %w", err)
		}
		line = append(line, '\n')
		if err := reports.WriteFile(path, func(w io.Writer) error { _, err := w.Write(line); return err }); err != nil {
			return nil, nil, err
		}
		size = int64(len(line))
	}
	if records[0].Header.Key != begin.Key {
		return nil, nil, fmt.Errorf("%q has an unfinished run of another command, other scenarios or another build: "+
			"repeat its command, or remove the folder", folder)
	}
	if err := os.MkdirAll(filepath.Join(folder, resultsName), 0o777); err != nil {
		return nil, nil, fmt.Errorf("making the folder of the results: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the manifest: %w", err)
	}
	m = &manifest{file, size}
	return m, records, m.cut()
}

// parseManifest returns the records of the complete lines, and their length. Only the last line may be incomplete.
func parseManifest(text []byte) (records []record, size int64, err error) {
	for len(text) > 0 {
		line, rest, complete := bytes.Cut(text, []byte("\n"))
		if !complete {
			return records, size, nil
		}
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", len(records)+1, err)
		}
		switch {
		case len(records) == 0 && (r.Header == nil || r.Header.Format != manifestFormat):
			return nil, 0, errors.New("it is no manifest of this version of fleet: remove its folder")
		case !r.isOne() || r.Header != nil && len(records) > 0:
			return nil, 0, fmt.Errorf("line %d: it is no record: remove its folder", len(records)+1)
		case r.Cut != nil && (r.Cut.ID < 1 || r.Cut.Seeds.Last < r.Cut.Seeds.First):
			return nil, 0, fmt.Errorf("line %d: invalid chunk: remove its folder", len(records)+1)
		}
		records, size, text = append(records, r), size+int64(len(line))+1, rest
	}
	return records, size, nil
}

// add appends a record and syncs it. After an error the file has the records that it had before.
func (m *manifest) add(r record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding the manifest: %w", err)
	}
	line = append(line, '\n')
	_, err = m.file.WriteAt(line, m.size)
	if err == nil {
		err = m.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", errors.Join(err, m.cut()))
	}
	m.size += int64(len(line))
	return nil
}

// cut removes everything behind the complete lines.
func (m *manifest) cut() error { return m.file.Truncate(m.size) }

func (m *manifest) close() error { return m.file.Close() }
