package chunks

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"bluetrace/reports"
	"bluetrace/sim/swarm"
)

// maxErrors is the number of workers that may fail to run a chunk, for example because a run exhausts their memory.
const maxErrors = 3

// Collector has the chunks of one run and their results. Its methods are called by one goroutine.
type Collector struct {
	Run      string
	Cutter   *Cutter
	Progress Progress

	folder      string
	manifest    *manifest
	shared      *swarm.Shared
	chunks      map[int]Chunk
	order       []int // the identifiers of the chunks
	results     map[int]done
	failed      map[int]int // errors of each chunk; after maxErrors the chunk is given up
	firstFailed int         // with fail-fast, the first chunk with a failure; no later one is needed
	canaryFound bool
}

// Progress are the figures of the results so far.
type Progress struct {
	Runs, Failed uint64
	Chunks, Done int // without those that are not needed
	Repeated     int // results that were compared with the first one of their chunk, and are equal
	Causes       map[string]bool
	Differences  []string // results that differ from the first one of their chunk
}

// Open opens the run in a folder, or begins one. key identifies the command; name is the name of a run that begins.
func Open(folder, key, name string, s *swarm.Shared) (*Collector, error) {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, fmt.Errorf("making the folder of the run: %w", err)
	}
	m, records, err := openManifest(folder, header{manifestFormat, name, key})
	if err != nil {
		return nil, err
	}
	c := &Collector{
		Run: records[0].Header.Run, Cutter: NewCutter(s.Seeds, s.Unbounded), folder: folder, manifest: m,
		shared: s, chunks: map[int]Chunk{}, results: map[int]done{}, failed: map[int]int{},
		firstFailed: math.MaxInt, Progress: Progress{Causes: map[string]bool{}},
	}
	for i, r := range records {
		if r.Cut == nil {
			continue
		}
		next, cut := c.next(r.Cut.Kind), r.Cut.Seeds
		if r.Cut.ID != next.ID || r.Cut.Kind == Seeds && (cut.First != next.Seeds.First || cut.Last > next.Seeds.Last) {
			err := fmt.Errorf("reading %q: line %d: %v does not follow the lines before: remove its folder", m.file.Name(),
				i+1, *r.Cut)
			return nil, errors.Join(err, m.close())
		}
		c.insert(*r.Cut)
	}
	for _, r := range records {
		if r.Done != nil {
			c.restore(*r.Done)
		}
	}
	return c, nil
}

// next returns the number of the chunk that the manifest has next, and where the seeds of its kind begin.
func (c *Collector) next(kind Kind) Chunk {
	return Chunk{ID: len(c.order) + 1, Kind: kind, Seeds: c.Cutter.rest}
}

// insert adds a chunk that the manifest has.
func (c *Collector) insert(one Chunk) {
	c.chunks[one.ID] = one
	c.order = append(c.order, one.ID)
	if one.Kind == Seeds {
		c.Cutter.Skip(one.Seeds.Last)
	}
}

// restore takes a result of the manifest, if its file is intact. Otherwise the chunk runs again, and the manifest has
// its result twice.
func (c *Collector) restore(d done) {
	if _, is := c.results[d.Chunk]; is {
		return
	}
	s, err := c.intact(d)
	if err != nil {
		return
	}
	c.count(d, s)
	if again, err := c.read(againName(d.Chunk)); !errors.Is(err, fs.ErrNotExist) {
		if digest, err := again.Digest(); err != nil || digest != d.Digest {
			c.differs(c.chunks[d.Chunk], again.Worker, d.Worker)
		}
	}
}

// intact returns the result of the manifest, if its file has it.
func (c *Collector) intact(d done) (*swarm.Summary, error) {
	r, err := c.read(strconv.Itoa(d.Chunk))
	if err != nil {
		return nil, err
	}
	digest, s, err := c.examine(r)
	if err == nil && digest != d.Digest {
		err = errors.New("its file was changed")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the result of chunk %d: %w", d.Chunk, err)
	}
	return s, nil
}

// examine returns the digest and the summary of a result, which must be one of its chunk.
func (c *Collector) examine(r *Result) (digest string, s *swarm.Summary, err error) {
	if digest, err = r.Digest(); err != nil {
		return "", nil, err
	}
	if s, err = r.swarmSummary(); err != nil {
		return "", nil, err
	}
	return digest, s, c.chunks[r.Chunk].belongs(s, c.shared)
}

// differs notes a second result that is not equal to the first one.
func (c *Collector) differs(one Chunk, second, first string) {
	c.Progress.Differences = append(c.Progress.Differences,
		fmt.Sprintf("%v: the result of worker %q differs from that of worker %q", one, second, first))
}

// againName is the name of the file of a second result that differs from the first one.
func againName(id int) string { return strconv.Itoa(id) + "-again" }

// Add records a new chunk, before it is sent to the workers.
func (c *Collector) Add(kind Kind, seeds swarm.Range) (Chunk, error) {
	one := c.next(kind)
	one.Seeds = seeds
	if err := c.manifest.add(record{Cut: &one}); err != nil {
		return one, err
	}
	c.insert(one)
	c.recount()
	return one, nil
}

