package swarm

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"bluetrace/scenarios"
	"bluetrace/sim"
)

// longestTrace is how much of a run's trace is kept to be compared, in bytes.
const longestTrace = 256 << 20

// firstDifference runs a scenario twice more and says where the two runs part: the first
// line of their traces that differs, which begins with its virtual time.
func firstDifference(ctx context.Context, s *scenarios.Scenario, engine func(context.Context, *scenarios.Scenario, sim.Options) (*sim.Result, error)) string {
	var a traceBuffer
	if _, err := engine(ctx, s, sim.Options{Trace: &a}); err != nil && !errors.Is(err, errFull) {
		return "; with a trace it broke: " + firstLine(err.Error())
	}
	b := traceComparer{want: a.Bytes()}
	_, err := engine(ctx, s, sim.Options{Trace: &b})
	switch {
	case b.found != "":
		return "; the first event that differs: " + b.found
	case err != nil && !errors.Is(err, errFull):
		return "; with a trace it broke: " + firstLine(err.Error())
	case len(b.want) > 0:
		return "; one run ends where the other goes on: " + firstLine(string(b.want))
	}
	return "; two more runs, with a trace, were the same"
}

// errFull ends a run whose trace was enough.
var errFull = errors.New("enough of the trace was seen")

// traceBuffer is the beginning of a trace.
type traceBuffer struct{ bytes.Buffer }

func (k *traceBuffer) Write(p []byte) (int, error) {
	if k.Len()+len(p) > longestTrace {
		return 0, errFull
	}
	return k.Buffer.Write(p)
}

// traceComparer takes a trace as long as it is as wanted.
type traceComparer struct {
	want  []byte
	found string // the lines that differ
	begun []byte // of a line
}

func (c *traceComparer) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		c.begun = append(c.begun, line...)
		if rest = after; !whole {
			break
		}
		want, left, _ := bytes.Cut(c.want, []byte("\n"))
		if !bytes.Equal(want, c.begun) {
			c.found = fmt.Sprintf("%s | %s", want, c.begun)
			return 0, errFull
		}
		c.want, c.begun = left, c.begun[:0]
	}
	return len(p), nil
}
