package check

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// TestHistories plays the histories in testdata.
func TestHistories(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no file in testdata: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			scripts, err := parseScripts(path, string(text))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range scripts {
				checkHistories(t, []history{{s.title, func(w *rig) {
					if err := s.feed(w); err != nil {
						w.t.Fatal(err)
					}
				}, s.want}})
			}
		})
	}
}

// script is one history of a file in testdata. testdata/README.md describes the
// format.
type script struct {
	path, title string
	want        []Invariant
	lines       []scriptLine
}

type scriptLine struct {
	number int
	text   string
}

// mistake is the error of a file that does not follow the format. The reader panics
// with it.
type mistake string

func (m mistake) Error() string { return string(m) }

func mistakef(format string, a ...any) mistake { return mistake(fmt.Sprintf(format, a...)) }

// recoverMistake sets err to the mistake that its caller panics with.
func recoverMistake(err *error) {
	switch r := recover().(type) {
	case nil:
	case mistake:
		*err = r
	default:
		panic(r)
	}
}

// parseScripts returns the histories of a file.
func parseScripts(path, text string) (list []*script, err error) {
	defer recoverMistake(&err)
	preface, histories, _ := strings.Cut(text, "\n== ")
	number := 1 + strings.Count(preface, "\n")
	fail := func(format string, a ...any) { panic(mistakef("%s:%d: "+format, append([]any{path, number}, a...)...)) }
	defined, titles := map[string]*script{}, map[string]bool{}
	for block := range strings.SplitSeq(histories, "\n== ") {
		number++
		title, body, _ := strings.Cut(block, "\n")
		s, holds := &script{path: path, title: title}, false
		for l := range strings.SplitSeq(body, "\n") {
			number++
			switch verb, rest, _ := strings.Cut(l, " "); verb {
			case "", "#":
			case "holds":
				holds = true
			case "violates":
				i := slices.Index(names[:], rest)
				if i < 0 {
					fail("unknown invariant %q", rest)
				}
				s.want = append(s.want, Invariant(i))
			case "play":
				if defined[rest] == nil {
					fail("unknown sequence %q", rest)
				}
				s.lines = append(s.lines, defined[rest].lines...)
			default:
				s.lines = append(s.lines, scriptLine{number, l})
			}
		}
		name, isDefinition := strings.CutPrefix(title, "define ")
		if holds == (s.want != nil) && !isDefinition || titles[title] || len(s.lines) == 0 {
			fail("%q needs `holds` or `violates INVARIANT`, an event, and a title of its own", title)
		}
		if titles[title] = true; isDefinition {
			defined[name] = s
		} else {
			list = append(list, s)
		}
	}
	return list, nil
}

// feed emits the events of the script. An error names the file and the line.
func (s *script) feed(w *rig) (err error) {
	p := newPlayer(w)
	var current scriptLine
	defer func() {
		if err != nil {
			err = mistakef("%s:%d: %v", s.path, current.number, err)
		}
	}()
	defer recoverMistake(&err)
	for _, current = range s.lines {
		p.play(current.text)
	}
	return nil
}

// player emits events, line by line.
type player struct {
	*rig
	at     time.Duration                  // time of the current line
	node   event.Node                     // the node of the current line
	rest   string                         // the words of the current line that are not read yet
	clocks map[event.Node]event.NodeClock // as set by the script
}

func newPlayer(w *rig) *player { return &player{rig: w, clocks: map[event.Node]event.NodeClock{}} }

func (p *player) play(line string) {
	p.rest, p.node = line, 0
	verb := p.word()
	if verb == "@" {
		before := p.at
		if p.at = p.time(); p.at < before {
			panic(mistakef("%s is before %s", p.at, before))
		}
		if p.rest == "" {
			return
		}
		verb = p.word()
	}
	switch verb {
	case "server":
		p.node, verb = event.Server, p.word()
	case "phone":
		p.node, verb = event.Node(p.number()), p.word()
	}
	if verbs[verb] == nil && p.rest != "" {
		verb += " " + p.word()
	}
	do := verbs[verb]
	if do == nil {
		panic(mistakef("unknown verb %q", verb))
	}
	if do(p, int64(p.at)); p.rest != "" {
		panic(mistakef("unexpected %q at the end of the line", p.rest))
	}
}