// Has reports whether there is a chunk of a kind.
func (c *Collector) Has(kind Kind) bool {
	for _, one := range c.chunks {
		if one.Kind == kind {
			return true
		}
	}
	return false
}

// Outstanding returns the chunks that are needed and have no result, in their order.
func (c *Collector) Outstanding() (all []Chunk) {
	for _, id := range c.order {
		if _, is := c.results[id]; !is && c.Needed(id) {
			all = append(all, c.chunks[id])
		}
	}
	return all
}

// Needed reports whether the result of a chunk counts.
func (c *Collector) Needed(id int) bool {
	return c.failed[id] < maxErrors && (id <= c.firstFailed || c.chunks[id].Kind != Seeds)
}

// ChunkError is the error of a chunk that several workers could not run.
type ChunkError struct {
	Chunk Chunk
	Text  string // of the last error
}

func (e *ChunkError) Error() string {
	return fmt.Sprintf("%v failed %d times: %s", e.Chunk, maxErrors, e.Text)
}

// Take stores the first result of a chunk. A later result is compared with it. A result that cannot be one of its chunk
// gets an error. An error of Take other than a *ChunkError is one of the disk: the result must be given again. Results
// of other runs are ignored.
func (c *Collector) Take(r *Result) error {
	one, is := c.chunks[r.Chunk]
	if r.Run != c.Run || !is || !c.Needed(one.ID) {
		return nil
	}
	first, again := c.results[one.ID]
	digest, summary := "", (*swarm.Summary)(nil)
	err := errors.New(r.Error)
	if r.Error == "" {
		if digest, summary, err = c.examine(r); err != nil {
			r.Error = err.Error()
		}
	}
	switch {
	case again && r.Error != "":
		return nil
	case again && digest == first.Digest:
		c.Progress.Repeated++
		return nil
	case again:
		if err := c.store(r, againName(one.ID)); err != nil {
			return err
		}
		c.differs(one, r.Worker, first.Worker)
		return nil
	case err != nil:
		if c.failed[one.ID]++; c.failed[one.ID] >= maxErrors {
			return &ChunkError{one, err.Error()}
		}
		return nil
	}
	if err := c.store(r, strconv.Itoa(one.ID)); err != nil {
		return err
	}
	d := done{one.ID, digest, r.Worker}
	if err := c.manifest.add(record{Done: &d}); err != nil {
		return err
	}
	c.count(d, summary)
	return nil
}

// count adds a result to the figures.
func (c *Collector) count(d done, s *swarm.Summary) {
	one := c.chunks[d.Chunk]
	c.results[d.Chunk] = d
	switch one.Kind {
	case Canary:
		c.canaryFound = findsCanary(s)
	case Seeds:
		c.Cutter.Measured(one.Seeds.Last-one.Seeds.First+1, s.WallSeconds)
		if c.shared.FailFast && s.Failed > 0 {
			c.firstFailed = min(c.firstFailed, one.ID)
		}
		c.Progress.Runs += s.Runs
		c.Progress.Failed += s.Failed
		for i := range s.Failures {
			c.Progress.Causes[s.Failures[i].Cause] = true
		}
	}
	c.recount()
}

// recount counts the chunks that are needed.
func (c *Collector) recount() {
	c.Progress.Chunks, c.Progress.Done = 0, 0
	for _, id := range c.order {
		if c.Needed(id) {
			c.Progress.Chunks++
			if _, is := c.results[id]; is {
				c.Progress.Done++
			}
		}
	}
}

// Stopped reports whether no more seeds are needed because a run failed, with fail-fast.
func (c *Collector) Stopped() bool { return c.firstFailed != math.MaxInt }

// CanaryFound reports whether the planted bug was found.
func (c *Collector) CanaryFound() bool { return c.canaryFound }

// Workers returns the number of workers that gave a result.
func (c *Collector) Workers() int {
	names := map[string]bool{}
	for _, d := range c.results {
		names[d.Worker] = true
	}
	return len(names)
}

func (c *Collector) store(r *Result, name string) error {
	return reports.WriteFile(c.path(name), func(w io.Writer) error { return json.NewEncoder(w).Encode(r) })
}

func (c *Collector) path(name string) string {
	return filepath.Join(c.folder, resultsName, name+".json")
}

// read reads the file of a result. Without an error it is some result, not yet one of its chunk.
func (c *Collector) read(name string) (r *Result, err error) {
	r = &Result{}
	text, err := os.ReadFile(c.path(name))
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err != nil {
		return r, fmt.Errorf("reading the result %s: %w", name, err)
	}
	return r, nil
}

// Merged returns the merged result of the seeds that have one. Its first failures are those of the smallest seeds.
func (c *Collector) Merged() (*swarm.Summary, error) {
	merged := swarm.NewSummary()
	for _, id := range c.order {
		d, is := c.results[id]
		if !is || c.chunks[id].Kind != Seeds || !c.Needed(id) {
			continue
		}
		s, err := c.intact(d)
		if err != nil {
			return nil, err
		}
		merged.Build = s.Build
		merged.Merge(s)
	}
	return merged, nil
}

// Finish records that the run is finished. The next run in the folder is a new one.
func (c *Collector) Finish() error { return c.manifest.add(record{Finished: true}) }

// Close closes the manifest.
func (c *Collector) Close() error { return c.manifest.close() }
