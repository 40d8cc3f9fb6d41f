package protocol

import (
	"errors"
	"fmt"
)

// What can be wrong with a beacon (PROTOCOL.md sections 1 and 3). The functions
// of this package return these values themselves, never wrapped: compare with ==.
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

// What can be wrong with the count of an upload (PROTOCOL.md section 2). Each of
// the others wraps ErrCount.
var (
	ErrCount       = errors.New("no count of lines")
	ErrCountDigits = fmt.Errorf("%w: it is not 1 to 7 digits", ErrCount)
	ErrCountThree  = fmt.Errorf("%w: it is not a multiple of 3", ErrCount)
	ErrCountLimit  = fmt.Errorf("%w: it is above the limit", ErrCount)
)
