package protocol

import (
	"errors"
	"fmt"
	"net/netip"
)

// Layout of an encoded beacon (PROTOCOL.md section 3): TempID, start, expiry,
// version. Sizes and offsets are in bytes.
const (
	BeaconSize = 59
	Parts      = 4
	Version    = '1'

	startAt   = TempIDSize
	expiryAt  = startAt + TimeSize
	versionAt = expiryAt + TimeSize
)

// Form is the form in which a phone sends a beacon. A receiver accepts both forms.
type Form uint8

// The two forms (PROTOCOL.md section 3).
const (
	Split  Form = iota // four datagrams of 20, 19, 19 and 1 bytes
	Single             // one datagram of 59 bytes
)

func (f Form) String() string {
	return NameOf(f, "split", "single")
}

// Beacon is the message of one phone to another, without the version.
type Beacon struct {
	TempID        TempID
	Start, Expiry LocalTime
}

// Encode writes the 59 bytes of the beacon, with version 1, to dst. It panics if the
// year of Start or Expiry is not 0000 to 9999.
func (b *Beacon) Encode(dst *[BeaconSize]byte) {
	*(*TempID)(dst[:startAt]) = b.TempID
	day, clock := b.Start.split()
	date, middle := dateWords(day)
	putWords((*[TimeSize]byte)(dst[startAt:]), date, middle, clockWord(clock))
	expiryDay, clock := b.Expiry.split()
	if expiryDay != day { // rarely: a lifetime is 15 minutes
		date, middle = dateWords(expiryDay)
	}
	putWords((*[TimeSize]byte)(dst[expiryAt:]), date, middle, clockWord(clock))
	dst[versionAt] = Version
}

// Part returns the bytes of datagram i of the split form: 20, 19, 19 or 1 bytes of
// whole. It panics if i is not 0 to 3.
func Part(whole *[BeaconSize]byte, i int) []byte {
	switch i {
	case 0:
		return whole[:startAt:startAt]
	case 1:
		return whole[startAt:expiryAt:expiryAt]
	case 2:
		return whole[expiryAt:versionAt:versionAt]
	case 3:
		return whole[versionAt:]
	}
	panic(fmt.Sprintf("protocol: a beacon has no part %d, only 0 to %d", i, Parts-1))
}

// DecodeBeacon decodes a whole beacon of exactly 59 bytes with version 1. Encoding the
// result gives the same bytes. The error is ErrLength, ErrTempID, ErrTime or
// ErrVersion. DecodeBeacon does not check whether the beacon is valid at some time: see
// Judge.
func DecodeBeacon(p []byte) (b Beacon, err error) {
	if len(p) != BeaconSize {
		return Beacon{}, ErrLength
	}
	raw := (*[BeaconSize]byte)(p)
	if err := b.decode(raw); err != nil {
		return Beacon{}, err
	}
	if raw[versionAt] != Version {
		return Beacon{}, ErrVersion
	}
	return b, nil
}

// decode sets b from all fields of raw except the version. The error is ErrTempID or
// ErrTime. After an error b is undefined.
func (b *Beacon) decode(raw *[BeaconSize]byte) error {
	var ok bool
	if b.TempID = TempID(raw[:startAt]); !allDigits((*[TempIDSize]byte)(&b.TempID)) {
		return ErrTempID
	}
	if b.Start, ok = readTime((*[TimeSize]byte)(raw[startAt:])); !ok {
		return ErrTime
	}
	if b.Expiry, ok = readTime((*[TimeSize]byte)(raw[expiryAt:])); !ok {
		return ErrTime
	}
	return nil
}

// Judge decides whether a beacon is valid at the wall time wall, in Unix nanoseconds
// (PROTOCOL.md sections 1 and 3). A beacon is valid if it is well formed and start <=
// wall < expiry. The zone z converts its local times. version reports whether the
// fourth part arrived. If it did not, the version byte of raw is ignored.
//
// The error of a valid beacon is nil. Otherwise it is the first of these that applies:
// ErrTempID, ErrTime, ErrVersion, ErrGap, ErrNotAfter, ErrEarly, ErrExpired. From
// ErrVersion on, Judge returns the decoded beacon together with the error.
func Judge(raw *[BeaconSize]byte, version bool, z *Zone, wall int64) (b Beacon, err error) {
	if err := b.decode(raw); err != nil {
		return Beacon{}, err
	}
	if version && raw[versionAt] != Version {
		return b, ErrVersion
	}
	span, err := z.Pair(b.Start, b.Expiry, wall)
	if err != nil {
		return b, err
	}
	t := UnixSeconds(wall)
	if t < span.Start {
		return b, ErrEarly
	}
	if t >= span.Expiry {
		return b, ErrExpired
	}
	return b, nil
}

// Errors about a beacon (PROTOCOL.md sections 1 and 3). This package returns these
// values unwrapped, so that they can be compared with ==.
var (
	ErrLength    = errors.New("a beacon has 59 bytes")
	ErrTempID    = errors.New("a TempID has 20 decimal digits")
	ErrTime      = errors.New("a time reads DD/MM/YYYY HH:MM:SS")
	ErrVersion   = errors.New("the beacon has another version than 1")
	ErrGap       = errors.New("the zone's clocks skipped this local time")
	ErrNotAfter  = errors.New("the expiry is not after the start")
	ErrEarly     = errors.New("the beacon's start has not come yet")
	ErrExpired   = errors.New("the beacon has expired")
	ErrOutOfTurn = errors.New("a part of a beacon came out of turn")
)

// Address is the source or destination of a datagram, without a pointer. An IPv4
// address has its IPv6-mapped form, so that the two forms in which a socket may
// report it are equal. The zone of a link-local IPv6 address is dropped.
type Address struct {
	IP   [16]byte
	Port uint16
}

// AddressOf converts an AddrPort. The zero AddrPort becomes [::]:0.
func AddressOf(a netip.AddrPort) Address {
	return Address{IP: a.Addr().As16(), Port: a.Port()}
}

// AddrPort converts the address back to an AddrPort. An IPv4-mapped address becomes an
// IPv4 address.
func (a Address) AddrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.IP).Unmap(), a.Port)
}

func (a Address) String() string { return a.AddrPort().String() }
