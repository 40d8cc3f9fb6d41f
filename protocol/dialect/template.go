package dialect

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Template is the text of a message with placeholders, such as "login {user} {password}". The same Template makes a
// message and recognizes one.
type Template struct {
	Text  string
	parts []part
}

// part is a literal text or a placeholder.
type part struct {
	literal string
	holder  placeholder
}

// placeholder is the kind of a value within a message.
type placeholder uint8

const (
	holdsNothing placeholder = iota // a literal
	holdsUser
	holdsPassword
	holdsTempID
	holdsStart
	holdsExpiry
	holdsNow
	holdsCount   // of entries, in decimal
	holdsLines   // three times the count
	holdsBytes   // length of the next message that has {entries}, in bytes
	holdsEntries // all entries, joined
	holdsAnything
)

// placeholders has the placeholders by their text.
var placeholders = map[string]placeholder{
	"{user}": holdsUser, "{password}": holdsPassword, "{tempid}": holdsTempID, "{start}": holdsStart,
	"{expiry}": holdsExpiry, "{now}": holdsNow, "{n}": holdsCount, "{3n}": holdsLines, "{bytes}": holdsBytes,
	"{entries}": holdsEntries, "{*}": holdsAnything,
}

// isOpen reports whether the length of the value is known only by what follows it.
func (p placeholder) isOpen() bool {
	return p == holdsUser || p == holdsPassword || p == holdsEntries || p == holdsAnything
}

// ParseTemplate parses the text of a template. Braces that enclose no placeholder are literal. An open placeholder,
// such as {user}, must be followed by a literal or end the text, because nothing else tells where its value ends.
func ParseTemplate(text string) (Template, error) {
	t := Template{Text: text}
	for rest := text; rest != ""; {
		at, name := nextPlaceholder(rest)
		if at > 0 {
			t.parts = append(t.parts, part{literal: rest[:at]})
		}
		if name != "" {
			if n := len(t.parts); n > 0 && t.parts[n-1].holder.isOpen() {
				return t, fmt.Errorf("%s follows a value of unknown length: write a text between them", name)
			}
			t.parts = append(t.parts, part{holder: placeholders[name]})
		}
		rest = rest[at+len(name):]
	}
	if len(t.parts) == 0 {
		return t, fmt.Errorf("the text is empty")
	}
	return t, nil
}

// nextPlaceholder returns the index and the text of the first placeholder, or the length and "".
func nextPlaceholder(text string) (at int, name string) {
	for at = range len(text) {
		if text[at] != '{' {
			continue
		}
		if end := strings.IndexByte(text[at:], '}'); end > 0 && placeholders[text[at:at+end+1]] != holdsNothing {
			return at, text[at : at+end+1]
		}
	}
	return len(text), ""
}

// holds reports whether the template has a placeholder.
func (t *Template) holds(h placeholder) bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.holder == h })
}

// Entry is one entry of a contact log, or a TempID with its times. Its times have whole seconds.
type Entry struct {
	TempID        string
	Start, Expiry time.Time
}

// values are the values of the placeholders of a message.
type values struct {
	user, password string
	Entry
	now     time.Time
	count   int
	bytes   int
	entries []Entry
}

// appendTo appends the message that the template makes with the values.
func (t *Template) appendTo(dst []byte, v *values, d *Dialect) []byte {
	for _, p := range t.parts {
		switch p.holder {
		case holdsNothing:
			dst = append(dst, p.literal...)
		case holdsUser:
			dst = append(dst, v.user...)
		case holdsPassword:
			dst = append(dst, v.password...)
		case holdsTempID:
			dst = append(dst, v.TempID...)
		case holdsStart:
			dst = d.Times.append(dst, v.Start)
		case holdsExpiry:
			dst = d.Times.append(dst, v.Expiry)
		case holdsNow:
			dst = d.Times.append(dst, v.now)
		case holdsCount, holdsLines, holdsBytes:
			n, unit := v.number(p.holder)
			dst = strconv.AppendInt(dst, int64(unit**n), 10)
		case holdsEntries:
			dst = d.appendEntries(dst, v.entries)
		}
	}
	return dst
}

// number returns the value of a placeholder for a number, and the factor that the message has.
func (v *values) number(h placeholder) (value *int, unit int) {
	switch h {
	case holdsLines:
		return &v.count, 3
	case holdsBytes:
		return &v.bytes, 1
	}
	return &v.count, 1
}

