package files

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bluetrace/nodes"
)

// attempts.txt: its first line is attemptsMark and the key of unknown names in
// hex; every other line is the state of one name,
//
//	known NAME WRONG UNTIL DURATION
//	unknown HASH WRONG UNTIL DURATION
//
// where NAME has what is not plain ASCII escaped as in a URL's path, HASH is in
// hex, WRONG counts passwords, UNTIL is the end of the block in Unix nanoseconds
// (0: none) and DURATION its full length in nanoseconds.
const attemptsMark = "bluetrace attempts 1 "

var errAttemptsLine = errors.New("it is not the state of a name")

func appendKey(dst []byte, key [32]byte) []byte {
	dst = append(dst, attemptsMark...)
	return append(hex.AppendEncode(dst, key[:]), '\n')
}

// readKey takes the first line without its line feed.
func readKey(line []byte) (key [32]byte, ok bool) {
	digits, ok := bytes.CutPrefix(line, []byte(attemptsMark))
	if !ok || !readHex(key[:], digits) {
		return [32]byte{}, false
	}
	return key, true
}

// readHex fills dst from exactly twice as many lower-case digits.
func readHex(dst, digits []byte) bool {
	if len(digits) != 2*len(dst) || bytes.ContainsAny(digits, "ABCDEF") {
		return false
	}
	_, err := hex.Decode(dst, digits)
	return err == nil
}

func appendAttempts(dst []byte, a *nodes.Attempts) []byte {
	if a.Known {
		dst = append(append(dst, "known "...), url.PathEscape(a.User)...)
	} else {
		dst = hex.AppendEncode(append(dst, "unknown "...), a.Hash[:])
	}
	for _, v := range [...]int64{int64(a.Wrong), a.BlockedUntil, int64(a.BlockDuration)} {
		dst = strconv.AppendInt(append(dst, ' '), v, 10)
	}
	return append(dst, '\n')
}

// writable says what is wrong with a state that readAttempts would refuse.
func writable(a *nodes.Attempts) error {
	switch {
	case a.Known && len(a.User) > longestUser:
		return fmt.Errorf("writing the attempts of %.64q...: the name has %d bytes, and %d are the most", a.User, len(a.User), longestUser)
	case a.Wrong < 0 || a.Wrong > math.MaxInt32 || a.BlockDuration < 0 || a.BlockedUntil != 0 && a.BlockDuration == 0:
		return fmt.Errorf("writing the attempts of %q: %d wrong passwords, a block of %v until %d", a.User, a.Wrong, a.BlockDuration, a.BlockedUntil)
	}
	return nil
}

// readAttempts takes a line without its line feed, and only as appendAttempts
// writes it.
func readAttempts(line []byte) (a nodes.Attempts, err error) {
	f := strings.Split(string(line), " ")
	if len(f) != 5 {
		return a, errAttemptsLine
	}
	a.Known = f[0] == "known"
	if a.Known {
		a.User, err = url.PathUnescape(f[1])
	} else if !readHex(a.Hash[:], []byte(f[1])) {
		err = errAttemptsLine
	}
	wrong, err1 := strconv.ParseInt(f[2], 10, 32)
	until, err2 := strconv.ParseInt(f[3], 10, 64)
	duration, err3 := strconv.ParseInt(f[4], 10, 64)
	a.Wrong, a.BlockedUntil, a.BlockDuration = int(wrong), until, time.Duration(duration)
	if err != nil || err1 != nil || err2 != nil || err3 != nil || writable(&a) != nil {
		return nodes.Attempts{}, errAttemptsLine
	}
	if again := appendAttempts(nil, &a); string(again[:len(again)-1]) != string(line) {
		return nodes.Attempts{}, errAttemptsLine
	}
	return a, nil
}
