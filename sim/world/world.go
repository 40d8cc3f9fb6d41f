// Package world is what a run of a scenario needs of the world that it runs in,
// and what it is told by it: the same for virtual time and for real sockets.
package world

import (
	"context"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// World hosts a server and phones, by their numbers from 0. Its methods are
// called by its maker before Run, and then from its own calls (Call, CallLast,
// Tick, observers) only.
type World interface {
	// Now is the time since time zero, on the clock that nobody steps.
	Now() time.Duration
	// Wall is the wall time in the scenario's zone.
	Wall() time.Time
	// Call runs f at the given time, or at once in its turn when that has passed.
	Call(at time.Duration, f func())
	// CallLast runs f at the given time, after what else happens in that instant.
	CallLast(at time.Duration, f func())
	// Tick calls the Tick function of the world's configuration at the given time.
	Tick(at time.Duration, who, arg uint32)
	// Run lets everything happen up to and including the time until, in order.
	// It returns early when Stop was called, when nothing is left to happen, or
	// with the context's error. poll is called now and then and may call Stop; it
	// may be nil.
	Run(ctx context.Context, until time.Duration, poll func()) error
	// Stop ends Run after the event that is being handled.
	Stop()

	Program
	Script

	// RestartServer stops the server as a kill would: connections break, what was
	// not on the disk is gone. It comes back after down.
	RestartServer(down time.Duration)

	// Name of a phone.
	Name(phone uint32) string
	// Log is the phone's contact log, with what is due at this moment gone.
	Log(phone uint32) *nodes.ContactLog
	// Phone answers with the counts of one phone.
	Phone(phone uint32) PhoneCounts
	// Events is how many events were handled.
	Events() uint64
	// UnderWay counts the datagrams that have been sent and have neither arrived
	// nor been lost.
	UnderWay() int
}

// Program is what people do with the programs of phones.
type Program interface {
	// Open starts the session of the phone's program: it connects and asks for a
	// username.
	Open(phone uint32)
	// Type types a line at its prompt.
	Type(phone uint32, line string)
	// TakeOver lets a phone's program go on with the session of another program
	// of the same phone, as a person does who started it twice.
	TakeOver(phone, second uint32)
	// Stage says what the program waits for.
	Stage(phone uint32) nodes.Stage
	// TempID is what the program would send.
	TempID(phone uint32) (protocol.Beacon, bool)
	// Watch has the story told what stands on the phone's screen.
	Watch(phone uint32)
	// SendBeacons has the program send its beacon to other phones, one after the
	// other in one instant.
	SendBeacons(phone uint32, to []uint32)
}

// Script is what a script does from a phone's address without its program.
type Script interface {
	// SendDatagram sends bytes. Port 0 is the phone's own; any other stands for
	// another source.
	SendDatagram(phone, to uint32, port uint16, p []byte)
	// AnnounceForged counts a beacon that a script puts together from datagrams
	// of its own.
	AnnounceForged(phone, to uint32, raw *[protocol.BeaconSize]byte)
	// RawOpen opens a connection that the script drives; one that was open stays
	// open, silently.
	RawOpen(phone uint32)
	// RawIsOpen says whether the script has a connection.
	RawIsOpen(phone uint32) bool
	// RawSend sends bytes on it, as soon as it stands.
	RawSend(phone uint32, p []byte)
	// RawEnd ends the script's side after all that was sent: half-closed, or
	// reset.
	RawEnd(phone uint32, reset bool)
}
