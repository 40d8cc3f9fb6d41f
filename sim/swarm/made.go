package swarm

import (
	"bytes"
	"fmt"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// generatedMark begins the comment of a scenario file that a swarm wrote.
const generatedMark = "sim swarm: "

// IsGenerated says whether a scenario file, of which this is the beginning, was
// written by a swarm, so that another may replace it.
func IsGenerated(file []byte) bool { return bytes.HasPrefix(file, []byte("# "+generatedMark)) }

// GeneratedPrefixLength is how much of a file IsMade wants to see, in bytes.
const GeneratedPrefixLength = len("# " + generatedMark)

// DrawnFile is the file of the scenario that a seed drew, which will stand at path.
func DrawnFile(base *scenarios.Scenario, seed uint64, path string) []byte {
	drawn, _ := Draw(base, seed)
	drawn.File = path // from there it names recorded contacts
	return drawn.AppendYAML(fmt.Appendf(nil, "# %s\n", reports.Escape(fmt.Sprintf("%sdrawn with seed %d of %s", generatedMark, seed, base.File))))
}
