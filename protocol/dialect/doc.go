// Package dialect describes the wires of other implementations of the protocol, and translates them. The course
// specification fixes what a user types and sees, but not the bytes between a phone and its server, so each
// implementation has its own.
//
// A Dialect is data. From it come two translators: a PhoneSide stands between a phone of this project and a foreign
// server, a ServerSide between a server of this project and a foreign phone. Both speak PROTOCOL.md section 2 to this
// project's machine, and the dialect to the peer. They are state machines: given a time and bytes they return effects.
package dialect
