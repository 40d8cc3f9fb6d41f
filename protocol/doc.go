// Package protocol implements the wire format of the BlueTrace simulator as pure
// code (PROTOCOL.md sections 1 to 3). It encodes and decodes TempIDs, times and
// beacons, judges the validity of a beacon at an instant, assembles split beacons,
// and finds the messages in a TCP stream.
//
// The package has no clock, socket, file, goroutine or random source of its own:
// time, bytes and randomness are arguments. Functions take two kinds of time
// (PROTOCOL.md section 1, "Two clocks"): elapsed time as a time.Duration, which
// never steps, and wall time as int64 Unix seconds or nanoseconds.
//
// Malformed input from a peer is an error value: one of the Err variables, which
// can be compared with == unless its comment says otherwise. Only a mistake of the
// caller panics.
//
// In the steady state Beacon.Encode, DecodeBeacon, Judge and Assembler allocate
// nothing. Of the types with state, only Zone is safe for concurrent use.
package protocol