// word reads the next word of the line.
func (p *player) word() (word string) {
	if p.rest == "" {
		panic(mistake("the line ends too early"))
	}
	word, p.rest, _ = strings.Cut(p.rest, " ")
	return word
}

// text reads the rest of the line, in which \n is a line feed.
func (p *player) text() string {
	defer func() { p.rest = "" }()
	return strings.ReplaceAll(p.rest, `\n`, "\n")
}

func (p *player) number() int {
	word := p.word()
	n, err := strconv.Atoi(word)
	if err != nil {
		panic(mistakef("%q is not a number", word))
	}
	return n
}

// digit reads a word of one character.
func (p *player) digit() byte {
	word := p.word()
	if len(word) != 1 {
		panic(mistakef("%q is not a digit", word))
	}
	return word[0]
}

func (p *player) conn() nodes.Conn    { return nodes.Conn(p.number()) }
func (p *player) time() time.Duration { return parseTime(p.word()) }

// parseTime parses a sum of durations, such as 62s-1ns.
func parseTime(text string) (sum time.Duration) {
	for _, term := range strings.Fields(strings.NewReplacer("+", " +", "-", " -").Replace(text)) {
		d, err := time.ParseDuration(term)
		if err != nil {
			panic(mistakef("%q is not a time", text))
		}
		sum += d
	}
	return sum
}

// entries reads the entries of a log, such as 1@0s 2@5s, or the word empty.
func (p *player) entries() (all []entry) {
	for word := p.word(); word != "empty"; word = p.word() {
		id, at, ok := strings.Cut(word, "@")
		if !ok || len(id) != 1 {
			panic(mistakef("%q is not an entry", word))
		}
		if all = append(all, entry{id[0], parseTime(at)}); p.rest == "" {
			break
		}
	}
	return all
}

func (p *player) contactLog() *nodes.ContactLog { return p.logOf(p.entries()...) }

// beacon reads a TempID and the two ends of its validity, such as 1 0s..900s.
func (p *player) beacon() *nodes.PhoneEffect {
	id := p.digit()
	from, to, ok := strings.Cut(p.word(), "..")
	if !ok {
		panic(mistake("expected a beacon such as 1 0s..900s"))
	}
	return p.judgement(id, parseTime(from), parseTime(to)-parseTime(from), nil)
}

// own returns the clock of the node of the line, as it is now.
func (p *player) own() event.NodeClock {
	c, ok := p.clocks[p.node]
	if !ok {
		c.Wall = start * int64(second)
	}
	at := int64(p.at)
	return event.NodeClock{At: at, Elapsed: c.ElapsedAt(at), Wall: c.WallAt(at), PPM: c.PPM}
}

func (p *player) setClock(c event.NodeClock) {
	p.clocks[p.node] = c
	p.ClockSet(c.At, p.node, c.Elapsed, c.Wall, c.PPM)
}

// answer reads " < " and the answer of the server at the end of the line.
func (p *player) answer() string {
	if p.word() != "<" {
		panic(mistake("expected < and an answer"))
	}
	return p.text()
}

