package judge_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes/socket"
	"bluetrace/protocol"
)

// rightServer is a server of PROTOCOL.md, written without the machines of this project: a goroutine for each connection,
// and one lock. With a fault it breaks one duty of a server.
type rightServer struct {
	fault string
	block time.Duration

	mu     sync.Mutex
	wrong  map[string]int       // wrong passwords in a row, by the account
	until  map[string]time.Time // the ends of blocks, by the account
	open   map[string][]net.Conn
	barred map[string]bool // accounts that a fault refuses
	issued int
	rights map[string]int // right passwords, by the account
	kept   [][]byte
}

const (
	wireTime   = "02/01/2006 15:04:05"
	blocksFile = "blocks.txt"
	idsFile    = "tempIDs.txt"
)

// runServer is the main function of the server. In another dialect than seed a front translates.
func runServer(name, fault, port, block string) error {
	seconds, err := strconv.Atoi(block)
	if err != nil {
		return err
	}
	s := &rightServer{
		fault: fault, block: time.Duration(seconds) * time.Second, wrong: map[string]int{}, until: map[string]time.Time{},
		open: map[string][]net.Conn{}, barred: map[string]bool{}, rights: map[string]int{},
	}
	if fault == "ends at the start" {
		return errors.New("no module named bluetrace")
	}
	l, err := net.Listen("tcp4", ":"+port)
	if err != nil {
		return err
	}
	fmt.Println("I am listening")
	s.readBlocks()
	if fault == "forgets TempIDs at a restart" {
		_ = os.Remove(idsFile) // there may be none
	}
	if name != "seed" {
		d, err := dialectOf(name)
		if err != nil {
			return err
		}
		own, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return err
		}
		socket.ServeDialect(l.(*net.TCPListener), d, own.Addr().String(), clock.New(), func(text string) { fmt.Println(text) })
		l = own
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go s.serve(c)
	}
}

// readBlocks reads the blocks that an earlier process has written.
func (s *rightServer) readBlocks() {
	text, _ := os.ReadFile(blocksFile) // there may be none
	for line := range strings.Lines(string(text)) {
		var user string
		var nanoseconds int64
		if _, err := fmt.Sscan(line, &user, &nanoseconds); err == nil && s.fault != "forgets blocks" {
			s.until[user] = time.Unix(0, nanoseconds)
		}
	}
}

// read returns what one read brings, or "" at the end of the stream.
func (s *rightServer) read(c net.Conn) string {
	b := make([]byte, protocol.MaxMessage)
	n, _ := c.Read(b) // an error is the end
	return string(b[:n])
}

func (s *rightServer) serve(c net.Conn) {
	defer func() { _ = c.Close() }() // the phone may have closed it
	b := make([]byte, protocol.MaxMessage)
	n, err := c.Read(b)
	if errors.Is(err, syscall.ECONNRESET) && s.fault == "a reset ends it" {
		os.Exit(1)
	}
	user := string(b[:n])
	for user == "" && s.fault == "reads on after the end" {
		_, _ = c.Read(b) // it does not wait
	}
	if user == "" || !s.login(c, user) {
		return
	}
	s.session(c, user)
	s.mu.Lock()
	s.open[user] = slices.DeleteFunc(s.open[user], func(o net.Conn) bool { return o == c })
	s.mu.Unlock()
}

// login answers passwords until one is right.
func (s *rightServer) login(c net.Conn, user string) bool {
	for {
		password := s.read(c)
		if password == "" && s.fault == "the end of a stream is a wrong password" {
			for range 3 {
				s.attempt(c, user, "")
			}
		}
		if password == "" {
			return false
		}
		answer := s.attempt(c, user, password)
		if answer != "" {
			_, _ = c.Write([]byte(answer)) // the next read sees the end
		}
		if answer == protocol.Welcome {
			return true
		}
		if answer != protocol.TryAgain {
			return false
		}
	}
}

