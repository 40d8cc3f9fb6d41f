package learn_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain is also the foreign server and phone that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "server":
			runServer(os.Args[2])
			return
		case "phone":
			runPhone(os.Args[2], os.Args[3])
			return
		case "mute":
			runMute(os.Args[2])
			return
		}
	}
	os.Exit(m.Run())
}

const layout = "2006-01-02T15:04:05"

// runServer is a server of lines. It needs a file, names the attempts left, and wants a CRLF in its credentials.
func runServer(port string) {
	if _, err := os.Stat("state.txt"); err != nil {
		fmt.Println("FileNotFoundError: [Errno 2] No such file or directory: 'state.txt'")
		os.Exit(1)
	}
	text, _ := os.ReadFile("credentials.txt")
	accounts := strings.Split(string(text), "\r\n")
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	s := &server{accounts: accounts, wrongs: map[string]int{}}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go s.serve(c)
	}
}

type server struct {
	mu       sync.Mutex
	accounts []string
	wrongs   map[string]int
	ids      int
}

func (s *server) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewScanner(c)
	for user := ""; in.Scan(); {
		s.mu.Lock()
		f := append(strings.Fields(in.Text()), "", "")
		answer := ""
		switch {
		case f[0] == "AUTH" && s.wrongs[f[1]] == 3:
			answer = "blocked"
		case f[0] == "AUTH" && slices.Contains(s.accounts, f[1]+" "+f[2]):
			user, answer = f[1], "welcome "+f[1]
		case f[0] == "AUTH":
			s.wrongs[f[1]]++
			answer = fmt.Sprintf("wrong, %d left", 3-s.wrongs[f[1]])
			if s.wrongs[f[1]] == 3 {
				answer = "blocked now"
			}
		case f[0] == "ID":
			s.ids++
			now := time.Now().UTC()
			answer = fmt.Sprintf("%s/1234567890123456%04d/%s/%s", user, s.ids, now.Format(layout),
				now.Add(15*time.Minute).Format(layout))
		case f[0] == "END":
			answer = "thanks"
		}
		s.mu.Unlock()
		if answer != "" {
			fmt.Fprintf(c, "%s\n", answer)
		}
	}
}

// runMute is a server that greets, and answers nothing.
func runMute(port string) {
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		fmt.Fprint(c, "HELLO")
	}
}

// runPhone is a phone of runServer. It asks for the name again after a wrong password, and its beacons need an answer.
func runPhone(port, udp string) {
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	server, in := bufio.NewScanner(c), bufio.NewScanner(os.Stdin)
	ask := func(prompt string) string {
		fmt.Print(prompt)
		in.Scan()
		return in.Text()
	}
	call := func(line string) string {
		fmt.Fprintf(c, "%s\n", line)
		server.Scan()
		return server.Text()
	}
	ask("Register or Login? ")
	for {
		answer := call("AUTH " + ask("Username: ") + " " + ask("Password: "))
		fmt.Println(answer)
		if strings.HasPrefix(answer, "blocked") {
			return
		}
		if strings.HasPrefix(answer, "welcome") {
			break
		}
	}
	received := make(chan string, 10)
	go receive(udp, received)
	beacon := ""
	for {
		switch line := strings.Fields(ask("> ") + " . ."); line[0] {
		case "Download_tempID":
			f := strings.Split(call("ID"), "/")
			beacon = strings.Join(f[1:], "|")
			fmt.Println(f[1])
		case "Beacon":
			sendBeacon(net.JoinHostPort(line[1], line[2]), beacon)
		case "Upload_contact_log":
			fmt.Fprintf(c, "LOG %d\n", len(received))
			for len(received) > 0 {
				fmt.Fprintf(c, "+ %s\n", <-received)
			}
			fmt.Println(call("END"))
		case "log":
			fmt.Fprintln(c, "BYE")
			return
		default:
			fmt.Println("Error. Invalid command")
		}
	}
}

func sendBeacon(to, beacon string) {
	c, err := net.Dial("udp", to)
	if err != nil {
		panic(err)
	}
	defer c.Close()
	fmt.Fprint(c, "HELLO?")
	b := make([]byte, 100)
	if n, err := c.Read(b); err == nil && string(b[:n]) == "GO" {
		fmt.Fprint(c, beacon)
	}
}

func receive(port string, received chan<- string) {
	l, err := net.ListenPacket("udp", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	b := make([]byte, 1000)
	for {
		n, from, err := l.ReadFrom(b)
		if err != nil {
			return
		}
		if string(b[:n]) == "HELLO?" {
			_, _ = l.WriteTo([]byte("GO"), from)
			continue
		}
		received <- strings.ReplaceAll(string(b[:n]), "|", " ")
		fmt.Println("valid beacon")
	}
}
