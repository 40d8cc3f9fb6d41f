package event

import (
	"strconv"
	"time"
)

// Seconds renders nanoseconds of a world's time as seconds with nine decimals.
func Seconds(at int64) string { return string(appendSeconds(nil, at)) }

func appendSeconds(dst []byte, at int64) []byte {
	if at < 0 {
		dst = append(dst, '-')
		at = -at
	}
	dst = strconv.AppendInt(dst, at/int64(time.Second), 10)
	dst = append(dst, '.')
	frac := at % int64(time.Second)
	for unit := int64(time.Second) / 10; unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+frac/unit%10))
	}
	return dst
}
