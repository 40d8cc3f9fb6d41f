// Package protocol is the wire of the BlueTrace simulator: PROTOCOL.md sections
// 1 to 3 as pure code. It encodes and decodes TempIDs, times and beacons, judges
// whether a beacon is valid at an instant, assembles split beacons, and says
// where one TCP message ends and the next begins.
//
// Nothing here reads a clock, opens a socket or a file, starts a goroutine or
// draws a random number by itself: time, bytes and randomness are arguments.
// Two readings of time come in (PROTOCOL.md section 1, "Two clocks"): elapsed
// time as a time.Duration, which nobody can step, and wall time as int64 Unix
// seconds or nanoseconds.
//
// What a peer sends is expected to be wrong now and then. That is an error
// value, one of the Err variables, comparable with == unless its comment says
// otherwise; only a caller's own mistake panics.
//
// In the steady state Beacon.Encode, DecodeBeacon, Judge and Assembler allocate
// nothing. Of the types with state only Zone is safe for concurrent use.
package protocol
