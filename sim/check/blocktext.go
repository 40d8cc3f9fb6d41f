package check

import (
	"fmt"

	"bluetrace/protocol"
	"bluetrace/sim/world"
)

// blockTexts knows when blocks began, for the report of an answer that should
// have been another.
type blockTexts struct {
	began    map[string]blockBegan // by account: the last that the server told of
	restarts int                   // of the server
	name     string                // whose answer is judged
}

type blockBegan struct {
	at       int64
	restarts int // before it
}

// judging notes to whom an answer goes that is looked at next.
func (b *blockTexts) judging(name string) { b.name = name }

// told notes the answer, once it was looked at.
func (b *blockTexts) told(at int64, a *accounts, p []byte) {
	if string(p) != protocol.NowBlocked || a.known[b.name] == nil {
		return
	}
	if b.began == nil {
		b.began = map[string]blockBegan{}
	}
	b.began[b.name] = blockBegan{at, b.restarts}
}

// text is what there is to say of the last block of whom is answered.
func (b *blockTexts) text(r *Rules) string {
	began, ok := b.began[b.name]
	if !ok {
		return ""
	}
	since := "not restarted"
	if b.restarts > began.restarts {
		since = "restarted"
	}
	return fmt.Sprintf("; the last block of %s began at %s s, block_duration is %s, and the server was %s since",
		b.name, world.Seconds(began.at), r.BlockDuration, since)
}

// ofBlocks says whether the invariant is of blocks and the answers to passwords.
func (i Invariant) ofBlocks() bool { return i <= ThirdWrongBlocks }
