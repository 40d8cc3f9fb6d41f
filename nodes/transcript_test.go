package nodes

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
)

// section is one recorded exchange of testdata: its title and its lines.
type section struct {
	title string
	lines []string
}

func readSections(t *testing.T, file string) []section {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var list []section
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if title, ok := strings.CutPrefix(line, "== "); ok {
			list = append(list, section{title: title})
			continue
		}
		if line != "" {
			list[len(list)-1].lines = append(list[len(list)-1].lines, line)
		}
	}
	return list
}

var (
	digits      = regexp.MustCompile(`^[0-9]{20}$`)
	asksForElse = regexp.MustCompile(`asks our server for "(.*)" here`)
)

// forOurServer replaces the answers that differ in this server, by the remarks of the
// transcript.
func forOurServer(lines []string) []string {
	lines = append([]string(nil), lines...)
	for i, line := range lines {
		m := asksForElse.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		for j := i - 1; j >= 0; j-- {
			if strings.HasPrefix(lines[j], "S> ") && lines[j] != "S> FIN" {
				lines[j] = "S> " + m[1]
				break
			}
		}
	}
	return lines
}

func TestServerReplaysTheTranscripts(t *testing.T) {
	for _, sec := range readSections(t, "tcp.txt") {
		t.Run(sec.title, func(t *testing.T) {
			r := newServerRig(t, nil)
			c := Conn(0)
			r.accept(c)
			var answers []string
			compared := 0
			for _, line := range forOurServer(sec.lines) {
				kind, text, _ := strings.Cut(line, " ")
				switch {
				case kind == "P>":
					equal(t, "answers before "+line, len(answers), 0)
					answers = r.answers(r.read(c, text))
				case kind == "S>":
					if len(answers) == 0 {
						t.Fatalf("no answer, want %q", text)
					}
					if !digits.MatchString(text) || !digits.MatchString(answers[0]) {
						equal(t, "answer", answers[0], text)
					}
					answers = answers[1:]
					compared++
				case strings.HasPrefix(text, "new connection"):
					if strings.Contains(text, "block_duration after") {
						r.at(time.Minute)
					}
					c++
					r.accept(c)
				}
			}
			equal(t, "answers left", len(answers), 0)
			if compared == 0 {
				t.Error("nothing was compared")
			}
		})
	}
}

// answers returns the sent texts and FIN in the form of a transcript.
func (r *serverRig) answers(said []string) []string {
	if s := sent(said); s != "" {
		return strings.Split(s, "|")
	}
	return nil
}

func TestPhoneReplaysTheTranscripts(t *testing.T) {
	for _, sec := range readSections(t, "tcp.txt") {
		t.Run(sec.title, func(t *testing.T) {
			r := newPhoneRig(t, nil)
			r.now = Now{Wall: time.Date(2026, 1, 1, 10, 5, 0, 0, time.UTC).UnixNano()}
			if strings.Contains(sec.title, "one entry") {
				r.deliver(sender, someID+someStart+someEnd+"1")
			}
			compared := 0
			r.connect()
			for _, line := range sec.lines {
				kind, text, _ := strings.Cut(line, " ")
				switch {
				case kind == "P>":
					// This phone sends log out once.
					text = strings.Replace(text, "log outlog out", "log out", 1)
					equal(t, "phone sends", r.typeUnlessUploading(text), text)
					compared++
				case kind == "S>" && text == "FIN":
					r.closed()
				case kind == "S>":
					r.read(text)
				case strings.HasPrefix(text, "new connection"):
					r.connect()
				}
			}
			if compared == 0 {
				t.Error("nothing was compared")
			}
		})
	}
}

func (r *phoneRig) connect() {
	r.open()
	r.connected()
}

// typeUnlessUploading types a line that makes the phone send text, unless an upload is in
// progress, and returns the text that was sent.
func (r *phoneRig) typeUnlessUploading(text string) string {
	if !r.p.program.uploading() {
		r.typed(text)
	}
	return r.lastSent(text)
}

// lastSent waits for the password pause if there is one.
func (r *phoneRig) lastSent(text string) string {
	if r.sends == 0 {
		d, _ := r.p.NextWake()
		r.now = Now{Elapsed: d, Wall: r.now.Wall + int64(d-r.now.Elapsed)}
		r.wake()
	}
	if r.sends != 1 {
		r.t.Errorf("%d sends where the transcript has %q", r.sends, text)
	}
	r.sends = 0
	return r.sent
}

// The terminal, with typed text, equals the recorded one.
func TestPhoneReplaysTheTerminal(t *testing.T) {
	secs := readSections(t, "terminal.txt")
	if len(secs) != 2 {
		t.Fatalf("%d sections", len(secs))
	}
	const id = "99033999094940624829"
	downloaded := time.Date(2026, 11, 23, 6, 36, 3, 700_000_000, time.UTC).UnixNano()

	r := newPhoneRig(t, func(s *PhoneSettings) { s.PasswordPause = 0 })
	r.now.Wall = downloaded
	r.open()
	r.connected()
	var want []string
	for _, line := range secs[0].lines {
		if strings.HasPrefix(line, "-- ") {
			continue
		}
		want = append(want, line)
		for _, p := range []string{"Username: ", "Password: ", "input the command: "} {
			typed, ok := strings.CutPrefix(line, p)
			if !ok {
				continue
			}
			r.typed(typed)
			switch {
			case p == "Password: ":
				r.read(protocol.Welcome)
			case typed == "Download_tempID":
				r.read(id)
			}
		}
	}
	equal(t, "terminal", r.terminal.String(), strings.Join(want, "\n")+"\n")

	heard := newPhoneRig(t, nil)
	heard.now.Wall = time.Date(2026, 11, 23, 6, 40, 0, 999_999_999, time.UTC).UnixNano()
	heard.deliver(sender, string(r.p.beacon[:]))
	equal(t, "on the receiving phone", heard.terminal.String(), strings.Join(secs[1].lines, "\n")+"\n")
}

var datagramLine = regexp.MustCompile(`^(?:(\d{5}) )?(\d+) bytes?: +(.*)$`)

// Every recorded beacon is valid, in both forms.
func TestPhoneReplaysTheDatagrams(t *testing.T) {
	for _, sec := range readSections(t, "udp.txt") {
		t.Run(sec.title, func(t *testing.T) {
			r := newPhoneRig(t, nil)
			r.now.Wall = time.Date(2026, 11, 23, 6, 40, 0, 0, time.UTC).UnixNano()
			bytes := 0
			for _, line := range sec.lines {
				m := datagramLine.FindStringSubmatch(line)
				if m == nil {
					continue
				}
				from := sender
				if m[1] == "50002" {
					from = sender2
				}
				bytes += len(m[3])
				for _, e := range r.deliver(from, m[3]) {
					equal(t, "verdict", e.Err, nil)
				}
			}
			equal(t, "every beacon is kept", r.p.Log().Len(), bytes/protocol.BeaconSize)
			if bytes == 0 {
				t.Error("no datagram was found")
			}
			for i := range r.p.Log().Len() {
				c := r.p.Log().At(i)
				equal(t, "start belongs to its expiry", c.Expiry-c.Start, 900)
			}
		})
	}
}