// attempt returns the answer to a password, or "" for none.
func (s *rightServer) attempt(c net.Conn, user, password string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	account := user
	switch s.fault {
	case "counts per connection":
		account = c.RemoteAddr().String()
	case "blocks per address":
		account, _, _ = net.SplitHostPort(c.RemoteAddr().String())
		account += user
	}
	now := time.Now()
	blocked := func(until time.Time) bool { return now.Before(until) }
	if blocked(s.until[account]) || blocked(s.until[user]) && s.fault == "counts per connection" ||
		s.fault == "blocks all accounts" && slices.ContainsFunc(values(s.until), blocked) {
		switch begun := s.until[account].Add(-s.block); {
		case s.fault == "a refused attempt prolongs the block":
			s.until[account] = now.Add(s.block)
		case s.fault == "two connections block twice" && now.Sub(begun) < 700*time.Millisecond:
			s.until[account] = s.until[account].Add(s.block)
		}
		return protocol.IsBlocked
	}
	known := s.accounts()
	right, isKnown := known[user]
	if !isKnown && s.fault == "an unknown name ends it" {
		os.Exit(1)
	}
	if s.fault == "the third attempt is refused" && s.wrong[account] == 2 {
		right = ""
	}
	equal := func(a, b string) bool { return a == b }
	if s.fault == "ignores the case of passwords" {
		equal = strings.EqualFold
	}
	if isKnown && equal(password, right) && s.fault != "refuses right passwords" {
		return s.welcome(c, user, account)
	}
	return s.refuse(user, account)
}

// welcome begins a session.
func (s *rightServer) welcome(c net.Conn, user, account string) string {
	sessions := 0
	for _, list := range s.open {
		sessions += len(list)
	}
	s.rights[user]++
	switch {
	case s.fault == "four sessions" && sessions == 4,
		s.fault == "one session of an account" && len(s.open[user]) > 0,
		s.fault == "one connection of an account" && s.rights[user] > 1,
		s.barred[user]:
		return ""
	case s.fault != "keeps the count":
		s.wrong[account] = 0
	}
	s.open[user] = append(s.open[user], c)
	if s.fault == "keeps a megabyte of each login" {
		s.kept = append(s.kept, bytes.Repeat([]byte{1}, 1<<20))
	}
	fmt.Println("users: " + user)
	return protocol.Welcome
}

// refuse counts a wrong password.
func (s *rightServer) refuse(user, account string) string {
	most := 3
	switch s.fault {
	case "blocks at the second":
		most = 2
	case "blocks at the fourth":
		most = 4
	case "never blocks":
		most = 1000
	}
	if s.wrong[account]++; s.wrong[account] < most {
		if s.fault == "closes after a wrong password" {
			return ""
		}
		return protocol.TryAgain
	}
	length := s.block
	switch s.fault {
	case "blocks for too short a time":
		length = length * 7 / 10
	case "blocks for thrice the time":
		length *= 3
	case "a block ends sessions":
		for _, c := range s.open[user] {
			_ = c.Close()
		}
	}
	s.wrong[account], s.until[account] = 0, time.Now().Add(length)
	if s.fault == "counts per connection" {
		s.until[user] = s.until[account]
	}
	text := fmt.Sprintln(account, s.until[account].UnixNano())
	if err := appendTo(blocksFile, text); err != nil {
		panic(err)
	}
	if s.fault == "does not tell the block" {
		return protocol.TryAgain
	}
	return protocol.NowBlocked
}

func values(m map[string]time.Time) (all []time.Time) {
	for _, t := range m {
		all = append(all, t)
	}
	return all
}

// accounts returns the accounts of credentials.txt.
func (s *rightServer) accounts() map[string]string {
	text, err := os.ReadFile("credentials.txt")
	if err != nil {
		panic(err)
	}
	accounts := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if user, password, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			if s.fault == "short passwords only" && len(password) > 12 {
				password = password[:12]
			}
			accounts[user] = password
		}
	}
	return accounts
}

