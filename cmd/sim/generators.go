package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"github.com/benbjohnson/clock"

	"bluetrace/sim"
	"bluetrace/sim/generators"
)

// generatorCommand is the command, not in the help, with which the command fleet starts this program as a generator of
// a load. It exchanges messages over standard input and output.
const generatorCommand = "load-generator"

// The descriptors of the messages between the coordinator of a load and the command fleet, which started it with
// --generators.
const (
	generatorsIn  = 3
	generatorsOut = 4
)

// serveGenerator is the generator command.
func serveGenerator(ctx context.Context, in io.Reader, out io.Writer) error {
	build, err := buildOfProgram()
	if err != nil {
		return err
	}
	return sim.ServeGenerator(ctx, build, in, out)
}

// gatherGenerators returns the generators behind the descriptors of --generators. A line to or from generator N, from 0,
// begins with N and a space. The first line has the names of all, as JSON. A line with N alone means that the generator
// is lost.
func gatherGenerators(ctx context.Context) (*generators.Crew, error) {
	syscall.CloseOnExec(generatorsIn) // the run's own server must not inherit them
	syscall.CloseOnExec(generatorsOut)
	in, out := os.NewFile(generatorsIn, "generators"), os.NewFile(generatorsOut, "generators")
	if in == nil || out == nil {
		return nil, errors.New("--generators is for the command fleet")
	}
	lines := bufio.NewReader(in)
	first, err := lines.ReadBytes('\n')
	var names []string
	if err == nil {
		err = json.Unmarshal(first, &names)
	}
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("reading the names of the generators: %w", errors.Join(err))
	}
	build, err := buildOfProgram()
	if err != nil {
		return nil, err
	}
	var streams []generators.Stream
	var inputs []*io.PipeWriter
	for i, name := range names {
		r, w := io.Pipe()
		inputs = append(inputs, w)
		streams = append(streams, generators.Stream{Name: name, In: r, Out: &numbered{i, out}})
	}
	go distribute(lines, inputs)
	return generators.Gather(ctx, clock.New(), build, streams)
}

// distribute passes each line on to the generator that it is of, until the lines end.
func distribute(lines *bufio.Reader, to []*io.PipeWriter) {
	defer func() {
		for _, w := range to {
			_ = w.Close() // cannot fail
		}
	}()
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		number, text, _ := bytes.Cut(line, []byte(" "))
		i, err := strconv.Atoi(string(bytes.TrimSpace(number)))
		switch {
		case err != nil || i < 0 || i >= len(to):
			return
		case len(text) == 0:
			_ = to[i].Close() // cannot fail
		default:
			_, _ = to[i].Write(text) // nobody reads a generator that is lost
		}
	}
}

// numbered writes lines that begin with a number. Each call has one line.
type numbered struct {
	number int
	to     io.Writer
}

// Write implements io.Writer.
func (n *numbered) Write(line []byte) (int, error) {
	if _, err := n.to.Write(fmt.Appendf(nil, "%d %s", n.number, line)); err != nil {
		return 0, err
	}
	return len(line), nil
}