// verbs are the verbs of testdata/README.md.
var verbs = map[string]func(p *player, at int64){
	"accepts":  func(p *player, at int64) { p.Accepted(at, p.conn()) },
	"opens":    func(p *player, _ int64) { p.opens(p.at, p.conn()) },
	">":        func(p *player, at int64) { p.ServerRead(at, p.conn(), []byte(p.text())) },
	"<":        func(p *player, at int64) { p.ServerSent(at, p.conn(), []byte(p.text())) },
	"blocked":  func(p *player, _ int64) { p.blocked(); p.at = 2 * second },
	"login":    func(p *player, _ int64) { p.attempt(p.at, p.conn(), p.word(), p.answer()) },
	"download": func(p *player, _ int64) { p.downloads(p.at, p.conn(), p.word(), p.word(), p.answer()) },
	"upload": func(p *player, _ int64) {
		ids, printed, _ := strings.Cut(p.text(), "resolved ")
		var lines, resolved []string
		for _, id := range strings.Fields(ids) {
			lines = append(lines, uploaded(strings.Repeat(id, protocol.TempIDSize))...)
		}
		if printed != "" {
			resolved = strings.Split(printed, ", ")
		}
		p.printUpload(p.at, lines, resolved)
	},
	"prints":       func(p *player, at int64) { p.ServerPrinted(at, p.text()) },
	"store asked":  func(p *player, at int64) { p.StoreAsked(at, attemptsOf(p.text())) },
	"store saved":  func(p *player, at int64) { p.StoreDone(at, attemptsOf(p.text()), nil) },
	"store failed": func(p *player, at int64) { p.StoreDone(at, attemptsOf(p.text()), errDisk) },
	"killed":       func(p *player, at int64) { p.ServerStopped(at) },
	"started": func(p *player, at int64) {
		p.ServerStarted(at, func(protocol.TempID) (nodes.Issue, bool) { return nodes.Issue{}, false })
	},

	"clock wall":    func(p *player, _ int64) { c := p.own(); c.Wall += int64(p.time()); p.setClock(c) },
	"clock elapsed": func(p *player, _ int64) { c := p.own(); c.Elapsed += p.time(); p.setClock(c) },
	"clock drift":   func(p *player, _ int64) { c := p.own(); c.PPM = float64(p.number()); p.setClock(c) },

	"sends":        func(p *player, at int64) { p.BeaconSent(at, p.node, &p.beacon().Raw) },
	"changes":      func(p *player, at int64) { p.DatagramChanged(at, p.node) },
	"forges":       func(p *player, at int64) { p.DatagramsForged(at, p.node) },
	"receives":     func(p *player, _ int64) { p.receive(p.digit()) },
	"judges":       (*player).judges,
	"log is":       func(p *player, at int64) { p.Stepped(at, p.node, p.contactLog()) },
	"log compared": func(p *player, at int64) { p.Compare(at, p.node, p.contactLog()) },
	"log checked": func(p *player, at int64) {
		log := p.contactLog()
		p.Stepped(at, p.node, log)
		p.Compare(at, p.node, log)
	},
	"log saved": func(p *player, _ int64) { p.saveLog(p.entries()...) },
	"stops":     func(p *player, at int64) { p.PhoneStopped(at, p.node) },
	"starts":    func(p *player, at int64) { p.PhoneStarted(at, p.node, p.contactLog()) },

	"datagram sent":      func(p *player, at int64) { p.DatagramSent(at, int64(p.time())) },
	"datagram copied":    func(p *player, at int64) { p.DatagramCopied(at, int64(p.time())) },
	"datagram lost":      func(p *player, at int64) { p.DatagramLost(at) },
	"datagram dropped":   func(p *player, at int64) { p.DatagramDropped(at) },
	"datagram delivered": func(p *player, at int64) { p.DatagramDelivered(at) },
	"balance": func(p *player, at int64) {
		var n world.Datagrams
		var held int
		const format = "sent %d delivered %d lost %d in-flight %d held %d"
		if _, err := fmt.Sscanf(p.text(), format, &n.Sent, &n.Delivered, &n.Lost, &n.InFlight, &held); err != nil {
			panic(mistakef("expected %q with numbers", format))
		}
		p.Balance(at, &world.Counts{Datagrams: n}, held)
	},
}

