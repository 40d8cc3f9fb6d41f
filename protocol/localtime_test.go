package protocol

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const goLayout = "02/01/2006 15:04:05"

func TestParseTime(t *testing.T) {
	tests := []struct {
		text string
		want LocalTime
	}{
		{"01/01/1970 00:00:00", 0},
		{"31/12/1969 23:59:59", -1},
		{"30/07/2020 16:58:12", 1596128292},
		{"23/11/2026 06:36:03", 1795415763},
		{"29/02/2000 12:00:00", 951825600},
		{"28/02/1900 23:59:59", -2203891201},
		{"29/02/0000 00:00:00", firstLocalTime + 59*daySeconds},
		{"01/01/0000 00:00:00", firstLocalTime},
		{"31/12/9999 23:59:59", lastLocalTime},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			got, err := ParseTime([]byte(test.text))
			if err != nil || got != test.want || got.String() != test.text {
				t.Errorf("ParseTime(%q) = %d, %v, want %d", test.text, got, err, test.want)
			}
		})
	}
}

func TestParseTimeRefuses(t *testing.T) {
	for _, text := range []string{
		"", "30/07/2020", "30/07/2020 6:58:12", "30/07/2020 06:58:12.5", "30/07/2020  6:58:12", "30/07/2020 06:58:1",
		"30/07/2020T06:58:12", "30-07-2020 06:58:12", "30/07/2020 06.58.12", "+1/07/2020 06:58:12", " 1/07/2020 06:58:12",
		"00/07/2020 06:58:12", "32/07/2020 06:58:12", "31/06/2020 06:58:12", "30/00/2020 06:58:12", "30/13/2020 06:58:12",
		"29/02/2021 06:58:12", "29/02/1900 06:58:12", "30/02/2000 06:58:12", "07/30/2020 06:58:12",
		"30/07/2020 24:00:00", "30/07/2020 06:60:12", "30/07/2020 06:58:60", "30/07/2020 06:58:12\n",
		"30/07/202\xb0 06:58:12", "30/07/2020\x0006:58:12", ":0/07/2020 06:58:12", "30/07/2020 06:58:1:",
	} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			if got, err := ParseTime([]byte(text)); err != ErrTime || got != 0 {
				t.Errorf("ParseTime(%q) = %d, %v, want ErrTime", text, got, err)
			}
		})
	}
}

// Every byte value at every position gives the result of the time package.
func TestParseTimeEveryByte(t *testing.T) {
	for _, text := range []string{"30/07/2020 16:58:12", "09/10/1999 23:59:39", "29/02/2000 00:00:00"} {
		for at := range TimeSize {
			for c := range 256 {
				b := []byte(text)
				b[at] = byte(c)
				checkParseTime(t, b)
			}
		}
	}
}

// Every day of 400 years, a whole cycle of the calendar, and every 97th of the others
// gives the result of the time package, in both directions.
func TestEveryDay(t *testing.T) {
	var want []byte
	var got [TimeSize]byte
	clock := LocalTime(0)
	step := LocalTime(daySeconds)
	for day := firstLocalTime; day <= lastLocalTime; day += step {
		if day == firstLocalTime+(cycleDays+366)*daySeconds {
			step = 97 * daySeconds
		}
		at := day + clock
		clock = (clock + 37_199) % daySeconds
		want = time.Unix(int64(at), 0).UTC().AppendFormat(want[:0], goLayout)
		at.Put(got[:])
		if string(got[:]) != string(want) {
			t.Fatalf("%d is written %q, want %q", at, got, want)
		}
		if back, err := ParseTime(got[:]); err != nil || back != at {
			t.Fatalf("%q is read %d, %v, want %d", got, back, err, at)
		}
	}
}

func TestLocalTimeAppend(t *testing.T) {
	got := LocalTime(1596128292).Append([]byte("at "))
	if string(got) != "at 30/07/2020 16:58:12" {
		t.Errorf("got %q", got)
	}
}

func TestPutPanicsWithTheNumbers(t *testing.T) {
	for _, at := range []LocalTime{firstLocalTime - 1, lastLocalTime + 1} {
		message := panicText(func() { at.Put(make([]byte, TimeSize)) })
		if !strings.Contains(message, "is outside -62167219200 to 253402300799") {
			t.Errorf("Put of %d panics with %q", at, message)
		}
	}
}

// panicText runs f and returns the value of its panic.
func panicText(f func()) (text string) {
	defer func() { text, _ = recover().(string) }()
	f()
	return ""
}

func checkParseTime(t *testing.T, b []byte) {
	t.Helper()
	got, err := ParseTime(b)
	want, wantErr := time.Parse(goLayout, string(b))
	if wantErr == nil && want.Format(goLayout) != string(b) {
		wantErr = ErrTime
	}
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("ParseTime(%q): %v, the time package: %v", b, err, wantErr)
	}
	if err != nil {
		return
	}
	if int64(got) != want.Unix() || got.String() != string(b) {
		t.Fatalf("ParseTime(%q) = %d, written %q, want %d", b, got, got, want.Unix())
	}
}

func FuzzParseTime(f *testing.F) {
	for _, text := range []string{"30/07/2020 16:58:12", "29/02/2100 24:60:60", "1/1/2020 6:58:12.25"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkParseTime(t, b) })
}