func appendTo(name, text string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// session answers commands until the end of the stream.
func (s *rightServer) session(c net.Conn, user string) {
	text := ""
	for {
		command := ""
		for _, known := range []string{protocol.CommandDownload, protocol.CommandUpload, protocol.CommandLogout, "logout"} {
			if strings.HasPrefix(text, known) {
				command = known
			}
		}
		text = text[len(command):]
		answer := ""
		switch command {
		case "":
			if s.fault == "reads whole commands" || len(text) > 20 {
				text = ""
			}
			if strings.HasPrefix(text, "whats") && s.fault == "an unknown command ends it" {
				os.Exit(1)
			}
			more := s.read(c)
			if more == "" {
				if s.fault == "a broken session stays" {
					s.bar(user)
				}
				return
			}
			text += more
			continue
		case protocol.CommandDownload:
			answer = s.download(user)
		case protocol.CommandUpload:
			if !s.upload(c, user) {
				return
			}
		default:
			if s.fault != "logs out silently" {
				fmt.Println(user + " logout")
			}
			if s.fault == "a session that was logged out stays" {
				s.bar(user)
			}
			return
		}
		if _, err := c.Write([]byte(answer)); err != nil {
			return
		}
	}
}

// bar refuses an account from now on.
func (s *rightServer) bar(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.barred[user] = true
}

// download issues a TempID.
func (s *rightServer) download(user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued++
	id := fmt.Sprintf("7%09d%010d", time.Now().UnixNano()%1e9, s.issued)
	lifetime := 15 * time.Minute
	switch {
	case s.fault == "short TempIDs", s.fault == "the eighth TempID is short" && s.issued == 8:
		id = id[:19]
	case s.fault == "counts TempIDs up":
		id = fmt.Sprintf("7%019d", s.issued)
	case s.fault == "TempIDs of all users are alike":
		id = fmt.Sprintf("7%019d", (s.issued+1)/2)
	case s.fault == "TempIDs live for half an hour":
		lifetime *= 2
	}
	now := time.Now().UTC()
	line := fmt.Sprintln(user, id, now.Format(wireTime), now.Add(lifetime).Format(wireTime))
	if s.fault != "stores no TempIDs" {
		if err := appendTo(idsFile, line); err != nil {
			panic(err)
		}
	} else if err := appendTo("hidden.txt", line); err != nil {
		panic(err)
	}
	fmt.Printf("user: %s\nTempID:\n%s\n", user, id)
	return id
}

// upload takes a contact log and prints the owners of its TempIDs. It returns false if the session ends.
func (s *rightServer) upload(c net.Conn, user string) bool {
	ask := func() string {
		if _, err := c.Write([]byte(protocol.Ack)); err != nil {
			return ""
		}
		return s.read(c)
	}
	count, err := strconv.Atoi(ask())
	if err != nil || count%3 != 0 {
		return false
	}
	var lines []string
	for range count {
		line := ask()
		if line == "" {
			return false
		}
		lines = append(lines, line)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == "an empty upload ends it" && count == 0 {
		os.Exit(1)
	}
	fmt.Printf("received contact log from %s\n%s\nContact log checking\n", user, strings.Join(lines, "\n"))
	stored, _ := os.ReadFile(idsFile) // there may be none
	if s.fault == "stores no TempIDs" {
		stored, _ = os.ReadFile("hidden.txt")
	}
	for i := 0; i < len(lines); i += 3 {
		owner := ""
		for line := range strings.Lines(string(stored)) {
			if f := strings.Fields(line); f[1] == lines[i] {
				owner = f[0]
			}
		}
		switch {
		case owner == "" && s.fault == "stops at an unknown TempID", i == 30 && s.fault == "resolves ten entries":
			i = len(lines)
		case owner != "" && s.fault == "prints no owners":
			fmt.Println("someone")
		case owner != "":
			fmt.Printf("%s\n%s\n%s\n", owner, lines[i+1], lines[i+2])
		}
	}
	_, _ = c.Write([]byte(protocol.Ack)) // the next read sees the end
	return s.fault != "an upload ends the session"
}
