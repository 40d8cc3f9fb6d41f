// Package load puts phones that arrive at a rate in front of a server, on real
// sockets, and measures what they see (docs/LOAD.md). It is an open loop: when an
// operation is due never depends on how the server answered another.
//
// The times of a run are durations since its origin, on one clock that nobody
// steps.
package load
