package socket

import (
	"hash/maphash"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"
)

const (
	// printBacklog is the number of bytes that may wait for a slow output, except those of
	// accounts that are held. Above it the server does not read from its peers. The lines
	// of one call of the machine may exceed it.
	printBacklog = 4 << 20
	// maxPrintBacklog is the same limit for all bytes.
	maxPrintBacklog = 64 << 20
	// shareLimit is the number of waiting bytes of one account above which it is held: the
	// server does not read from its sessions.
	shareLimit = 256 << 10
	// outputShares is the number of shares. Two accounts rarely have the same one.
	outputShares = 4096
)

// outputShare counts the bytes of an account that wait for the output.
type outputShare struct {
	held             atomic.Bool // there were more than shareLimit since there were fewer last
	waiting, writing int
}

// printer writes lines in a goroutine of its own. One write has all lines that were added
// during the last write. The method add never blocks. The method await, which is called
// before a read from a peer, blocks while too many bytes wait. After an error of the
// output, all lines are dropped.
type printer struct {
	out   io.Writer
	full  atomic.Bool          // too many bytes wait
	work  chan struct{}        // holds at most one token: there are lines, or state has changed
	ended chan struct{}        // closed when the goroutine ends
	freed func([]*outputShare) // called when accounts need not be held any more
	seed  maphash.Seed

	mu       sync.Mutex
	room     sync.Cond // signals that full is cleared, or that state or released has changed
	waiting  []byte
	backlog  int // bytes that wait or are being written
	exempt   int // of them, those of accounts that are held
	shares   [outputShares]outputShare
	sharing  []*outputShare // those with waiting bytes
	written  []*outputShare // those with bytes that are being written
	released bool           // await does not block any more
	state    printState
}

type printState uint8

const (
	printAll  printState = iota
	printRest            // print the lines that wait, then end
	printNone            // print nothing: there is no output, it failed, or the server was killed
)

// newPrinter returns a printer. It calls freed without holding a lock.
func newPrinter(out io.Writer, freed func([]*outputShare)) *printer {
	p := &printer{
		out: out, work: make(chan struct{}, 1), ended: make(chan struct{}), freed: freed, seed: maphash.MakeSeed(),
	}
	p.room.L = &p.mu
	if out == nil {
		p.state = printNone
		close(p.ended)
		return p
	}
	go p.run()
	return p
}

// shareOf returns the share of an account.
func (p *printer) shareOf(user string) *outputShare {
	return &p.shares[maphash.String(p.seed, user)%outputShares]
}

// add adds text and a line feed. They count for the share of the account that has caused
// them, or for none if share is nil.
func (p *printer) add(text string, share *outputShare) {
	p.mu.Lock()
	if p.state != printAll {
		p.mu.Unlock()
		return
	}
	p.waiting = append(append(p.waiting, text...), '\n')
	p.backlog += len(text) + 1
	if share != nil {
		p.count(share, len(text)+1)
	}
	p.setFull()
	p.mu.Unlock()
	signal(p.work)
}

// count adds n waiting bytes to a share. The mutex mu is held.
func (p *printer) count(share *outputShare, n int) {
	if share.waiting == 0 {
		p.sharing = append(p.sharing, share)
	}
	share.waiting += n
	switch all := share.waiting + share.writing; {
	case share.held.Load():
		p.exempt += n
	case all > shareLimit:
		share.held.Store(true)
		p.exempt += all
	}
}

func (p *printer) setFull() {
	p.full.Store(p.state == printAll && (p.backlog-p.exempt > printBacklog || p.backlog > maxPrintBacklog))
}

// await blocks until the backlog is within its limit.
func (p *printer) await() {
	if !p.full.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.full.Load() && !p.released {
		p.room.Wait()
	}
}

// release makes the blocked and all later calls of await return at once.
func (p *printer) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.released = true
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
			if freed := p.wrote(len(lines), err); len(freed) > 0 {
				p.freed(freed)
			}
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
	for _, share := range p.sharing {
		share.writing, share.waiting = share.waiting, 0
	}
	p.sharing, p.written = p.written[:0], p.sharing
	return lines, p.state != printAll
}

// wrote ends a write of n bytes with its error. It returns the shares of accounts that
// need not be held any more.
func (p *printer) wrote(n int, err error) (freed []*outputShare) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backlog -= n
	ended := p.written
	if err != nil {
		p.stop(printNone)
		ended = append(ended, p.sharing...)
	}
	for _, share := range ended {
		if !share.held.Load() {
			share.writing = 0
			continue
		}
		p.exempt -= share.writing
		share.writing = 0
		if share.waiting <= shareLimit || err != nil {
			p.exempt -= share.waiting
			share.held.Store(false)
			freed = append(freed, share)
		}
	}
	p.setFull()
	p.room.Broadcast()
	return freed
}

// stop makes the printer refuse further lines. state is printRest or printNone. The mutex
// mu is held.
func (p *printer) stop(state printState) {
	if p.state == printNone {
		return
	}
	p.state = state
	if state == printNone {
		p.backlog -= len(p.waiting)
		p.waiting = nil
	}
	p.setFull()
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
