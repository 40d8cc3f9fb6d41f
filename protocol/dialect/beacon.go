package dialect

import (
	"time"

	"bluetrace/protocol"
)

// BeaconSide translates the beacons of one UDP socket between the single form of PROTOCOL.md section 3, which this
// project's machine sends and receives, and the form of a dialect. Each step of Dialect.Beacon is one datagram: its
// sender sends a Send, and waits for each Receive, which the receiver of the beacon sends.
type BeaconSide struct {
	d         *Dialect // with the times of its beacons
	sending   map[protocol.Address]*exchange
	receiving map[protocol.Address]*exchange
}

// exchange is the progress of one beacon between the socket and a peer.
type exchange struct {
	v       values
	next    int // the step that is next
	began   time.Duration
	waiting [][protocol.BeaconSize]byte // the beacons that are sent to the peer after this one; the oldest first
}

// The limits of exchanges in progress: their number in each direction, the time of one from its first datagram on, and
// the number of beacons that wait for its end.
const (
	maxExchanges  = 1024
	exchangeLimit = 2 * time.Second
	maxWaiting    = 64
)

// Send returns the datagrams that begin a beacon to a peer. Those after an answer of the peer come from Receive. A
// beacon waits while another one to the same peer is in progress. If too many wait, the oldest one is dropped. A
// beacon that the dialect cannot express, since its version is not 1 or a time is none, is returned as it is.
func (s *BeaconSide) Send(now Now, to protocol.Address, raw *[protocol.BeaconSize]byte) [][]byte {
	x := s.sending[to]
	if x == nil {
		x = &exchange{next: len(s.d.Beacon)}
	}
	x.waiting = append(x.waiting, *raw)
	x.waiting = x.waiting[max(0, len(x.waiting)-maxWaiting):]
	return s.beginWaiting(now, to, x)
}

// Wake returns the datagrams of the beacons to a peer that no longer wait. The host calls it at or after NextWake.
func (s *BeaconSide) Wake(now Now, to protocol.Address) [][]byte {
	x := s.sending[to]
	if x == nil {
		return nil
	}
	return s.beginWaiting(now, to, x)
}

// NextWake returns the elapsed time at which the beacon in progress to a peer is given up, if another one waits.
func (s *BeaconSide) NextWake(to protocol.Address) (time.Duration, bool) {
	x := s.sending[to]
	if x == nil || len(x.waiting) == 0 {
		return 0, false
	}
	return x.began + exchangeLimit, true
}

// beginWaiting begins the beacons that wait for the end of the exchange x, if it has ended or has had its time. It
// stops at the first beacon that needs an answer.
func (s *BeaconSide) beginWaiting(now Now, to protocol.Address, x *exchange) (out [][]byte) {
	for len(x.waiting) > 0 && (x.next == len(s.d.Beacon) || now.Elapsed >= x.began+exchangeLimit) {
		raw := x.waiting[0]
		x = &exchange{began: now.Elapsed, v: values{now: now.Wall}, waiting: x.waiting[1:]}
		if !s.decode(&raw, &x.v) {
			out = append(out, raw[:])
			x.next = len(s.d.Beacon)
		}
		out = append(out, s.proceed(s.sending, to, x, Send)...)
	}
	return out
}

// SendAll returns all datagrams of a beacon, for a socket that receives no answers.
func (s *BeaconSide) SendAll(now Now, raw *[protocol.BeaconSize]byte) (out [][]byte) {
	v := values{now: now.Wall}
	if !s.decode(raw, &v) {
		return [][]byte{raw[:]}
	}
	for _, step := range s.d.Beacon {
		if step.Kind == Send {
			out = append(out, step.Text.appendTo(nil, &v, s.d))
		}
	}
	return out
}

// Receive handles a datagram of a peer. own is the datagram that the machine gets, or nil if it gets none: a beacon in
// the single form, or a datagram that is no part of a beacon, as it is. answers are datagrams for the peer.
func (s *BeaconSide) Receive(now Now, from protocol.Address, b []byte) (own []byte, answers [][]byte) {
	if x := s.sending[from]; x != nil && s.takes(x, b) {
		answers = s.proceed(s.sending, from, x, Send)
		return nil, append(answers, s.beginWaiting(now, from, x)...)
	}
	x := s.receiving[from]
	if x == nil || now.Elapsed >= x.began+exchangeLimit || !s.takes(x, b) {
		x = &exchange{began: now.Elapsed}
		if !s.takes(x, b) {
			return b, nil
		}
	}
	answers = s.proceed(s.receiving, from, x, Receive)
	if x.next < len(s.d.Beacon) {
		return nil, answers
	}
	return s.encode(&x.v), answers
}

// proceed returns the datagrams of the next steps that have a kind. It records the progress of the exchange, which ends
// with its last step.
func (s *BeaconSide) proceed(
	all map[protocol.Address]*exchange, peer protocol.Address, x *exchange, k StepKind,
) (out [][]byte) {
	for ; x.next < len(s.d.Beacon) && s.d.Beacon[x.next].Kind == k; x.next++ {
		out = append(out, s.d.Beacon[x.next].Text.appendTo(nil, &x.v, s.d))
	}
	if len(all) >= maxExchanges && all[peer] == nil {
		clear(all)
	}
	if all[peer] = x; x.next == len(s.d.Beacon) {
		delete(all, peer)
	}
	return out
}

// takes reports whether the datagram is that of the next step, and takes the step with its values.
func (s *BeaconSide) takes(x *exchange, b []byte) bool {
	v := x.v
	if _, m := s.d.Beacon[x.next].Text.match(b, true, &v, s.d); m != matches {
		return false
	}
	x.v = v
	x.next++
	return true
}

// beaconVersion is the version of every beacon of a dialect.
const beaconVersion = '1'

// decode sets the values of a beacon in the single form. It returns false if the dialect cannot express it.
func (s *BeaconSide) decode(raw *[protocol.BeaconSize]byte, v *values) (ok bool) {
	part := func(i int) string { return string(protocol.Part(raw, i)) }
	v.TempID = part(0)
	if v.Start, ok = seedTimes.Parse(part(1), s.d.Zone); !ok {
		return false
	}
	v.Expiry, ok = seedTimes.Parse(part(2), s.d.Zone)
	return ok && raw[protocol.BeaconSize-1] == beaconVersion
}

// encode returns a beacon in the single form. A TempID that has not 20 digits is cut, or filled with blanks, which the
// machine finds invalid.
func (s *BeaconSide) encode(v *values) []byte {
	raw := make([]byte, protocol.TempIDSize, protocol.BeaconSize)
	for i := copy(raw, v.TempID); i < len(raw); i++ {
		raw[i] = ' '
	}
	raw = seedTimes.append(raw, v.Start.In(s.d.Zone))
	raw = seedTimes.append(raw, v.Expiry.In(s.d.Zone))
	return append(raw, beaconVersion)
}
