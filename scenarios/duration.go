package scenarios

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxDuration is the longest that may be written, so that sums of a few cannot
// overflow.
const maxDuration = 10 * 365 * 24 * time.Hour

const (
	durationPattern = `([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)`
	unsignedPattern = `(` + durationPattern + `)+`
	delayPattern    = `^(` + unsignedPattern + `|` + unsignedPattern + ` *\.\. *` + unsignedPattern + `|exp +` + unsignedPattern + `)$`
)

var (
	wholeDuration = regexp.MustCompile(`^[+-]?` + unsignedPattern + `$`)
	durationPart  = regexp.MustCompile(`([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)`)
	onlyNumber    = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)
)

// parseDuration reads Go's form, exactly: what is finer than a nanosecond is
// refused, not cut.
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
		return 0, fmt.Errorf("it is longer than the longest, %s", shortDuration(maxDuration))
	}
	return d, nil
}

// withUnits is what a bare number may have been meant to be.
func withUnits(number string) string {
	if strings.Trim(number, "+-0.") == "" {
		return number + "s"
	}
	return number + "ms or " + number + "s"
}

func parseUnsigned(text string) (time.Duration, error) {
	d, err := parseDuration(text)
	if err == nil && (d < 0 || strings.HasPrefix(text, "-")) {
		return 0, errors.New("it is negative")
	}
	return d, err
}

func parsePositive(text string) (time.Duration, error) {
	d, err := parseUnsigned(text)
	if err == nil && d == 0 {
		return 0, errors.New("it is zero")
	}
	return d, err
}

// parseDelay reads 5ms, 10ms..40ms and exp 5ms.
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
		err = fmt.Errorf("a range goes from the shorter to the longer, as in %s..%s", shortDuration(to), shortDuration(from))
	}
	return Distribution{Min: from, Max: to}, err
}

var percent = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?%$`)

// parsePercent reads 1% as 0.01.
func parsePercent(text string) (float64, error) {
	if onlyNumber.MatchString(text) {
		return 0, errors.New("it is written with a percent sign")
	}
	if !percent.MatchString(text) {
		return 0, errExpected
	}
	p, err := strconv.ParseFloat(strings.TrimSuffix(text, "%")+"e-2", 64)
	if err != nil || p > 1 {
		return 0, errors.New("it is more than 100%")
	}
	return p, nil
}

// shortDuration writes 1m30s, 50ms and 3h, without Go's trailing 0s and 0m.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Longest is the longest delay that d gives. An exponential one has no longest;
// ten times its mean stands for it (one of 22,000 is longer).
func (d Distribution) Longest() time.Duration {
	if d.Mean > 0 {
		return 10 * d.Mean
	}
	return d.Max
}
