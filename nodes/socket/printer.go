package socket

import (
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"
)

// printBacklog is the number of bytes that may wait for a slow output. Above it the server
// does not read from its peers. The lines of one call of the machine may exceed it.
const printBacklog = 1 << 20

// printer writes lines in a goroutine of its own. One write has all lines that were added
// during the last write. The method add never blocks. The method await, which is called
// before a read from a peer, blocks while too many bytes wait. After an error of the
// output, all lines are dropped.
type printer struct {
	out     io.Writer
	backlog atomic.Int64  // bytes that wait or are being written
	work    chan struct{} // holds at most one token: there are lines, or state has changed
	ended   chan struct{} // closed when the goroutine ends

	mu      sync.Mutex
	room    sync.Cond // signals that the backlog has shrunk, or that state or freed has changed
	waiting []byte
	freed   bool // await does not block any more
	state   printState
}

type printState uint8

const (
	printAll  printState = iota
	printRest            // print the lines that wait, then end
	printNone            // print nothing: there is no output, it failed, or the server was killed
)

func newPrinter(out io.Writer) *printer {
	p := &printer{out: out, work: make(chan struct{}, 1), ended: make(chan struct{})}
	p.room.L = &p.mu
	if out == nil {
		p.state = printNone
		close(p.ended)
		return p
	}
	go p.run()
	return p
}

// add adds text and a line feed.
func (p *printer) add(text string) {
	p.mu.Lock()
	if p.state != printAll {
		p.mu.Unlock()
		return
	}
	p.waiting = append(append(p.waiting, text...), '\n')
	p.backlog.Add(int64(len(text)) + 1)
	p.mu.Unlock()
	signal(p.work)
}

// await blocks until the backlog is within its limit.
func (p *printer) await() {
	if p.backlog.Load() <= printBacklog {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.backlog.Load() > printBacklog && p.state == printAll && !p.freed {
		p.room.Wait()
	}
}

// release makes the blocked and all later calls of await return at once.
func (p *printer) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freed = true
	p.room.Broadcast()
}

func (p *printer) run() {
	defer close(p.ended)
	var lines []byte
	for range p.work {
		runtime.Gosched() // lines that other goroutines are about to add share this write
		var last bool
		if lines, last = p.take(lines); len(lines) > 0 {
			_, err := p.out.Write(lines)
			p.wrote(len(lines), err)
		}
		if last {
			return
		}
	}
}

// take returns the lines that wait, and uses the empty buffer for the next ones. last
// reports whether no more lines will come.
func (p *printer) take(buffer []byte) (lines []byte, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if cap(buffer) > printBacklog {
		buffer = nil
	}
	lines, p.waiting = p.waiting, buffer[:0]
	return lines, p.state != printAll
}

// wrote ends a write of n bytes with its error.
func (p *printer) wrote(n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backlog.Add(int64(-n))
	if err != nil {
		p.stop(printNone)
	}
	p.room.Broadcast()
}

// stop makes the printer refuse further lines. state is printRest or printNone. The mutex
// mu is held.
func (p *printer) stop(state printState) {
	if p.state == printNone {
		return
	}
	p.state = state
	if state == printNone {
		p.backlog.Add(int64(-len(p.waiting)))
		p.waiting = nil
	}
	p.room.Broadcast()
	signal(p.work)
}

// end ends the printer. With printRest it first writes the lines that wait, with
// printNone it drops them. It waits at most limit, in real time. If the output blocks
// for longer, the goroutine remains.
func (p *printer) end(state printState, real clock.Clock, limit time.Duration) {
	p.mu.Lock()
	p.stop(state)
	p.mu.Unlock()
	timeUp := real.Timer(limit)
	defer timeUp.Stop()
	select {
	case <-p.ended:
	case <-timeUp.C:
	}
}
