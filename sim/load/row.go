package load

import "time"

// Operation is a kind of what is measured.
type Operation int

// The operations, in the order of scenarios.LoadOperations.
const (
	Connect Operation = iota
	Login
	TempID
	Beacon
	Upload
	Logout
	operations
)

// Outcome of an operation.
type Outcome int

// The outcomes.
const (
	OK      Outcome = iota // answered as it should be
	Failed                 // answered otherwise, or refused
	Unknown                // not answered: whether the server did it is not known
)

// Row is one operation that was done, or that was given up.
type Row struct {
	Operation Operation
	Outcome   Outcome
	// Due is when it should have been sent. Ready is when what it waits for was
	// there, at Due or later; sent before Ready it cannot be. Of one without an
	// answer Done is when the waiting ended.
	Due, Ready, Sent, Done time.Duration
}

// Response time: what somebody who wanted it at Due had to wait.
func (r *Row) Response() time.Duration { return r.Done - r.Due }

// Service time: what a closed loop would have measured.
func (r *Row) Service() time.Duration { return r.Done - r.Sent }

// Lag is how late the generator itself was.
func (r *Row) Lag() time.Duration { return r.Sent - max(r.Due, r.Ready) }
