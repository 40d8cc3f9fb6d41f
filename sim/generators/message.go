// Package generators carries out a load in several processes, each on a machine of its own. A Crew, in the process that
// judges the load, coordinates them. Each runs its share (load.Share) with Serve.
//
// Coordinator and generator exchange messages, each a line of JSON, over a stream that keeps their order. The stream
// may be slow: messages are sent so early that a second of delay does no harm, and the clocks are compared by the
// quickest of many questions.
package generators

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/load"
)

// kind is the kind of a message.
type kind string

// The messages of the coordinator.
const (
	kindPing   kind = "ping"   // asks for Clock
	kindLoad   kind = "load"   // begins a load with Job
	kindBegin  kind = "begin"  // the load begins at At
	kindExpect kind = "expect" // Expected response times
	kindEnd    kind = "end"    // the load ends at At because of the threshold Text
	kindStop   kind = "stop"   // the load ends at once
)

// The messages of a generator.
const (
	kindHello kind = "hello" // its first message, with Build
	kindPong  kind = "pong"  // the answer to the ping Number, with Clock
	kindReady kind = "ready" // its phones are ready
	kindSoFar kind = "sofar" // its figures so far
	kindDone  kind = "done"  // its figures; the load has ended
	kindError kind = "error" // the load was not possible: Text
	kindLeft  kind = "left"  // a signal ended the generator, and its load
)

// message is a message. Only the fields of its kind are set.
type message struct {
	Kind     kind           `json:"kind"`
	Number   uint64         `json:"number,omitempty"` // of a ping or its answer; else of the load
	Clock    time.Duration  `json:"clock,omitempty"`  // of the generator, since its start
	At       time.Duration  `json:"at,omitempty"`     // by the clock of the generator, or a time of the run
	Text     string         `json:"text,omitempty"`
	Build    *reports.Build `json:"build,omitempty"`
	Job      *job           `json:"job,omitempty"`
	Expected *load.Times    `json:"expected,omitempty"`
	Part     *load.Part     `json:"part,omitempty"`
}

// job is the share of a load.
type job struct {
	Share   load.Share         `json:"share"`
	Traffic *scenarios.Traffic `json:"traffic"`
	Phones  []load.Phone       `json:"phones"`
	Seed    uint64             `json:"seed"`
	Address string             `json:"address"` // host:port of the server
}

// maxMessage limits a message, in bytes. The figures of an hour are about 10 MB.
const maxMessage = 256 << 20

// stream sends and receives messages.
type stream struct {
	in  *bufio.Reader
	mu  sync.Mutex // of out
	out io.Writer
}

func newStream(in io.Reader, out io.Writer) *stream {
	return &stream{in: bufio.NewReaderSize(in, 64<<10), out: out}
}

func (s *stream) send(m *message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding a message: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err = s.out.Write(append(line, '\n'))
	return err
}

func (s *stream) receive() (*message, error) {
	var line []byte
	for {
		piece, err := s.in.ReadSlice('\n')
		line = append(line, piece...)
		if len(line) > maxMessage {
			return nil, fmt.Errorf("a message is longer than %d bytes", maxMessage)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return nil, err
		}
		break
	}
	m := &message{}
	if err := json.Unmarshal(line, m); err != nil {
		return nil, fmt.Errorf("reading a message: %w", err)
	}
	return m, nil
}
