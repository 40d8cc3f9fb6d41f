package protocol

import (
	"encoding/binary"
	"fmt"
)

// TimeSize is the length of a time on the wire and in files, in bytes.
const TimeSize = 19

// LocalTime is a written time DD/MM/YYYY HH:MM:SS, without a zone (PROTOCOL.md section
// 1). Its value is the number of seconds since 01/01/1970 00:00:00 on the Gregorian
// calendar, with 86,400 in each day. The years 0000 to 9999 can be written. Zone
// converts it to an instant.
//
// The functions of this file handle eight bytes at a time. A beacon has two times, so
// the simulation of a crowd reads and writes millions of times per second. Parsing one
// takes 7 ns here and 100 ns with time.Parse.
type LocalTime int64

const (
	firstLocalTime LocalTime = -62_167_219_200 // 01/01/0000 00:00:00
	lastLocalTime  LocalTime = 253_402_300_799 // 31/12/9999 23:59:59

	daySeconds = 86_400

	// The calendar arithmetic counts days from 01/03/-400, because a year that begins
	// in March has its leap day last, and 400 years are a whole cycle. In this count
	// 01/01/0000 is day firstDayInMarchs.
	cycleYears       = 400
	cycleDays        = 146_097
	marchDayOfYear   = 60 // 1 March in a leap year, where 1 January is 0
	firstDayInMarchs = cycleDays - marchDayOfYear
)

// ParseTime parses exactly the 19 bytes DD/MM/YYYY HH:MM:SS, with a date of the
// Gregorian calendar and a time from 00:00:00 to 23:59:59. Writing the result with Put
// gives the same bytes. The error is ErrTime. ParseTime does not check that the clocks
// of a zone ever showed that time: see Zone.
func ParseTime(b []byte) (LocalTime, error) {
	if len(b) != TimeSize {
		return 0, ErrTime
	}
	t, ok := readTime((*[TimeSize]byte)(b))
	if !ok {
		return 0, ErrTime
	}
	return t, nil
}

func readTime(b *[TimeSize]byte) (t LocalTime, ok bool) {
	date, ok1 := pairs(binary.LittleEndian.Uint64(b[0:]), patternDate)
	middle, ok2 := pairs(binary.LittleEndian.Uint64(b[8:]), patternMiddle)
	clock, ok3 := pairs(binary.LittleEndian.Uint64(b[11:]), patternClock)
	if !ok1 || !ok2 || !ok3 {
		return 0, false
	}
	day, month, year := pair(date, 0), pair(date, 3), pair(date, 6)*100+pair(middle, 0)
	hour, minute, second := pair(clock, 0), pair(clock, 3), pair(clock, 6)
	if month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	if day > 28 && day > monthDays(year, month) {
		return 0, false
	}
	seconds := dayNumber(year, month, day)*daySeconds + hour*3600 + minute*60 + second
	return firstLocalTime + LocalTime(seconds), true
}

// Put writes t into the first 19 bytes of dst. It panics if the year is not 0000 to
// 9999, or if dst is shorter.
func (t LocalTime) Put(dst []byte) {
	day, clock := t.split()
	date, middle := dateWords(day)
	putWords((*[TimeSize]byte)(dst), date, middle, clockWord(clock))
}

// split returns the number of days since 01/01/0000 and the number of seconds since
// midnight. It panics if the year is not 0000 to 9999.
func (t LocalTime) split() (day, clock uint32) {
	if t < firstLocalTime || t > lastLocalTime {
		panic(fmt.Sprintf("protocol: local time %d is outside %d to %d (years 0000 to 9999)",
			int64(t), int64(firstLocalTime), int64(lastLocalTime)))
	}
	seconds := uint64(t - firstLocalTime)
	day = uint32(seconds / daySeconds)
	return day, uint32(seconds - uint64(day)*daySeconds)
}

// dateWords returns the bytes "DD/MM/YY" and "YY 00:00" of a day, which is counted from
// 01/01/0000. Each word holds eight bytes, the first one lowest.
func dateWords(day uint32) (date, middle uint64) {
	year, month, mday := civil(day)
	century := year / 100
	return unpairs(mday, month, century, patternDate), unpairs(year-100*century, 0, 0, patternMiddle)
}

