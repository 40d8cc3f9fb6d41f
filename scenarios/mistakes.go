package scenarios

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Mistake is one mistake of a scenario: the text that was found, and the alternatives.
type Mistake struct {
	File    string
	Pos     Pos // zero if the mistake has no position in the file
	Message string
}

func (m Mistake) String() string {
	if m.Pos.Line == 0 {
		return fmt.Sprintf("%s: %s", m.File, m.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", m.File, m.Pos.Line, m.Pos.Col, m.Message)
}

// Mistakes holds every mistake of a file, in the order of their positions.
type Mistakes struct {
	Name string // the scenario's name as written; empty if the file has none or is not YAML
	List []Mistake
}

func (m *Mistakes) Error() string {
	lines := make([]string, len(m.List))
	for i, one := range m.List {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// maxMistakes is the most mistakes that are listed. The others are counted.
const maxMistakes = 200

// mistakeList collects the mistakes of one file.
type mistakeList struct {
	file  string
	name  string // of the scenario, as written
	list  []Mistake
	total int
}

// add adds a mistake at a position. Durations among args are written as a file writes them. Beyond maxMistakes add
// only counts.
func (c *mistakeList) add(p Pos, format string, args ...any) {
	c.total++
	if len(c.list) < maxMistakes {
		for i, a := range args {
			if d, ok := a.(time.Duration); ok {
				args[i] = durationText(d)
			}
		}
		c.list = append(c.list, Mistake{c.file, p, fmt.Sprintf(format, args...)})
	}
}

// isFull reports whether further mistakes are only counted, so that their messages are not needed.
func (c *mistakeList) isFull() bool { return c.total >= maxMistakes }

// nearest calls the function nearest. Once the list is full it returns false, to save time.
func (c *mistakeList) nearest(text string, candidates []string) (string, bool) {
	if c.isFull() {
		return "", false
	}
	return nearest(text, candidates)
}

// didYouMean returns "; did you mean `x`?", or "" if no candidate is similar.
func (c *mistakeList) didYouMean(text string, candidates []string) string {
	if near, ok := c.nearest(text, candidates); ok {
		return "; did you mean `" + near + "`?"
	}
	return ""
}

// err returns the mistakes in the order of their positions as a *Mistakes, or nil if there are none.
func (c *mistakeList) err() error {
	if c.total == 0 {
		return nil
	}
	slices.SortStableFunc(c.list, func(a, b Mistake) int {
		return cmp.Or(a.Pos.Line-b.Pos.Line, a.Pos.Col-b.Pos.Col)
	})
	c.list = slices.Compact(c.list)
	if more := c.total - maxMistakes; more > 0 {
		c.list = append(c.list, Mistake{c.file, Pos{}, fmt.Sprintf("and %d more", more)})
	}
	return &Mistakes{c.name, c.list}
}

// numberOf returns "1 phone" or "3 phones".
func numberOf(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// thereAre returns "there is `a`" or "there are `a` and `b`".
func thereAre(names []string) string {
	if len(names) == 1 {
		return "there is " + shortList(names)
	}
	return "there are " + shortList(names)
}

// maxQuoted is the most bytes of a text of the file in a message.
const maxQuoted = 60

// quoted returns a text of the file for a message: in quotes, cut to maxQuoted, with unprintable characters escaped.
func quoted(text string) string {
	cut := ""
	if len(text) > maxQuoted {
		end := maxQuoted
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text, cut = text[:end], "..."
	}
	return strconv.Quote(text) + cut
}

// keyQuoted returns a key between backquotes, or in quotes if it needs escapes.
func keyQuoted(key string) string {
	q := quoted(key)
	if q == `"`+key+`"` && !strings.Contains(key, "`") {
		return "`" + key + "`"
	}
	return q
}

// shortList joins at most ten names.
func shortList(names []string) string {
	if len(names) > 10 {
		return backquoted(names[:10]) + fmt.Sprintf(" and %d more", len(names)-10)
	}
	return backquoted(names)
}

// maxCandidates is the most candidates that are compared with a text.
const maxCandidates = 1000

// nearest returns the candidate that is most similar to text. It returns false if each candidate differs from text in
// more than a third of its bytes. Of two equally similar candidates the first wins.
func nearest(text string, candidates []string) (string, bool) {
	if len(text) > 64 {
		return "", false
	}
	best, bestAt := "", len(text)/3+1
	for _, c := range candidates[:min(len(candidates), maxCandidates)] {
		if d := distance(text, c); d < bestAt && c != "" {
			best, bestAt = c, d
		}
	}
	return best, best != ""
}

// distance counts the bytes to insert, delete, replace or swap with a neighbour that turn a into b. Upper and lower
// case are equal.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}

// backquoted joins names as `a`, `b` and `c`.
func backquoted(names []string) string { return joined(names, "and") }

// joined joins names as `a`, `b` and `c`, with the word before the last name.
func joined(names []string, word string) string {
	all := "`" + strings.Join(names, "`, `") + "`"
	if i := strings.LastIndex(all, "`, `"); i >= 0 {
		all = all[:i+1] + " " + word + all[i+2:]
	}
	return all
}

// orUses returns a similar variable, or the variables that the file uses, for the message of an unused --set.
func orUses(c *mistakeList, name string, used []string) string {
	if s := c.didYouMean(name, used); s != "" {
		return s
	}
	if len(used) == 0 {
		return "; it has no variables"
	}
	return "; it uses " + shortList(used)
}