// judges reads a beacon and the verdict on it. Its sender is phone 9 unless the line
// names another one.
func (p *player) judges(at int64) {
	if p.rest == "out-of-turn" {
		p.Judged(at, p.node, 9, &nodes.PhoneEffect{Kind: nodes.PhoneJudged, OutOfTurn: true,
			Err: protocol.ErrOutOfTurn})
		p.rest = ""
		return
	}
	e, sender := p.beacon(), 9
	verdict := p.word()
	err, ok := map[string]error{"valid": nil, "early": protocol.ErrEarly, "expired": protocol.ErrExpired}[verdict]
	if !ok {
		panic(mistakef("unknown verdict %q", verdict))
	}
	e.Err = err
	for p.rest != "" {
		switch word := p.word(); word {
		case "from":
			sender = p.number()
		case "version":
			e.Raw[protocol.BeaconSize-1] = p.digit()
		case "by":
			e.At = nodes.Now{Elapsed: p.time(), Wall: start*int64(second) + int64(p.time())}
		default:
			panic(mistakef("unknown word %q after the verdict", word))
		}
	}
	p.Judged(at, p.node, uint32(sender), e)
}

// receive judges as valid, by the clock of the phone, a beacon that began a second
// ago.
func (p *player) receive(id byte) {
	own := p.own()
	e := p.judgement(id, time.Duration(own.Wall-start*int64(second))-second, 900*second, nil)
	e.At = nodes.Now{Elapsed: own.Elapsed, Wall: own.Wall}
	p.Judged(int64(p.at), p.node, 9, e)
}

// saveLog emits that the disk now holds these entries. Their times are wall times,
// counted from the start.
func (p *player) saveLog(entries ...entry) {
	var kept []nodes.StoredContact
	for _, en := range entries {
		kept = append(kept, nodes.StoredContact{Beacon: protocol.Beacon{TempID: idOf(en.id)},
			Received: start*int64(second) + int64(en.at)})
	}
	p.LogWritten(int64(p.at), p.node, kept)
}

// TestVerbsAreDescribed checks that testdata/README.md describes every verb.
func TestVerbsAreDescribed(t *testing.T) {
	readme, err := os.ReadFile("testdata/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for verb := range verbs {
		if !strings.Contains(string(readme), "`"+verb) {
			t.Errorf("testdata/README.md does not describe %q", verb)
		}
	}
}

// TestMistakesInHistories checks that a file that does not follow the format is
// refused with its place.
func TestMistakesInHistories(t *testing.T) {
	for text, want := range map[string]string{
		"== a\nholds\nblocks":                   `f:4: unknown verb "blocks"`,
		"== a\nholds\n\n# b\nlog was empty":     `f:6: unknown verb "log was"`,
		"== a\nholds\nphone 1 log is":           `f:4: the line ends too early`,
		"== a\nholds\nphone x stops":            `f:4: "x" is not a number`,
		"== a\nholds\nstops now":                `f:4: unexpected "now" at the end of the line`,
		"== a\nholds\n@ 62s-1 killed":           `f:4: "62s-1" is not a time`,
		"== a\nholds\n@ killed":                 `f:4: "killed" is not a time`,
		"== a\nholds\n@ 2s killed\n@ 1s killed": `f:5: 1s is before 2s`,
		"== a\nholds\nlog is 1@0s 2":            `f:4: "2" is not an entry`,
		"== a\nholds\nlogin 1 right Welcome!":   `f:4: expected < and an answer`,
		"== a\nholds\njudges 1 0s..9s good":     `f:4: unknown verdict "good"`,
		"== a\nholds\nbalance sent 1": `f:4: expected "sent %d delivered %d lost %d in-flight %d held %d" ` +
			`with numbers`,
		"== a\nholds\nreceives  1":  `f:4: "" is not a digit`,
		"== a\nholds\nplay b":       `f:4: unknown sequence "b"`,
		"== a\nviolates b\nblocked": `f:3: unknown invariant "b"`,
		"== a\nblocked": "f:3: \"a\" needs `holds` or `violates INVARIANT`, an event, and a title of its " +
			"own",
	} {
		scripts, err := parseScripts("f", "About.\n"+text)
		if err == nil {
			err = scripts[0].feed(newRig(t))
		}
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
