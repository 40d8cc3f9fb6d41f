package protocol

import "fmt"

// The layout of a beacon (PROTOCOL.md section 3): TempID, start, expiry,
// version.
const (
	BeaconSize = 59
	Parts      = 4
	Version    = '1'

	startAt   = TempIDSize
	expiryAt  = startAt + TimeSize
	versionAt = expiryAt + TimeSize
)

// Form is how a beacon is put on the wire. A receiver takes both.
type Form uint8

// The two forms (PROTOCOL.md section 3).
const (
	Split  Form = iota // four datagrams of 20, 19, 19 and 1 bytes
	Single             // one datagram of 59 bytes
)

func (f Form) String() string {
	switch f {
	case Split:
		return "split"
	case Single:
		return "single"
	}
	return "unknown form"
}

// Beacon is what one phone says to another, without its version.
type Beacon struct {
	TempID        TempID
	Start, Expiry LocalTime
}

// Encode writes the whole beacon with our version. It panics when a time cannot
// be written (LocalTime.Put).
func (b *Beacon) Encode(dst *[BeaconSize]byte) {
	*(*TempID)(dst[:startAt]) = b.TempID
	day, clock := b.Start.split()
	date, middle := dateWords(day)
	putWords((*[TimeSize]byte)(dst[startAt:]), date, middle, clockWord(clock))
	expiryDay, clock := b.Expiry.split()
	if expiryDay != day { // seldom: a life is 15 minutes
		date, middle = dateWords(expiryDay)
	}
	putWords((*[TimeSize]byte)(dst[expiryAt:]), date, middle, clockWord(clock))
	dst[versionAt] = Version
}

// Part is datagram i, 0 to 3, of the split form: 20, 19, 19 or 1 bytes of whole.
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

// DecodeBeacon takes a whole beacon of exactly 59 bytes with our version. What
// it takes, Encode writes again as the same bytes. The error is ErrLength,
// ErrTempID, ErrTime or ErrVersion. Whether the beacon is valid is Judge's to
// say.
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

// decode reads all but the version; with an error b is undefined.
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

// Judge says whether a beacon that is judged at wall (Unix nanoseconds) is
// valid: no error, which means that it is well formed and start <= wall < expiry
// (PROTOCOL.md sections 1 and 3). version is false when the fourth part never
// came; the first three decide then.
//
// The error is the first of these that holds: ErrTempID, ErrTime, ErrVersion,
// ErrGap, ErrNotAfter, ErrEarly, ErrExpired. From ErrVersion on, the beacon is
// returned all the same.
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
	t := floorSeconds(wall)
	if t < span.Start {
		return b, ErrEarly
	}
	if t >= span.Expiry {
		return b, ErrExpired
	}
	return b, nil
}
