package protocol

import (
	"encoding/binary"
	"math/bits"
)

// sourceIndex finds a source, and the sources of an IP address, among thousands.
// It is made anew whenever its table grows. The hash is fixed: a sender who
// chooses addresses to collide costs one walk over at most MaxSources slots for
// each datagram.
type sourceIndex struct {
	bySource []ref // buckets, chained through source.next
	byIP     []ref // buckets, chained through host.next
	hosts    []host
	free     ref // first unused host, chained through host.next
}

// host is one IP address and its sources.
type host struct {
	ip      [16]byte
	sources chain // byHost
	count   uint16
	next    ref
}

// newSourceIndex indexes every slot in use, oldest first.
func newSourceIndex(t *sources) *sourceIndex {
	n := len(t.slots)
	x := &sourceIndex{
		bySource: make([]ref, n),
		byIP:     make([]ref, n),
		hosts:    make([]host, n),
	}
	for h := ref(n); h > none; h-- {
		x.host(h).next = x.free
		x.free = h
	}
	for r := t.all.oldest; r != none; r = t.at(r).links[byAge].newer {
		x.add(t, r)
		t.push(&x.host(t.at(r).host).sources, byHost, r)
	}
	return x
}

func (x *sourceIndex) host(h ref) *host { return &x.hosts[h-1] }

func (x *sourceIndex) find(t *sources, from Address) ref {
	r := *x.bucket(from)
	for r != none && t.at(r).from != from {
		r = t.at(r).next
	}
	return r
}

// add puts r into its bucket and counts it with its host. Linking it byHost is
// the table's.
func (x *sourceIndex) add(t *sources, r ref) {
	s := t.at(r)
	b := x.bucket(s.from)
	s.next, *b = *b, r
	h := x.findHost(s.from.IP)
	if h == none {
		h = x.addHost(s.from.IP)
	}
	s.host = h
	x.host(h).count++
}

// remove expects r to be cut from byHost already.
func (x *sourceIndex) remove(t *sources, r ref) {
	s := t.at(r)
	b := x.bucket(s.from)
	for *b != r {
		b = &t.at(*b).next
	}
	*b = s.next
	h := x.host(s.host)
	h.count--
	if h.count == 0 {
		x.removeHost(s.host)
	}
}

// oldestOfFull is the oldest source of an address that has reached its limit.
func (x *sourceIndex) oldestOfFull(ip [16]byte) ref {
	h := x.findHost(ip)
	if h == none || x.host(h).count < MaxSourcesPerAddress {
		return none
	}
	return x.host(h).sources.oldest
}

func (x *sourceIndex) findHost(ip [16]byte) ref {
	h := *x.hostBucket(ip)
	for h != none && x.host(h).ip != ip {
		h = x.host(h).next
	}
	return h
}

func (x *sourceIndex) addHost(ip [16]byte) ref {
	h := x.free
	x.free = x.host(h).next
	b := x.hostBucket(ip)
	*x.host(h) = host{ip: ip, next: *b}
	*b = h
	return h
}

func (x *sourceIndex) removeHost(h ref) {
	b := x.hostBucket(x.host(h).ip)
	for *b != h {
		b = &x.host(*b).next
	}
	*b = x.host(h).next
	x.host(h).next = x.free
	x.free = h
}

func (x *sourceIndex) bucket(from Address) *ref {
	h := hashIP(from.IP) ^ uint64(from.Port)*0x9e37_79b9_7f4a_7c15
	return &x.bySource[fold(h)&uint64(len(x.bySource)-1)]
}

func (x *sourceIndex) hostBucket(ip [16]byte) *ref {
	return &x.byIP[fold(hashIP(ip))&uint64(len(x.byIP)-1)]
}

func hashIP(ip [16]byte) uint64 {
	high, low := binary.LittleEndian.Uint64(ip[:8]), binary.LittleEndian.Uint64(ip[8:])
	return high ^ bits.RotateLeft64(low, 32)
}

// fold mixes all bits of h into the low ones.
func fold(h uint64) uint64 {
	hi, lo := bits.Mul64(h^0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db)
	return hi ^ lo
}
