package swarm

import (
	"bytes"
	"fmt"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// mark begins the comment of a scenario file that a swarm wrote.
const mark = "sim swarm: "

// IsMade says whether a scenario file, of which this is the beginning, was
// written by a swarm, so that another may replace it.
func IsMade(file []byte) bool { return bytes.HasPrefix(file, []byte("# "+mark)) }

// MadeLength is how much of a file IsMade wants to see, in bytes.
const MadeLength = len("# " + mark)

// DrawnFile is the file of the scenario that a seed drew, which will stand at path.
func DrawnFile(base *scenarios.Scenario, seed uint64, path string) []byte {
	drawn, _ := Draw(base, seed)
	drawn.File = path // from there it names recorded contacts
	return drawn.AppendYAML(fmt.Appendf(nil, "# %s\n", reports.Escape(fmt.Sprintf("%sdrawn with seed %d of %s", mark, seed, base.File))))
}
