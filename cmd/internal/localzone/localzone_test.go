package localzone

import (
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	sydney, err := time.LoadLocation("Australia/Sydney")
	if err != nil {
		t.Fatal(err)
	}
	const unknown = ": must be a name like Australia/Sydney, or not set"
	for _, row := range []struct {
		tz   string
		zone *time.Location
		want string
	}{
		{"", time.UTC, ""},
		{"UTC", time.UTC, ""},
		{":UTC", time.UTC, ""},
		{"Australia/Sydney", sydney, ""},
		{"Mars/Phobos", time.UTC, `unknown time zone TZ="Mars/Phobos"` + unknown},
		{":Mars/Phobos", time.UTC, `unknown time zone TZ=":Mars/Phobos"` + unknown},
		{"AEST-10AEDT\x1b", time.UTC, `unknown time zone TZ="AEST-10AEDT\x1b"` + unknown},
	} {
		got := ""
		if err := Check(row.tz, row.zone); err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%q: %q, want %q", row.tz, got, row.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	sydney, err := time.LoadLocation("Australia/Sydney")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		zone *time.Location
		want string
	}{
		{sydney, `times are in the time zone "Australia/Sydney" (AEDT, UTC+11:00)`},
		{time.UTC, `times are in the time zone "UTC" (UTC, UTC+00:00)`},
		{time.FixedZone("Local", -3*3600-1800), "times are in the time zone of this machine (Local, UTC-03:30)"},
	} {
		if got := Describe(row.zone, time.Date(2026, 11, 28, 14, 28, 59, 0, time.UTC)); got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
}
