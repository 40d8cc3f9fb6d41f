// Package chunks divides a swarm into chunks of seeds and puts their results together. Its manifest decides which chunks
// exist and which are done; the engine that carries chunks and results may lose or repeat them. The merged result equals
// that of one machine, except for real time.
package chunks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"bluetrace/reports"
	"bluetrace/sim/swarm"
)

// Kind is the purpose of a chunk.
type Kind string

// The kinds of chunks.
const (
	Seeds  Kind = "seeds"  // runs a range of seeds
	Canary Kind = "canary" // runs seeds of its own scenario with a planted bug, which must be found
)

// Chunk is a part of the work that one worker does at a time.
type Chunk struct {
	ID    int         `json:"id"` // from 1, in the order of the cuts
	Kind  Kind        `json:"kind"`
	Seeds swarm.Range `json:"seeds"`
}

func (c Chunk) String() string {
	return fmt.Sprintf("chunk %d (%s %d-%d)", c.ID, c.Kind, c.Seeds.First, c.Seeds.Last)
}

// PlantedBug is the bug that the canary plants (--plant).
const PlantedBug = "unsynced"

// belongs returns the reason for which a summary cannot be the result of the chunk, or nil. A worker may have another
// sim by now, and a file may be one of another chunk.
func (c Chunk) belongs(s *swarm.Summary, shared *swarm.Shared) error {
	build, files := shared.Build, shared.Scenarios
	if c.Kind == Canary {
		build.Planted, files = PlantedBug, nil
	}
	early := c.Kind == Seeds && shared.FailFast && s.Failed > 0
	switch {
	case s.Build != build:
		return fmt.Errorf("the result is of the build %s, not %s", s.Build, build)
	case len(files) == 0 && len(s.Files) != 1:
		return fmt.Errorf("the result has %d scenarios, not one", len(s.Files))
	case len(files) > 0 && !early && len(s.Files) != len(files):
		return fmt.Errorf("the result has %d of %s", len(s.Files), reports.Plural(len(files), "scenario", "scenarios"))
	}
	for _, f := range s.Files {
		switch {
		case len(files) > 0 && !slices.Contains(files, f.File):
			return fmt.Errorf("the result has the scenario %q, which the run has not", f.File)
		case len(f.Ranges) != 1 || f.Ranges[0].First != c.Seeds.First || f.Ranges[0].Last > c.Seeds.Last,
			!early && f.Ranges[0].Last != c.Seeds.Last:
			return fmt.Errorf("the result of %q has other seeds: %v", f.File, f.Ranges)
		}
	}
	for i := range s.Failures {
		if g := &s.Failures[i]; g.Drawn != "" || g.Shrunk != "" {
			return fmt.Errorf("the result names the files %q and %q, which are none of this machine", g.Drawn, g.Shrunk)
		}
	}
	return nil
}

// Result is the answer of a worker to a chunk.
type Result struct {
	Run     string          `json:"run"`
	Chunk   int             `json:"chunk"`
	Worker  string          `json:"worker"`
	Error   string          `json:"error,omitempty"`   // the reason for which there is no summary
	Summary json.RawMessage `json:"summary,omitempty"` // the JSON result of sim swarm
}

// swarmSummary reads the summary.
func (r *Result) swarmSummary() (*swarm.Summary, error) {
	return swarm.ReadJSON(bytes.NewReader(r.Summary))
}

// realTime are the fields of a result that real time and the machine decide.
var realTime = []string{"wall_seconds", "jobs", "throughput"}

// Digest returns a hash of the summary without real time. Two results of one chunk have the same digest.
func (r *Result) Digest() (string, error) {
	decoder := json.NewDecoder(bytes.NewReader(r.Summary))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return "", fmt.Errorf("reading the result of chunk %d: %w", r.Chunk, err)
	}
	for _, name := range realTime {
		delete(fields, name)
	}
	text, err := json.Marshal(fields) // in the order of the names
	if err != nil {
		return "", fmt.Errorf("encoding the result of chunk %d: %w", r.Chunk, err)
	}
	return fmt.Sprintf("%016x", xxhash.Sum64(text)), nil
}

// Lengths of a chunk on one worker, in seconds.
const (
	usualSeconds = 20
	leastSeconds = 10 // near the end of the seeds, so that no worker ends long after the others
)

// firstSeeds is the size of the chunks before the first result shows how long a seed takes.
const firstSeeds = 4

// Cutter cuts a range of seeds into chunks. Their sizes follow the measured speed, and do not influence the result.
type Cutter struct {
	rest           swarm.Range
	unbounded      bool
	ended          bool
	seeds, seconds float64 // of recent chunks
}

// NewCutter returns a cutter of a range. An unbounded range has no end.
func NewCutter(all swarm.Range, unbounded bool) *Cutter {
	return &Cutter{rest: all, unbounded: unbounded}
}

// Ended reports whether all seeds were cut.
func (c *Cutter) Ended() bool { return c.ended }

// Skip removes the seeds up to last, which an earlier coordinator has cut.
func (c *Cutter) Skip(last uint64) {
	c.ended = last >= c.rest.Last
	c.rest.First = last + 1
}

// Return takes back the seeds of the last cut, which could not be recorded.
func (c *Cutter) Return(r swarm.Range) { c.rest.First, c.ended = r.First, false }

// Measured tells the cutter how long a worker took for some seeds.
func (c *Cutter) Measured(seeds uint64, seconds float64) {
	c.seeds, c.seconds = c.seeds/2+float64(seeds), c.seconds/2+seconds
}

// Cut returns the next seeds for one of some workers. It must not be called after the end.
func (c *Cutter) Cut(workers int) swarm.Range {
	size := float64(firstSeeds)
	if c.seconds > 0 {
		perSecond := c.seeds / c.seconds
		size = usualSeconds * perSecond
		if !c.unbounded {
			share := (float64(c.rest.Last-c.rest.First) + 1) / float64(max(workers, 1))
			size = min(size, max(share, leastSeconds*perSecond))
		}
	}
	next := c.rest
	if more := uint64(max(1, min(size, math.MaxInt32))) - 1; more < next.Last-next.First {
		next.Last = next.First + more
	}
	c.Skip(next.Last)
	return next
}

// canaryCause begins the cause of the planted bug.
const canaryCause = "every issued TempID survives a restart of the server"

// findsCanary reports whether the planted bug is among the causes of a summary.
func findsCanary(s *swarm.Summary) bool {
	for i := range s.Failures {
		if strings.HasPrefix(s.Failures[i].Cause, canaryCause) {
			return true
		}
	}
	return false
}
