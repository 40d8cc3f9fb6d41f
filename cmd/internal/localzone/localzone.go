// Package localzone checks and describes the time zone of a program. A program that imports
// it has the time zone database in itself, and needs none of the machine.
package localzone

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the time zone database
)

// Check returns an error if tz, the variable TZ, names a zone that local is not. Then the
// zone is unknown, and package time uses UTC instead.
func Check(tz string, local *time.Location) error {
	name := strings.TrimPrefix(tz, ":")
	if name == "" || name == "UTC" || local.String() != "UTC" {
		return nil
	}
	return fmt.Errorf("unknown time zone TZ=%q: must be a name like Australia/Sydney, or not set", tz)
}

// Describe returns a line about a zone and its offset at now.
func Describe(zone *time.Location, now time.Time) string {
	name := "of this machine"
	if zone.String() != "Local" {
		name = fmt.Sprintf("%q", zone)
	}
	return fmt.Sprintf("times are in the time zone %s (%s)", name, now.In(zone).Format("MST, UTC-07:00"))
}
