package sim

import (
	"context"
	"testing"

	"bluetrace/reports"
	"bluetrace/sim/event"
)

// limited has two names without an account that are blocked, a server that keeps one of them, and three connections of
// which the server keeps two.
const limited = `name: limited
length: 1m
server: {max_blocked_bytes: 400, max_connections: 2, block_duration: 1m}
phones: [{name: a}, {name: b, account: none}, {name: c, account: none}]
script:
  - {at: 1s, phone: b, tcp: {connect: true, send: [one, x, y, z], gap: 100ms, close: true}}
  - {at: 2s, phone: b, tcp: {connect: true, send: [two, x, y, z], gap: 100ms, close: true}}
  - {at: 3s, phone: b, tcp: {connect: true, send: [one, x], gap: 100ms}, expect: {reply: /^Invalid Password. Please/}}
  - {at: 4s, phone: b, tcp: {send: [x]}, expect: {reply: /^Invalid Password. Please/}}
  - {at: 5s, phone: c, tcp: {connect: true}}
  - {at: 6s, phone: a, login: right, expect: {reply: /^Welcome/}}
invariants: true
`

// TestLimitsOfTheServer: max_connections closes the oldest session that is not logged in, and max_blocked_bytes forgets
// the oldest block of a name without an account. The invariants know of both.
func TestLimitsOfTheServer(t *testing.T) {
	var closed []event.Node
	o := Options{Subscribe: func(s *event.Stream) {
		s.On(event.ServerDecided, func(e *event.Event) {
			if e.Decision.Reason == "too many" {
				closed = append(closed, e.Peer)
			}
		})
	}}
	r, err := Run(context.Background(), parse(t, limited), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Run.Verdict != reports.Passed {
		t.Errorf("%s: %+v", r.Run.Verdict, r.Run.Checks)
	}
	if len(closed) != 1 || closed[0] != 1 {
		t.Errorf("closed: the sessions of %v, want that of phone 1", closed)
	}
}

// TestFloodFromManyPorts: with ports a flood takes its source ports in turn.
func TestFloodFromManyPorts(t *testing.T) {
	const text = `name: flooded
length: 10s
phones: [{name: a}, {name: b, account: none}]
adversaries: [{flood: a, by: b, every: 100ms, ports: 3}]
`
	var ports []uint16
	o := Options{Subscribe: func(s *event.Stream) {
		s.On(event.DatagramDelivered, func(e *event.Event) { ports = append(ports, e.Port) })
	}}
	if _, err := Run(context.Background(), parse(t, text), o); err != nil {
		t.Fatal(err)
	}
	if len(ports) < 50 {
		t.Fatalf("%d datagrams", len(ports))
	}
	for i, port := range ports {
		if want := uint16(firstPort + i%3); port != want {
			t.Fatalf("datagram %d comes from port %d, want %d", i, port, want)
		}
	}
}
