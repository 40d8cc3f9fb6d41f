//go:build unix

package judge_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"bluetrace/protocol"
)

// rightPhone is a phone of PROTOCOL.md, written without the machines of this project. It sends a beacon in one
// datagram, and understands both forms. With a fault it breaks one duty of a phone.
type rightPhone struct {
	fault     string
	server    net.Conn
	udp       net.PacketConn
	retention time.Duration
	own       []string // TempID, start and expiry

	mu    sync.Mutex
	typed []byte // beginning of a line
	log   []heard
}

// heard is an entry of the contact log.
type heard struct {
	fields []string // TempID, start and expiry
	at     time.Time
}

// runPhone is the main function of the phone.
func runPhone(fault, retention, port, udp string) (err error) {
	if fault == "buffers its output to a pipe" && !term.IsTerminal(int(os.Stdout.Fd())) {
		os.Stdout = nil // its buffer is never full
	}
	p := &rightPhone{fault: fault}
	if p.retention, err = time.ParseDuration(retention); err != nil {
		return err
	}
	if p.server, err = net.Dial("tcp", "127.0.0.1:"+port); err != nil {
		return err
	}
	if p.udp, err = net.ListenPacket("udp4", "127.0.0.1:"+udp); err != nil {
		return err
	}
	if ok, err := p.logIn(); !ok {
		return err
	}
	go p.receive()
	go p.expire()
	for {
		fmt.Print("input the command: ")
		line, err := p.line()
		if err != nil && p.fault == "goes on after its input" {
			select {}
		}
		if err != nil || p.command(strings.Fields(line+" . .")) {
			return err
		}
	}
}

// line returns the next line of standard input.
func (p *rightPhone) line() (string, error) {
	b := make([]byte, 200)
	for {
		p.mu.Lock()
		line, rest, ok := bytes.Cut(p.typed, []byte("\n"))
		if ok {
			p.typed = rest
			p.mu.Unlock()
			return string(line), nil
		}
		p.mu.Unlock()
		n, err := os.Stdin.Read(b)
		if err != nil {
			return "", err
		}
		p.mu.Lock()
		p.typed = append(p.typed, b[:n]...)
		p.mu.Unlock()
	}
}

// call sends a message and returns the answer.
func (p *rightPhone) call(text string) (string, error) {
	if _, err := p.server.Write([]byte(text)); err != nil {
		return "", err
	}
	b := make([]byte, protocol.MaxMessage)
	n, err := p.server.Read(b)
	return string(b[:n]), err
}

// logIn returns false if the user may not log in.
func (p *rightPhone) logIn() (bool, error) {
	fmt.Print("Username: ")
	user, err := p.line()
	if err != nil {
		return false, err
	}
	if _, err := p.server.Write([]byte(user)); err != nil {
		return false, err
	}
	for {
		fmt.Print("Password: ")
		password, err := p.line()
		if err != nil {
			return false, err
		}
		answer, err := p.call(password)
		switch {
		case answer == protocol.Welcome:
			fmt.Println(answer)
			return true, nil
		case answer == protocol.TryAgain:
			fmt.Println(answer)
			continue
		case p.fault == "does not tell the block":
			fmt.Println("Goodbye.")
		default:
			fmt.Println(answer)
		}
		if p.fault == "stays after the third wrong password" {
			select {}
		}
		return false, err
	}
}

// command obeys a typed line. It returns true after a logout.
func (p *rightPhone) command(words []string) bool {
	const refused = "Error. Invalid command"
	switch words[0] {
	case protocol.CommandDownload:
		id, err := p.call(words[0])
		for err != nil && p.fault == "tries again and again" {
			_, err = p.call(words[0])
		}
		if err != nil {
			fmt.Println("the connection is lost")
			return false
		}
		start := time.Now().UTC()
		if p.fault == "sends other times" {
			start = start.Add(time.Hour)
		}
		p.own = []string{id, start.Format(wireTime), start.Add(15 * time.Minute).Format(wireTime)}
		if p.fault == "shows no TempID" {
			id = "is there"
		}
		fmt.Println("TempID:", id)
	case "Beacon":
		if p.fault == "ends at a Beacon without an address" && words[1] == "." {
			os.Exit(1)
		}
		to, err := net.ResolveUDPAddr("udp4", net.JoinHostPort(words[1], words[2]))
		if err != nil || p.own == nil {
			fmt.Println("can't send the beacon")
			return false
		}
		beacon := strings.Join(p.own, "") + "1"
		if p.fault == "sends the TempID alone" {
			beacon = p.own[0]
		}
		if _, err := p.udp.WriteTo([]byte(beacon), to); err != nil {
			fmt.Println(err)
		}
	case protocol.CommandUpload:
		p.upload()
	case "log", "logout":
		_, _ = p.server.Write([]byte(protocol.CommandLogout)) // the server may have gone
		if p.fault != "logs out silently" {
			fmt.Println("you have logged out")
		}
		return p.fault != "logs out silently" // without a prompt
	default:
		if p.fault != "ignores unknown commands" {
			fmt.Println(refused)
		}
	}
	return false
}

