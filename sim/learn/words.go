package learn

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"bluetrace/protocol/dialect"
)

// words replaces known values in messages by placeholders.
type words struct {
	tempIDs map[string]bool // known TempIDs
	digits  int             // of a TempID; 0 if unknown
	layout  dialect.Layout  // of times; "" if unknown
	block   int             // the duration of a block in seconds; above blockSpan
	count   int             // entries of an upload; 0 if unknown
	bytes   int             // length of the entries of an upload
}

// layouts lists the layouts of times that are recognized, the likelier ones first.
var layouts = makeLayouts()

type layoutPattern struct {
	layout  dialect.Layout
	pattern *regexp.Regexp
}

func makeLayouts() (list []layoutPattern) {
	digit := regexp.MustCompile(`[0-9]`)
	for _, date := range []string{
		"02/01/2006", "2006-01-02", "01/02/2006", "02-01-2006", "2006/01/02", "02.01.2006", "01-02-2006", "02/01/06",
	} {
		for _, form := range []string{
			"D 15:04:05", "DT15:04:05", "D, 15:04:05", "D-15:04:05", "D_15:04:05", "D  15:04:05", "D,15:04:05",
			"15:04:05 D",
		} {
			layout := strings.Replace(form, "D", date, 1)
			pattern := regexp.MustCompile(digit.ReplaceAllString(regexp.QuoteMeta(layout), `\d`))
			list = append(list, layoutPattern{dialect.Layout(layout), pattern})
		}
	}
	return append(list, layoutPattern{dialect.Unix, digitRun})
}

// nearby is the largest difference between a time on the wire and the time of its message: programs may run in another
// zone.
const nearby = 27 * time.Hour

var digitRun = regexp.MustCompile(`[0-9]+`)

// timeIn returns the place of the first time in a text that is near at, with its value.
func (l layoutPattern) timeIn(text string, at time.Time) (place []int, t time.Time) {
	for from := 0; ; {
		place = l.pattern.FindStringIndex(text[from:])
		if place == nil {
			return nil, t
		}
		place[0], place[1] = place[0]+from, place[1]+from
		t, ok := l.layout.Parse(text[place[0]:place[1]], time.UTC)
		if l.layout == dialect.Unix {
			ok = ok && place[1]-place[0] == unixDigits
			from = place[1]
		} else {
			from = place[0] + 1
		}
		if ok && t.Sub(at).Abs() < nearby {
			return place, t
		}
	}
}

// unixDigits is the length of a time in seconds since 1970.
const unixDigits = 10

// layoutOf returns the layout of the times in a text: that with the time nearest to at, and Unix only without another
// one. It returns "" if there is no time.
func layoutOf(text string, at time.Time) (best dialect.Layout) {
	nearest := nearby
	for _, l := range layouts {
		place, t := l.timeIn(text, at)
		if far := t.Sub(at).Abs(); place != nil && far < nearest && (best == "" || l.layout != dialect.Unix) {
			best, nearest = l.layout, far
		}
	}
	return best
}

// timeIn returns the place of the first time in a text.
func (w *words) timeIn(text string, at time.Time) ([]int, time.Time) {
	i := slices.IndexFunc(layouts, func(l layoutPattern) bool { return l.layout == w.layout })
	if i < 0 {
		return nil, at
	}
	return layouts[i].timeIn(text, at)
}

// longestDigits returns the longest run of digits in a text.
func longestDigits(text string) string {
	runs := append(digitRun.FindAllString(text, -1), "")
	return slices.MaxFunc(runs, func(a, b string) int { return len(a) - len(b) })
}

// tempIDIn returns the place of the first TempID in a text: a known one, else one of as many digits.
func (w *words) tempIDIn(text string) []int {
	for _, place := range digitRun.FindAllStringIndex(text, -1) {
		if run := text[place[0]:place[1]]; w.tempIDs[run] || w.digits >= 8 && len(run) == w.digits {
			return place
		}
	}
	for id := range w.tempIDs { // digits that are joined with others, as in a beacon of 59 bytes
		if i := strings.Index(text, id); i >= 0 {
			return []int{i, i + len(id)}
		}
	}
	if run := digitRun.FindStringIndex(text); w.digits >= 16 && run != nil && run[1]-run[0] > w.digits {
		return []int{run[0], run[0] + w.digits}
	}
	return nil
}

// farAhead separates an expiry, in 15 minutes, from a start and the present.
const farAhead = time.Minute

// fill returns the text of a message with placeholders in place of the values. user and password are those of the
// session; either may be "". times reports whether times are those of a TempID; others become {now} or {*}.
func (w *words) fill(m message, user, password string, times bool) string {
	var b strings.Builder
	rest := m.text
	started := false
	for rest != "" {
		place, holder := w.next(rest, m, user, password)
		if place == nil {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:place[0]])
		switch holder {
		case "{tempid}":
			started = false
		case "{start}", "{expiry}":
			switch {
			case !times && m.up, times && holder == "{start}" && started:
				holder = "{now}"
			case !times:
				holder = "{*}"
			case holder == "{start}":
				started = true
			}
		}
		b.WriteString(holder)
		rest = rest[place[1]:]
		isTime := slices.Contains([]string{"{start}", "{expiry}", "{now}"}, holder)
		if n := len(fraction.FindString(rest)); n > 0 && isTime {
			if m.up {
				b.WriteString("." + strings.Repeat("0", n-1))
			} else {
				b.WriteString(".{*}")
			}
			rest = rest[n:]
		}
	}
	return w.numbers(b.String(), m.up, times)
}