func (d *Dialect) appendEntries(dst []byte, list []Entry) []byte {
	for i, e := range list {
		if i > 0 {
			dst = append(dst, d.Join...)
		}
		dst = d.Entry.appendTo(dst, &values{Entry: e}, d)
	}
	return dst
}

// match is the result of comparing bytes with a template.
type match uint8

const (
	matches    match = iota
	incomplete       // the bytes are the beginning of a match
	mismatch
)

// match compares the beginning of b with the template, and sets the values of its placeholders in v. n is the number
// of bytes of the message. whole means that b is exactly one message. Otherwise a value of unknown length at the end
// takes all bytes that have arrived, and no message is empty. A TempID of a wrong length matches if its end is certain,
// so that a rule can judge it.
func (t *Template) match(b []byte, whole bool, v *values, d *Dialect) (n int, m match) {
	short := incomplete
	if whole {
		short = mismatch
	}
	for i, p := range t.parts {
		rest := b[n:]
		var size int
		switch {
		case p.holder == holdsNothing:
			size = len(p.literal)
			if k := min(size, len(rest)); string(rest[:k]) != p.literal[:k] {
				return n, mismatch
			}
		case p.holder == holdsEntries:
			list, taken, more := d.splitEntries(rest)
			if more && !whole {
				return n, incomplete
			}
			v.entries, v.count, size = list, len(list), taken
		case p.holder.isOpen() && i+1 < len(t.parts):
			if size = bytes.Index(rest, []byte(t.parts[i+1].literal)); size < 0 {
				return n, short
			}
		case p.holder.isOpen():
			if size = len(rest); size == 0 && !whole && p.holder != holdsAnything {
				return n, short
			}
		default:
			found, last := digits(rest), i+1 == len(t.parts)
			ends := last || t.parts[i+1].literal != "" && bytes.HasPrefix(rest[found:], []byte(t.parts[i+1].literal))
			switch size = d.width(p.holder); {
			case size == 0 && found == len(rest) && !last:
				return n, short // more digits may follow
			case size == 0:
				size = max(found, 1)
			case p.holder != holdsTempID:
			case found == 0 && len(rest) > 0:
				return n, mismatch
			case found < size && (whole || found < len(rest)), found > size && whole && ends:
				size = found
			}
		}
		if size > len(rest) {
			return n, short
		}
		if !p.set(rest[:size], v, d) {
			return n, mismatch
		}
		n += size
	}
	switch {
	case whole && n < len(b):
		return n, mismatch
	case !whole && n == 0:
		return n, incomplete
	}
	return n, matches
}

// digits returns the number of decimal digits at the beginning of b.
func digits(b []byte) int {
	for i, c := range b {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(b)
}

// width returns the length of a placeholder's value, or 0 if it varies.
func (d *Dialect) width(h placeholder) int {
	switch {
	case h == holdsTempID:
		return d.TempIDDigits
	case d.Times != Unix && (h == holdsStart || h == holdsExpiry || h == holdsNow):
		return len(d.Times)
	}
	return 0
}

// set sets the value that the text b stands for. It returns false if b has not the form of such a value.
func (p part) set(b []byte, v *values, d *Dialect) (ok bool) {
	text := string(b)
	switch p.holder {
	case holdsUser:
		v.user = text
	case holdsPassword:
		v.password = text
	case holdsTempID:
		v.TempID = text
		return digits(b) == len(b)
	case holdsStart:
		v.Start, ok = d.Times.Parse(text, d.Zone)
		return ok
	case holdsExpiry:
		v.Expiry, ok = d.Times.Parse(text, d.Zone)
		return ok
	case holdsNow:
		v.now, ok = d.Times.Parse(text, d.Zone)
		return ok
	case holdsCount, holdsLines, holdsBytes:
		n, err := strconv.Atoi(text)
		if err != nil || n > maxNumber {
			return false
		}
		value, unit := v.number(p.holder)
		*value = n / unit
		return n%unit == 0
	}
	return true
}

// maxNumber is the largest count or length of an upload.
const maxNumber = 10_000_000

// splitEntries returns the entries with which b begins, and their length. more reports that another one may follow,
// because b ends within it or before a text that follows the entries.
func (d *Dialect) splitEntries(b []byte) (list []Entry, length int, more bool) {
	for {
		rest, joined := b[length:], true
		if len(list) > 0 {
			rest, joined = bytes.CutPrefix(rest, []byte(d.Join))
		}
		var v values
		n, m := d.Entry.match(rest, false, &v, d)
		if m != matches || !joined || n == 0 {
			return list, length, m == incomplete
		}
		list = append(list, v.Entry)
		length = len(b) - len(rest) + n
	}
}
