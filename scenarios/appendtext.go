package scenarios

import (
	"encoding/base64"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// flowing is a mapping on one line, between braces.
type flowing []string

func (f *flowing) put(key, text string) { *f = append(*f, key+": "+text) }

func (f *flowing) putIf(write bool, key, text string) {
	if write {
		f.put(key, text)
	}
}

func (f *flowing) duration(key string, d, unless time.Duration) {
	f.putIf(d != unless, key, durationText(d))
}

func (f flowing) String() string { return "{" + strings.Join(f, ", ") + "}" }

// listed is a list on one line; of one element the element alone.
func listed(texts []string) string {
	if len(texts) == 1 {
		return texts[0]
	}
	return inBrackets(texts)
}

func inBrackets(texts []string) string { return "[" + strings.Join(texts, ", ") + "]" }

// durationText writes 1m30s, 1h5s and 59.999999999s.
func durationText(d time.Duration) string {
	return strings.Replace(shortDuration(d), "h0m", "h", 1)
}

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
	if p == 0 {
		return "0%"
	}
	digits := strconv.FormatFloat(p, 'e', -1, 64)
	mantissa, exponent, _ := strings.Cut(digits, "e")
	power, err := strconv.Atoi(exponent)
	if err != nil {
		panic(fmt.Sprintf("scenarios: a share of %v", p))
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := whole + fraction
	point := len(whole) + power + 2
	switch {
	case point <= 0:
		all = strings.Repeat("0", 1-point) + all
		point = 1
	case point > len(all):
		all += strings.Repeat("0", point-len(all))
	}
	if point < len(all) {
		return all[:point] + "." + all[point:] + "%"
	}
	return all + "%"
}

func numberText(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// secondsText is a number of seconds as a duration.
func secondsText(n float64) string {
	return durationText(time.Duration(math.Round(n * float64(time.Second))))
}

var (
	plainForm  = regexp.MustCompile(`^[A-Za-z/^(_$][A-Za-z0-9 _./^$+*()|!?;=<>%&'~-]*$`)
	plainBlock = regexp.MustCompile(`^[A-Za-z/^(_$][\pL\pN _./^$+*()|!?;=<>%&'~,:"…{}\[\]-]*$`)
	plainTime  = regexp.MustCompile(`^[0-9]{1,2}/[0-9]{1,2}/[0-9]{4} [0-9]{1,2}:[0-9]{2}:[0-9]{2}$`)
	notText    = regexp.MustCompile(`^(?i:true|false|null|yes|no|on|off|y|n|~)$`)
)

// text writes a text within braces or brackets, with quotes where it needs
// them.
func text(t string) string {
	t = escaped(t)
	if plainForm.MatchString(t) && !strings.HasSuffix(t, " ") && !notText.MatchString(t) || plainTime.MatchString(t) {
		return t
	}
	return inQuotes(t)
}

// lineText writes a text behind a key, or behind the - of a list.
func lineText(t string) string {
	t = escaped(t)
	plain := plainBlock.MatchString(t) && !strings.HasSuffix(t, " ") && !notText.MatchString(t) &&
		!strings.Contains(t, ": ") && !strings.HasSuffix(t, ":")
	if plain {
		return t
	}
	return inQuotes(t)
}

// escaped keeps ${ from being a variable.
func escaped(t string) string { return strings.ReplaceAll(t, "${", "$${") }

func inQuotes(t string) string {
	if strings.ContainsAny(t, `\"`) && !strings.Contains(t, "'") && strings.IndexFunc(t, unprintable) < 0 {
		return "'" + t + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range t {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case !unprintable(r):
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02X`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			fmt.Fprintf(&b, `\U%08X`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func unprintable(r rune) bool { return r == utf8.RuneError || !strconv.IsPrint(r) }

// bytesText writes what goes on the wire: what is no text as base64.
func bytesText(t string) string {
	if !utf8.ValidString(t) {
		return `!!binary "` + base64.StdEncoding.EncodeToString([]byte(t)) + `"`
	}
	return text(t)
}

func bytesTexts(list []string) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = bytesText(t)
	}
	return out
}

// longLine is how long a line may be before it is broken.
const longLine = 120

// item is one line of a list of mappings; a long one is broken before its last
// key.
func item(f flowing) string {
	line := "  - " + f.String()
	if last := len(f) - 1; last > 0 && utf8.RuneCountInString(line) > longLine {
		line = "  - {" + strings.Join(f[:last], ", ") + ",\n     " + f[last] + "}"
	}
	return line + "\n"
}
