package socket

import (
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"
)

// printBacklog is how many bytes of lines may wait for a slow output before
// nothing more is read from any peer. What the machine prints in one call comes
// on top.
const printBacklog = 1 << 20

// printer writes lines in a goroutine of its own: as many at once as have come
// while it wrote. Printing never blocks; await does, for those who make lines.
// When the output fails, lines are dropped from then on.
type printer struct {
	out     io.Writer
	backlog atomic.Int64 // bytes that wait or are being written
	work    chan struct{}
	ended   chan struct{}

	mu      sync.Mutex
	room    sync.Cond // the backlog shrank, or there will be no more lines
	waiting []byte
	freed   bool // nobody waits for room any more
	state   printing
}

type printing uint8

const (
	printingLines printing = iota
	printingRest           // what waits, then the end
	printingNone           // the output failed, or nobody wants it
)

func newPrinter(out io.Writer) *printer {
	p := &printer{out: out, work: make(chan struct{}, 1), ended: make(chan struct{})}
	p.room.L = &p.mu
	if out == nil {
		p.state = printingNone
		close(p.ended)
		return p
	}
	go p.run()
	return p
}

// add takes lines: text and a line feed.
func (p *printer) add(text string) {
	p.mu.Lock()
	if p.state != printingLines {
		p.mu.Unlock()
		return
	}
	p.waiting = append(append(p.waiting, text...), '\n')
	p.backlog.Add(int64(len(text)) + 1)
	p.mu.Unlock()
	p.signal()
}

func (p *printer) signal() {
	select {
	case p.work <- struct{}{}:
	default: // it knows already
	}
}

// await returns once the backlog is within its limit.
func (p *printer) await() {
	if p.backlog.Load() <= printBacklog {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.backlog.Load() > printBacklog && p.state == printingLines && !p.freed {
		p.room.Wait()
	}
}

// release ends the waiting for room, now and from now on.
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
		runtime.Gosched() // lines that are about to come share this write
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

// take returns what waits, and leaves the emptied buffer for what comes.
func (p *printer) take(buffer []byte) (lines []byte, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if cap(buffer) > printBacklog {
		buffer = nil
	}
	lines, p.waiting = p.waiting, buffer[:0]
	return lines, p.state != printingLines
}

func (p *printer) wrote(n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backlog.Add(int64(-n))
	if err != nil {
		p.stop(printingNone)
	}
	p.room.Broadcast()
}

// stop ends the taking of lines; mu is held.
func (p *printer) stop(state printing) {
	if p.state == printingNone {
		return
	}
	p.state = state
	if state == printingNone {
		p.backlog.Add(int64(-len(p.waiting)))
		p.waiting = nil
	}
	p.room.Broadcast()
	p.signal()
}

// close writes what waits, for at most limit of real time: an output that takes
// nothing keeps its goroutine.
func (p *printer) close(real clock.Clock, limit time.Duration) { p.end(printingRest, real, limit) }

// kill drops what waits.
func (p *printer) kill(real clock.Clock, limit time.Duration) { p.end(printingNone, real, limit) }

func (p *printer) end(state printing, real clock.Clock, limit time.Duration) {
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
