package live

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"bluetrace/nodes/socket"
	"bluetrace/protocol"
	"bluetrace/sim/event"
	"bluetrace/sim/foreign"
)

// programPhone is a phone that is a program of another implementation. It runs in a copy of a folder. Its standard
// input is the prompt of the phone, and its output the screen.
type programPhone struct {
	phone   *phoneHost
	config  *Config
	folder  string // the copy; "" before the start
	digits  *regexp.Regexp
	known   map[string]bool // TempIDs in the files of the folder before the start
	program *foreign.Program

	queue   []input       // not written yet
	wroteAt time.Duration // of the last input, or of the start
	printed time.Duration // of the last output
}

// input is a text for the standard input of a program, or its end.
type input struct {
	text string
	end  bool
}

// The times of a user who types. An input is written once the program has printed something since the one before, and
// nothing more for typingPause, or promptLimit after the one before.
const (
	typingPause = 300 * time.Millisecond
	promptLimit = 2 * time.Second
	typingPoll  = 50 * time.Millisecond
	promptQuiet = 100 * time.Millisecond // foreign.Config.Quiet
	programEnd  = time.Second            // from SIGTERM to SIGKILL
)

// newProgram prepares a phone that a command starts.
func newProgram(p *phoneHost, c *Config) *programPhone {
	size := protocol.TempIDSize
	if c.Dialect != nil {
		size = c.Dialect.TempIDDigits
	}
	digits := fmt.Sprintf(`\b\d{%d}\b`, size)
	if size == 0 { // it varies, and is longer than a time in seconds
		digits = `\b\d{12,}\b`
	}
	return &programPhone{phone: p, config: c, digits: regexp.MustCompile(digits)}
}

// start starts the program. Its phone has the UDP port that the program is to use.
func (p *programPhone) start(server string) (err error) {
	if p.folder, err = foreign.FreshFolder(p.config.ProgramFolder); err != nil {
		return err
	}
	p.known = map[string]bool{}
	for _, id := range p.logged() {
		p.known[id] = true
	}
	_, port, err := net.SplitHostPort(server)
	if err != nil {
		return err
	}
	s := p.phone.schedule
	p.phone.emit.Plain(event.DatagramsForged, p.phone.number, event.NoPeer) // its beacons are not announced
	p.wroteAt = s.now
	c := p.config.Sandbox
	c.Command, c.Folder, c.Clock, c.Input, c.Quiet = p.phone.config.Program, p.folder, socket.RealClock(), true,
		promptQuiet
	c.Values, c.Line = []string{"{port}", port, "{udp}", fmt.Sprint(p.phone.address.Port)}, p.shows
	p.program, err = foreign.Start(c)
	if err != nil {
		return fmt.Errorf("starting %s: %w", p.phone.config.Name, err)
	}
	s.goroutines.Go(p.awaitEnd)
	return nil
}

// close ends the program and removes its folder. The caller does not hold the lock.
func (p *programPhone) close() error {
	if p.program != nil {
		p.program.End(programEnd)
	}
	if p.folder == "" {
		return nil
	}
	if p.config.ProgramEnded != nil {
		p.config.ProgramEnded(p.folder)
	}
	return foreign.RemoveFolder(p.folder)
}

// shows emits a line of the output, or a prompt. The program's reader calls it without the lock.
func (p *programPhone) shows(text string) {
	p.phone.schedule.locked(func() {
		p.printed = p.phone.schedule.now
		p.phone.emit.Text(event.PhonePrinted, p.phone.number, text)
		if p.phone.watched {
			p.phone.emit.Text(event.ScreenShown, p.phone.number, text)
		}
	})
}

// awaitEnd emits the end of the program.
func (p *programPhone) awaitEnd() {
	<-p.program.Ended()
	p.phone.schedule.locked(func() {
		text := "its program has ended: " + strings.Map(printable, p.program.Failure())
		p.queue = nil
		p.phone.emit.Text(event.ProgramStatus, p.phone.number, text)
		p.phone.emit.Text(event.PhoneStopped, p.phone.number, text)
	})
}

// printable replaces a character that a terminal may obey.
func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return '?'
	}
	return r
}

// write writes an input when its user would type it.
func (p *programPhone) write(in input) {
	p.queue = append(p.queue, in)
	if len(p.queue) == 1 {
		p.writeNext()
	}
}

// writeNext writes the first input of the queue if its time has come, and calls itself again until the queue is empty.
func (p *programPhone) writeNext() {
	s := p.phone.schedule
	if len(p.queue) == 0 {
		return
	}
	prompted := p.printed > p.wroteAt && s.now >= p.printed+typingPause
	if prompted || s.now >= p.wroteAt+promptLimit {
		in := p.queue[0]
		p.queue, p.wroteAt = p.queue[1:], s.now
		p.writeNow(in)
	}
	if len(p.queue) > 0 {
		s.callAt(s.now+typingPoll, false, p.writeNext)
	}
}