// clockWord returns the bytes "HH:MM:SS" of a time in seconds since midnight, the first
// byte lowest.
func clockWord(clock uint32) uint64 {
	return unpairs(clock/3600, clock/60%60, clock%60, patternClock)
}

// putWords writes the three overlapping words of a time: date at byte 0, middle at byte
// 8 and clock at byte 11. The clock overwrites the zeros of the middle.
func putWords(d *[TimeSize]byte, date, middle, clock uint64) {
	binary.LittleEndian.PutUint64(d[0:], date)
	binary.LittleEndian.PutUint64(d[8:], middle)
	binary.LittleEndian.PutUint64(d[11:], clock)
}

// Append appends the 19 bytes of t to dst. It panics if the year is not 0000 to
// 9999.
func (t LocalTime) Append(dst []byte) []byte {
	n := len(dst)
	dst = append(dst, "DD/MM/YYYY HH:MM:SS"...)
	t.Put(dst[n:])
	return dst
}

func (t LocalTime) String() string {
	var b [TimeSize]byte
	t.Put(b[:])
	return string(b[:])
}

// Patterns of eight bytes of a time, with the character 0 for each digit. The first
// byte is the lowest of the word.
const (
	patternDate   = 0x30_30_2f_30_30_2f_30_30 // "00/00/00": DD/MM/YY
	patternMiddle = 0x30_30_3a_30_30_20_30_30 // "00 00:00": YY HH:MM
	patternClock  = 0x30_30_3a_30_30_3a_30_30 // "00:00:00": HH:MM:SS
)

// pairs checks the eight bytes of word against a pattern. It returns the values of the
// three pairs of digits in bytes 0, 3 and 6 of the result. It returns false if a byte
// is neither a digit nor the separator of the pattern.
func pairs(word, pattern uint64) (uint64, bool) {
	// A digit becomes 0 to 9, a separator 0. Anything larger reaches the high bit
	// when distance is added. No carry is missed: a byte that causes one has its
	// high bit set before or after the addition.
	const distance, high = 0x76_76_7f_76_76_7f_76_76, 0x80_80_80_80_80_80_80_80
	x := word ^ pattern
	if (x|(x+distance))&high != 0 {
		return 0, false
	}
	return x*10 + x>>8, true
}

// pair returns the value in byte at of a result of pairs.
func pair(pairs uint64, at uint) uint64 { return pairs >> (8 * at) & 0xff }

// unpairs is the inverse of pairs. The values a, b and c are 0 to 99.
func unpairs(a, b, c uint32, pattern uint64) uint64 {
	x := uint64(a) | uint64(b)<<24 | uint64(c)<<48
	// v*103>>10 is v/10 up to 178, and v*103 stays within its 24 bits.
	tens := x * 103 >> 10 & 0x0f_00_00_0f_00_00_0f
	return tens | (x-10*tens)<<8 | pattern
}

// monthDays returns the number of days of a month.
func monthDays(year, month uint64) uint64 {
	if month == 2 {
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 30 + (month+month>>3)&1
}

// dayNumber returns the number of days since 01/01/0000.
func dayNumber(year, month, day uint64) uint64 {
	y, m := year+cycleYears, month
	if m < 3 {
		y, m = y-1, m+12
	}
	return 365*y + y/4 - y/100 + y/400 + (153*m-457)/5 + day - 1 - firstDayInMarchs
}

// civil is the inverse of dayNumber. It uses no loop and no table: see Neri and
// Schneider, "Euclidean affine functions".
func civil(dayNumber uint32) (year, month, day uint32) {
	n := 4*(dayNumber+firstDayInMarchs) + 3
	century := n / cycleDays
	p := uint64(n%cycleDays|3) * 2_939_745
	yearOfCentury := uint32(p >> 32)
	dayOfYear := uint32(p) / 2_939_745 / 4
	m := 2141*dayOfYear + 197_913
	year = 100*century + yearOfCentury - cycleYears
	month, day = m>>16, m&0xffff/2141+1
	if dayOfYear >= 306 {
		return year + 1, month - 12, day
	}
	return year, month, day
}
