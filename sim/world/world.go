// Package world defines the interface between a run of a scenario and the world in which it takes place. Virtual time
// (sim/virtual) and real sockets (sim/live) implement the same interface.
package world

import (
	"context"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// World hosts a server and phones, which are numbered from 0. Its creator calls the methods before Run. During Run,
// only functions that the world itself calls may call them: those given to Call and CallLast, the Tick function and
// observers of events.
type World interface {
	// Now returns the time since time zero. Faults of clocks do not affect it.
	Now() time.Duration
	// Wall returns the time of Now as wall time, in the scenario's zone.
	Wall() time.Time
	// Call runs f at the given time. If that time has passed, f runs in the current instant, after the calls that
	// were made before it.
	Call(at time.Duration, f func())
	// CallLast runs f at the given time, after everything else of that instant.
	CallLast(at time.Duration, f func())
	// Tick calls the Tick function of the world's configuration at the given time.
	Tick(at time.Duration, phone, arg uint32)
	// Run handles all events up to and including the time until, in order. It returns early after Stop, when no
	// event is left, or with the context's error. Run calls poll from time to time, unless it is nil; poll may call
	// Stop.
	Run(ctx context.Context, until time.Duration, poll func()) error
	// Stop ends Run after the current event.
	Stop()

	Program
	Script

	// RestartServer kills the server and starts it again after down. Connections break, and data that was not on
	// the disk is lost.
	RestartServer(down time.Duration)

	// Name returns the name of a phone.
	Name(phone uint32) string
	// Log returns the phone's contact log without the entries that have expired by now.
	Log(phone uint32) *nodes.ContactLog
	// PeekLog returns the phone's contact log for an observer that must not change the run: entries that expire in
	// this instant may still be in it.
	PeekLog(phone uint32) *nodes.ContactLog
	// Phone returns the counts of one phone.
	Phone(phone uint32) PhoneCounts
	// Events returns the number of events handled so far.
	Events() uint64
	// DatagramsInFlight returns the number of datagrams that have been sent and have been neither delivered nor lost.
	DatagramsInFlight() int
}

// Program holds the actions of users on the programs of phones.
type Program interface {
	// Open starts a session of the phone's program: it connects and prompts for a username.
	Open(phone uint32)
	// Type types a line at the program's prompt.
	Type(phone uint32, line string)
	// TakeOver moves the session of the program other to the program phone. Both are programs of the same phone,
	// which its user has started twice.
	TakeOver(phone, other uint32)
	// Stage returns the stage of the program's session.
	Stage(phone uint32) nodes.Stage
	// TempID returns the beacon that the program would send, or false if it has no TempID.
	TempID(phone uint32) (protocol.Beacon, bool)
	// Watch makes the world emit an event.ScreenShown for each text that appears on the phone's screen.
	Watch(phone uint32)
	// SendBeacons sends the beacon of the phone's program to each of the phones in to, in that order and in one
	// instant.
	SendBeacons(phone uint32, to []uint32)
}

// Script holds the actions of a script, which sends from a phone's address without its program.
type Script interface {
	// SendDatagram sends one datagram. Port 0 is the phone's own port; each other number stands for one more socket
	// of the phone.
	SendDatagram(phone, to uint32, port uint16, p []byte)
	// AnnounceForged counts a beacon whose datagrams the script sends itself.
	AnnounceForged(phone, to uint32, raw *[protocol.BeaconSize]byte)
	// RawOpen opens a connection that the script drives. The script's previous connection stays open, unused.
	RawOpen(phone uint32)
	// RawIsOpen reports whether the script has a connection.
	RawIsOpen(phone uint32) bool
	// RawSend sends bytes on the script's connection. They wait until it is established.
	RawSend(phone uint32, p []byte)
	// RawEnd ends the script's side of the connection after all bytes have been sent: with a reset if reset is set,
	// else with a half-close.
	RawEnd(phone uint32, reset bool)
}

// Holder is a world that reports the resources that its nodes hold. Checks for leaks use it.
type Holder interface {
	// ServerHolds returns false while the server is down or paused.
	ServerHolds() (ServerHolds, bool)
	// PhoneHolds returns false if the phone's log is not on its disk in its present state: the phone has no disk, it
	// is off, or its disk is slow or fails.
	PhoneHolds(phone uint32) (PhoneHolds, bool)
}

// ServerHolds are the resources that the server and its host hold.
type ServerHolds struct {
	nodes.Usage
	Connections      int   // open connections, as counted by the network
	UnansweredStores int   // stores that the host has received and not answered
	AttemptsFile     int64 // size in bytes
	DiskFailures     int   // failures of the server's disk in the whole run
}

// PhoneHolds are the contents of a phone's disk.
type PhoneHolds struct {
	Entries          int   // entries in the journal
	LogFile, Journal int64 // sizes in bytes
}