// writeNow writes an input. If the program has closed its input, awaitEnd reports the reason.
func (p *programPhone) writeNow(in input) {
	status := fmt.Sprintf("is typed %q", in.text)
	if in.end {
		status = "has the end of its input"
		_ = p.program.CloseInput()
	} else {
		_ = p.program.Write(in.text)
	}
	p.phone.emit.Text(event.ProgramStatus, p.phone.number, status)
	p.phone.emit.Text(event.LineTyped, p.phone.number, strings.TrimSuffix(in.text, "\n"))
}

// maxLog is the most bytes of a contact log that are read.
const maxLog = 4 << 20

// logged returns the TempIDs in the program's contact log, in their order, without those that were in its folder before
// its start.
func (p *programPhone) logged() (ids []string) {
	for _, line := range p.logLines() {
		for _, id := range p.digits.FindAllString(line, -1) {
			if !p.known[id] {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// logLines returns the lines with TempIDs of the program's contact log. The log is a file *contactlog*.txt, or else any
// text file that the server does not have.
func (p *programPhone) logLines() (lines []string) {
	files, err := filepath.Glob(filepath.Join(p.folder, "*.txt"))
	if err != nil || p.folder == "" {
		return nil
	}
	name := func(path string) string { return strings.ToLower(filepath.Base(path)) }
	isLog := func(path string) bool {
		return strings.Contains(strings.NewReplacer("_", "", "-", "").Replace(name(path)), "contactlog")
	}
	if slices.ContainsFunc(files, isLog) {
		files = slices.DeleteFunc(files, func(path string) bool { return !isLog(path) })
	}
	for _, path := range files {
		if n := name(path); n == "tempids.txt" || n == "credentials.txt" {
			continue
		}
		for line := range strings.Lines(readLog(path)) {
			if p.digits.MatchString(line) {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return lines
}

// readLog returns the text of a file, or "" if it cannot be read: the program may replace it now.
func readLog(path string) string {
	at, err := os.Stat(path)
	if err != nil || !at.Mode().IsRegular() || at.Size() > maxLog {
		return ""
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

// startPrograms starts the phones that are programs, which connect with the world's server. A server of this project
// speaks the dialect of the programs through a front.
func (w *World) startPrograms() error {
	server := w.tcp.address
	for _, p := range w.phones {
		if p.program == nil {
			continue
		}
		if d := w.config.Dialect; w.front == nil && w.server != nil && d != nil {
			l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				return fmt.Errorf("listening for the phones: %w", err)
			}
			w.front = socket.ServeDialect(l, d, server, w.schedule.clock, func(misunderstood string) {
				w.schedule.locked(func() { w.emit.Text(event.ProgramStatus, event.Server, misunderstood) })
			})
			server = l.Addr().String()
		}
		if err := p.program.start(server); err != nil {
			return err
		}
	}
	return nil
}

// Address returns the UDP address of a phone.
func (w *World) Address(phone uint32) protocol.Address { return w.udp.addresses[phone] }

// Input writes a text to the standard input of a phone that is a program, when its user would type it. end ends the
// input after the text. An event.LineTyped is emitted when it is written.
func (w *World) Input(phone uint32, text string, end bool) {
	w.phones[phone].program.write(input{text, end})
}

// Logged returns the TempIDs in the contact log of a phone that is a program.
func (w *World) Logged(phone uint32) []string { return w.phones[phone].program.logged() }

// LogLines returns the lines with TempIDs of that contact log.
func (w *World) LogLines(phone uint32) []string { return w.phones[phone].program.logLines() }

// Usage returns the use of resources by a phone that is a program.
func (w *World) Usage(phone uint32) (foreign.Usage, error) {
	return w.phones[phone].program.program.Usage()
}

// SendForged sends a forged beacon in the form of the dialect, from the phone's own socket if port is 0. It returns
// false if that is the form of PROTOCOL.md: the script then sends the datagrams itself.
func (w *World) SendForged(phone, to uint32, port uint16, raw *[protocol.BeaconSize]byte) bool {
	b := w.phones[phone].beacons
	if b == nil {
		return false
	}
	dest, now := w.udp.addresses[to], b.present()
	if port == 0 {
		w.schedule.fail(b.send(dest, b.side.Send(now, dest, raw)))
		return true
	}
	for _, d := range b.side.SendAll(now, raw) {
		w.schedule.fail(w.udp.sendFromExtra(source{phone, port}, &dest, d))
	}
	return true
}
