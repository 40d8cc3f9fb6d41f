// Package nodes has the two ends of the BlueTrace protocol as state machines:
// Server, the health authority, and Phone, one user's program.
//
// A machine is given the time and an input and answers with effects, in the
// order in which its host executes them; NextWake says when it wants to be
// called again if nothing arrives. It has no sockets, files, goroutines, clocks
// or randomness of its own, so one host can drive it under virtual time and
// another over real sockets. A promise that needs a disk is an EffectStore; the
// answer goes out at Stored.
//
// The rules and their boundaries are those of docs/PROTOCOL.md. A machine is not
// safe for concurrent use.
package nodes
