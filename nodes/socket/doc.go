// Package socket hosts the state machines of package nodes over real sockets
// and a clock.Clock. It decides nothing: a host brings what arrives and what is
// due to its machine, and carries out the machine's effects.
//
// All calls of one machine happen under its host's lock, in the order of the
// clock; many hosts may share one lock. The lock is never held over a read, a
// write, a dial or an fsync that may block. Every deadline of a machine is a
// timer of the node's clock, so that under clock.Mock an hour passes in
// milliseconds; bounds on what the network and the kernel do are real time,
// whatever the node's clock.
package socket
