// Package nodes implements the two ends of the BlueTrace protocol as state
// machines: Server, the health authority, and Phone, the device of one user.
//
// A machine takes the time and an input, and returns effects in the order in which
// its host executes them. NextWake returns the time at which the host must call the
// machine again if no input arrives. A machine has no socket, file, goroutine, clock
// or random source of its own, so one host can drive it under virtual time and
// another over real sockets. An answer that must be stored first is an EffectStore:
// the machine sends it after Stored.
//
// The rules and their boundaries are those of docs/PROTOCOL.md. A machine is not
// safe for concurrent use.
package nodes