// fraction matches a fraction of a second at the beginning of a text.
var fraction = regexp.MustCompile(`^\.\d{1,9}`)

// next returns the place and the placeholder of the first value in a text.
func (w *words) next(text string, m message, user, password string) (place []int, holder string) {
	consider := func(p []int, h string) {
		if p != nil && (place == nil || p[0] < place[0] || p[0] == place[0] && p[1] > place[1]) {
			place, holder = p, h
		}
	}
	for _, v := range [][2]string{{user, "{user}"}, {password, "{password}"}} {
		if i := strings.Index(text, v[0]); i >= 0 && v[0] != "" {
			consider([]int{i, i + len(v[0])}, v[1])
		}
	}
	consider(w.tempIDIn(text), "{tempid}")
	if p, t := w.timeIn(text, m.at); p != nil {
		name := "{start}"
		if t.Sub(m.at) > farAhead {
			name = "{expiry}"
		}
		consider(p, name)
	}
	return place, holder
}

var (
	// timeOfDay matches dates and times of day in an answer to a login.
	timeOfDay = regexp.MustCompile(`\b\d{1,4}([-/.])\d{1,2}[-/.]\d{1,4}\b|\b\d\d:\d\d(:\d\d)?(\.\d+)?\b`)
	// fractional matches a number with a fraction. After a slash it is a version.
	fractional = regexp.MustCompile(`(^|[^/\w.])\d+\.\d+\b`)
)

// blockSpan is the number of whole seconds by which what is left of a block may be shorter than the block.
const blockSpan = 15

// blockWords matches a text that has the seconds of a block.
var blockWords = regexp.MustCompile(`(?i)sec|\bs\b|wait|left|remain`)

// blockSeconds returns an answer for a blocked account with {*} in place of the seconds of the block, or of what is
// left of it.
func (w *words) blockSeconds(text string) string {
	if w.block <= blockSpan || !blockWords.MatchString(text) {
		return text
	}
	return digitRun.ReplaceAllStringFunc(text, func(run string) string {
		if n, err := strconv.Atoi(run); err == nil && n > w.block-blockSpan && n <= w.block {
			return "{*}"
		}
		return run
	})
}

// numbers replaces the counts of an upload, and times in an answer to a login.
func (w *words) numbers(text string, up, upload bool) string {
	values := map[string]string{}
	switch {
	case !up && !upload:
		text = fractional.ReplaceAllString(timeOfDay.ReplaceAllString(text, "{*}"), "$1{*}")
	case upload && w.count > 0 && !up:
		values[strconv.Itoa(w.count)] = "{*}"
	case upload && w.count > 0:
		values[strconv.Itoa(w.count)] = "{n}"
		values[strconv.Itoa(3*w.count)] = "{3n}"
		if w.bytes > 0 {
			values[strconv.Itoa(w.bytes)] = "{bytes}"
		}
	}
	if len(values) == 0 || strings.Contains(text, "{tempid}") && !strings.Contains(text, `"`) {
		return text // digits beside a TempID are its version, or the like
	}
	return digitRun.ReplaceAllStringFunc(text, func(run string) string {
		if holder, ok := values[run]; ok {
			return holder
		}
		return run
	})
}

var (
	holderText = regexp.MustCompile(`\{(?:user|password|tempid|start|expiry|now|n|3n|bytes|entries|\*)\}`)
	tokens     = regexp.MustCompile(holderText.String() + `|[\pL\pN]+|.|\n`)
)

// merge returns the text that has {*} where two observations of a message differ.
func merge(a, b string) string {
	if a == b {
		return a
	}
	x, y := tokens.FindAllString(a, -1), tokens.FindAllString(b, -1)
	if len(x) == len(y) {
		for i := range x {
			if x[i] != y[i] {
				x[i] = "{*}"
			}
		}
		return tidy(strings.Join(x, ""))
	}
	head := 0
	for head < min(len(x), len(y)) && x[head] == y[head] {
		head++
	}
	tail := 0
	for tail < min(len(x), len(y))-head && x[len(x)-1-tail] == y[len(y)-1-tail] {
		tail++
	}
	return tidy(strings.Join(x[:head], "") + "{*}" + strings.Join(x[len(x)-tail:], ""))
}

var adjacent = regexp.MustCompile(`(?:\{\*\}|\{user\}|\{password\})*\{\*\}(?:\{\*\}|\{user\}|\{password\})*`)

// tidy makes placeholders of unknown length that follow each other one.
func tidy(text string) string { return adjacent.ReplaceAllString(text, "{*}") }
