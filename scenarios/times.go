package scenarios

import (
	"archive/zip"
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxDuration is the longest duration that may be written. Sums of a few such durations cannot overflow.
const maxDuration = 10 * 365 * 24 * time.Hour

const (
	durationPattern = `([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)`
	unsignedPattern = `(` + durationPattern + `)+`
	delayPattern    = `^(` + unsignedPattern + `|` + unsignedPattern + ` *\.\. *` + unsignedPattern + `|exp +` +
		unsignedPattern + `)$`
)

var (
	wholeDuration = regexp.MustCompile(`^[+-]?` + unsignedPattern + `$`)
	durationPart  = regexp.MustCompile(`([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)`)
	onlyNumber    = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)
)

// parseDuration parses Go's form exactly: a fraction of a nanosecond is refused, not cut off.
func parseDuration(text string) (time.Duration, error) {
	if onlyNumber.MatchString(text) {
		return 0, fmt.Errorf("a number needs a unit, as in %s", withUnits(text))
	}
	if !wholeDuration.MatchString(text) {
		return 0, errExpected
	}
	decimals := map[string]int{"ns": 0, "us": 3, "µs": 3, "μs": 3, "ms": 6, "s": 9}
	for _, part := range durationPart.FindAllStringSubmatch(text, -1) {
		if most, ok := decimals[part[3]]; ok && len(strings.TrimRight(part[2], "0")) > most {
			return 0, errors.New("it is finer than a nanosecond")
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d > maxDuration || d < -maxDuration {
		return 0, fmt.Errorf("it is longer than the longest, %s", durationText(maxDuration))
	}
	return d, nil
}

// withUnits suggests durations for a bare number.
func withUnits(number string) string {
	if strings.Trim(number, "+-0.") == "" {
		return number + "s"
	}
	return number + "ms or " + number + "s"
}

// parseUnsigned parses a duration of at least 0.
func parseUnsigned(text string) (time.Duration, error) {
	d, err := parseDuration(text)
	if err == nil && (d < 0 || strings.HasPrefix(text, "-")) {
		return 0, errors.New("it is negative")
	}
	return d, err
}

// parsePositive parses a duration above 0.
func parsePositive(text string) (time.Duration, error) {
	d, err := parseUnsigned(text)
	if err == nil && d == 0 {
		return 0, errors.New("it is zero")
	}
	return d, err
}

// parseDelay parses 5ms, 10ms..40ms and exp 5ms.
func parseDelay(text string) (Distribution, error) {
	if mean, ok := strings.CutPrefix(text, "exp "); ok {
		d, err := parsePositive(strings.TrimLeft(mean, " "))
		return Distribution{Mean: d}, err
	}
	low, high, ranged := strings.Cut(text, "..")
	if !ranged {
		d, err := parseUnsigned(text)
		return Distribution{Min: d, Max: d}, err
	}
	from, err := parseUnsigned(strings.TrimRight(low, " "))
	if err != nil {
		return Distribution{}, err
	}
	to, err := parseUnsigned(strings.TrimLeft(high, " "))
	if err == nil && to < from {
		err = fmt.Errorf("a range goes from the shorter to the longer, as in %s..%s", durationText(to),
			durationText(from))
	}
	return Distribution{Min: from, Max: to}, err
}

var percentRegexp = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?%$`)

// parsePercent parses 1% as 0.01.
func parsePercent(text string) (float64, error) {
	if onlyNumber.MatchString(text) {
		return 0, errors.New("it is written with a percent sign")
	}
	if !percentRegexp.MatchString(text) {
		return 0, errExpected
	}
	p, err := strconv.ParseFloat(strings.TrimSuffix(text, "%")+"e-2", 64)
	if err != nil || p > 1 {
		return 0, errors.New("it is more than 100%")
	}
	return p, nil
}

// durationText writes 1m30s, 50ms, 3h and 1h5s, without Go's 0s and 0m after another unit.
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	return strings.Replace(s, "h0m", "h", 1)
}

// Longest returns the longest delay of d. An exponential distribution has none; Longest returns ten times its mean,
// which one delay of 22,000 exceeds.
func (d Distribution) Longest() time.Duration {
	if d.Mean > 0 {
		return 10 * d.Mean
	}
	return d.Max
}

var (
	referenceRegexp = regexp.MustCompile(`^([^ ]+)((?: +[+-] +[^ ]+)*)$`)
	missingBlank    = regexp.MustCompile(`[^ ]\+|[^ ][+-] |[^ +-] +[+-][^ ]|[0-9.](ns|us|µs|μs|ms|s|m|h)-`)
)

const referencePattern = `^([+-]?` + unsignedPattern + `|[A-Za-z][A-Za-z0-9_-]*)( +[+-] +` + unsignedPattern + `)*$`

// parseReference parses a label or a duration, followed by any number of + DURATION and - DURATION.
func parseReference(text string) (When, error) {
	m := referenceRegexp.FindStringSubmatch(text)
	if m == nil {
		return When{}, orMissingBlank(text, errExpected)
	}
	var w When
	if nameRegexp.MatchString(m[1]) {
		w.Label = m[1]
	} else {
		d, err := parseDuration(m[1])
		if err != nil {
			return When{}, orMissingBlank(text, err)
		}
		w.Offset = d
	}
	terms := strings.Fields(m[2])
	for i := 0; i < len(terms); i += 2 {
		d, err := parseUnsigned(terms[i+1])
		if err != nil {
			return When{}, orMissingBlank(text, err)
		}
		if terms[i] == "-" {
			d = -d
		}
		if w.Offset += d; w.Offset.Abs() > maxDuration {
			return When{}, fmt.Errorf("its sum is longer than the longest, %s", durationText(maxDuration))
		}
	}
	return w, nil
}

// orMissingBlank returns err, or a better error if a blank is missing.
func orMissingBlank(text string, err error) error {
	if missingBlank.MatchString(text) {
		return errors.New("+ and - need blanks on both sides")
	}
	return err
}

// String returns the time as a file writes it.
func (at When) String() string {
	switch {
	case at.Label == "":
		return durationText(at.Offset)
	case at.Offset == 0:
		return at.Label
	}
	return at.Label + " + " + durationText(at.Offset)
}

var durationLike = regexp.MustCompile(`^[+-]?[0-9.]+[A-Za-zµμ]+$`)

// parseWireTime parses a duration, or returns any other text as one to be sent as it is. It refuses a text that looks
// like a mistyped duration.
func parseWireTime(text string) (WireTime, error) {
	d, err := parseDuration(text)
	if err == nil {
		return WireTime{Set: true, Offset: d}, nil
	}
	if durationLike.MatchString(text) || wholeDuration.MatchString(text) {
		return WireTime{}, err
	}
	return WireTime{Set: true, Text: text}, nil
}

// parseTraceTime parses a time of a trace: whole seconds without a unit, or a duration of whole seconds.
func parseTraceTime(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	switch {
	case err == nil && n <= maxTraceTime:
		return int64(n), nil
	case err == nil, errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("the latest time of a trace is %d s", int64(maxTraceTime))
	}
	d, err := parseUnsigned(text)
	if err == nil && d%time.Second != 0 {
		err = errors.New("a trace's time has whole seconds")
	}
	return int64(d / time.Second), err
}

// zoneinfo is the IANA time zone database of the Go distribution (lib/time/zoneinfo.zip). time.LoadLocation would use
// the machine's database, and two machines may have different rules.
//
//go:embed zoneinfo.zip
var zoneinfo []byte

const wallLayout = "02/01/2006 15:04:05"

// Zone returns the IANA time zone of that name. It uses the database of this program, whatever the machine has.
func Zone(name string) (*time.Location, error) {
	if name == "UTC" {
		return time.UTC, nil
	}
	archive, err := zip.NewReader(bytes.NewReader(zoneinfo), int64(len(zoneinfo)))
	if err != nil {
		return nil, fmt.Errorf("reading the time zone database: %w", err)
	}
	if text, err := fs.ReadFile(archive, name); err == nil {
		return time.LoadLocationFromTZData(name, text)
	}
	var names []string
	for _, f := range archive.File {
		if !f.FileInfo().IsDir() {
			names = append(names, f.Name)
		}
	}
	if near, ok := nearest(name, names); ok {
		return nil, finalMessage{fmt.Errorf("there is no such time zone; did you mean `%s`?", near)}
	}
	return nil, errors.New("there is no such time zone")
}

// parseWallTime parses DD/MM/YYYY HH:MM:SS, exactly 19 bytes, as a time without a zone, which is represented in UTC.
func parseWallTime(text string) (time.Time, error) {
	t, err := time.Parse(wallLayout, text)
	if err != nil || t.Format(wallLayout) != text {
		return time.Time{}, errExpected
	}
	return t, nil
}

// inZone returns the first instant at which clocks in zone show wall, in Unix seconds. It fails if they never do. It
// tries each offset that the zone has near wall for at least an hour: the end that Time.ZoneBounds returns
// may be before the time itself, at the turn of a year.
func inZone(wall time.Time, zone *time.Location) (first int64, err error) {
	const reach = 27 * time.Hour // more than any offset from UTC
	err = errors.New("clocks in the scenario's zone go forward over it")
	for d := -reach; d <= reach; d += time.Hour {
		_, offset := wall.Add(d).In(zone).Zone()
		instant := wall.Add(-time.Duration(offset) * time.Second)
		if _, real := instant.In(zone).Zone(); real == offset && (err != nil || instant.Unix() < first) {
			first, err = instant.Unix(), nil
		}
	}
	return first, err
}

// String returns the distribution as a file writes it.
func (d Distribution) String() string {
	switch {
	case d.Mean > 0:
		return "exp " + durationText(d.Mean)
	case d.Min == d.Max:
		return durationText(d.Min)
	}
	return durationText(d.Min) + ".." + durationText(d.Max)
}

// percentText writes 0.01 as 1%, exactly.
func percentText(p float64) string {
	whole, fraction, _ := strings.Cut(numberText(p), ".")
	fraction += "00"
	text := cmp.Or(strings.TrimLeft(whole+fraction[:2], "0"), "0")
	if rest := strings.TrimRight(fraction[2:], "0"); rest != "" {
		text += "." + rest
	}
	return text + "%"
}

// numberText writes a number with as few digits as it needs, without an exponent.
func numberText(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// secondsText writes a number of seconds as a duration.
func secondsText(n float64) string {
	return durationText(time.Duration(math.Round(n * float64(time.Second))))
}
