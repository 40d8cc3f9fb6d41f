package world

import "bluetrace/nodes"

// Holder is a world that shows what its nodes hold, for checks that nothing
// grows without bound.
type Holder interface {
	// ServerHolds answers false while the server is down or paused.
	ServerHolds() (ServerHolds, bool)
	// PhoneHolds answers false for a phone whose log is not on its disk as it is:
	// it has none, is off, or its disk is slow or fails.
	PhoneHolds(phone uint32) (PhoneHolds, bool)
}

// ServerHolds is what a server holds, and what its host does.
type ServerHolds struct {
	nodes.Usage
	Connections  int   // open, as the network has it
	OnTheirWay   int   // stores that the host was given and has not answered
	AttemptsFile int64 // bytes
	DiskFailures int   // of its disk, in the whole run
}

// PhoneHolds is what a phone's disk holds.
type PhoneHolds struct {
	Kept             int   // entries of its journal
	LogFile, Journal int64 // bytes
}