func (p *rightPhone) upload() {
	p.mu.Lock()
	var lines []string
	for _, h := range p.log {
		lines = append(lines, h.fields...)
	}
	p.mu.Unlock()
	if p.fault == "uploads one entry" {
		lines = lines[:min(3, len(lines))]
	}
	for _, text := range append([]string{protocol.CommandUpload, strconv.Itoa(len(lines))}, lines...) {
		if _, err := p.call(text); err != nil {
			fmt.Println("the upload failed")
			return
		}
	}
	fmt.Println("uploaded", len(lines)/3)
}

// receive judges beacons.
func (p *rightPhone) receive() {
	parts := map[string]string{}
	b := make([]byte, 2000)
	for {
		n, from, err := p.udp.ReadFrom(b)
		if err != nil {
			return
		}
		source := from.String()
		if p.fault == "mixes senders" {
			source = ""
		}
		sizes := map[int]int{20: 0, 19: 20, 1: 58, protocol.BeaconSize: 0} // the length of the parts before
		before, ok := sizes[n]
		if n == 19 && len(parts[source]) == 39 {
			before = 39
		}
		if p.fault == "ends at a datagram that is no beacon" && !ok {
			os.Exit(1)
		}
		if n == 20 || n == protocol.BeaconSize {
			parts[source] = ""
		}
		if !ok || len(parts[source]) != before {
			fmt.Println("The beacon is invalid.")
			continue
		}
		if parts[source] += string(b[:n]); len(parts[source]) == protocol.BeaconSize {
			p.judge(parts[source])
		}
	}
}

// judge prints a beacon, and keeps a valid one.
func (p *rightPhone) judge(beacon string) {
	fields := []string{beacon[:20], beacon[20:39], beacon[39:58]}
	start, err := time.Parse(wireTime, fields[1])
	expiry, err2 := time.Parse(wireTime, fields[2])
	now := time.Now()
	switch p.fault {
	case "allows five seconds":
		start, expiry = start.Add(-5*time.Second), expiry.Add(5*time.Second)
	case "takes expired beacons":
		expiry = expiry.Add(time.Hour)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault == "loses a half-typed command" {
		const tcflsh, inputQueue = 0x540b, 0 // of Linux: what a terminal has not given to the program is lost
		_ = unix.IoctlSetInt(int(os.Stdin.Fd()), tcflsh, inputQueue)
	}
	if p.fault != "does not show beacons" {
		fmt.Println(strings.Join(fields, "\n"))
	}
	if errors.Join(err, err2) != nil || now.Before(start) || !now.Before(expiry) {
		fmt.Println("The beacon is invalid.")
		return
	}
	fmt.Println("The beacon is valid.")
	if p.fault != "keeps nothing" {
		p.log = append(p.log, heard{fields, now})
		p.write()
	}
}

// write writes the contact log. The caller holds the lock.
func (p *rightPhone) write() {
	var b strings.Builder
	for _, h := range p.log {
		fmt.Fprintln(&b, strings.Join(h.fields, "\n"))
	}
	if n := len(p.log); p.fault == "writes half a log" && n > 40 && n%2 == 1 { // the next entry completes it
		if err := os.WriteFile("z1_contactlog.txt", []byte(b.String()[:b.Len()/2]), 0o600); err != nil {
			panic(err)
		}
		return
	}
	if err := os.WriteFile("z1_contactlog.new", []byte(b.String()), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename("z1_contactlog.new", "z1_contactlog.txt"); err != nil {
		panic(err)
	}
}

// expire removes entries after their retention.
func (p *rightPhone) expire() {
	for range time.Tick(50 * time.Millisecond) {
		p.mu.Lock()
		before := len(p.log)
		if before > 0 && time.Since(p.log[0].at) >= p.retention {
			p.log = p.log[1:]
			if p.fault == "removes all entries at once" {
				p.log = nil
			}
		}
		if p.fault != "keeps entries for ever" && len(p.log) != before {
			p.write()
		}
		p.mu.Unlock()
	}
}
