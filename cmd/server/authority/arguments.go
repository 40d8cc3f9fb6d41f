package authority

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"bluetrace/cmd/internal/dashes"
	"bluetrace/cmd/internal/scraping"
	"bluetrace/nodes"
)

const usageLine = "server <server_port> <block_duration> [flags]"

const about = `The server of BlueTrace: phones log in, download TempIDs and upload contact logs.

  ` + usageLine + `

server_port is 1 to 65535, or 0 for any free port. block_duration is how long an account is blocked
after three wrong passwords in a row: whole seconds, like 60, or a duration, like 1m30s. D is a
duration.

`

const statuses = `
Exit status: 0 after Ctrl-C, SIGTERM or SIGHUP, with everything saved; 1 if the server could not start or
continue; 2 for a wrong argument.
`

// arguments are the settings of the command line.
type arguments struct {
	address  string // host:port to listen at
	dir      string
	metrics  string // host:port of --metrics; empty without it
	noFsync  bool
	settings nodes.ServerSettings // without zone, key and randomness

	// Results of fitConnections:
	sockets int    // limit of sessions and lingering connections together; 0 for no limit
	lowered string // the message that MaxConnections was lowered; empty if it was not
}

// parseArguments parses the command line. If the user asks for help, it returns the help
// text and pflag.ErrHelp.
func parseArguments(line []string) (a arguments, help string, err error) {
	a.settings = nodes.DefaultServerSettings()
	s := &a.settings
	set := dashes.NewSet("server")
	set.StringVar(&a.dir, "dir", ".", "keep credentials.txt and tempIDs.txt in the folder `DIR`")
	host := set.String("host", "", "listen at the address `HOST` (default all interfaces)")
	set.DurationVar(&s.TempIDLifetime, "tempid-lifetime", s.TempIDLifetime,
		"how long a TempID is valid, `D` of whole seconds")
	set.DurationVar(&s.LoginTimeout, "login-timeout", s.LoginTimeout,
		"close a session that has not logged in after `D`")
	set.DurationVar(&s.IdleTimeout, "idle-timeout", s.IdleTimeout, "close a session that has sent nothing for `D`")
	set.IntVar(&s.MaxConnections, "max-connections", 10_000,
		"above `N` connections, close the oldest that has not logged in")
	set.IntVar(&s.MaxUploadLines, "max-upload", s.MaxUploadLines,
		"refuse an upload of more than `N` lines, three for each entry")
	set.IntVar(&s.MaxBlockedBytes, "max-blocked-bytes", s.MaxBlockedBytes,
		"forget the oldest blocked names without an account above `N` bytes of memory")
	metrics := set.String("metrics", "",
		"serve Prometheus metrics at `HOST:PORT`; a port alone is on the loopback (default off)")
	set.BoolVar(&a.noFsync, "no-fsync", false, "answer before the disk has stored: faster, but the last TempIDs and\n"+
		"blocks are lost if the program is killed or the machine stops")
	const optional = "[=true|false]" // which pflag adds to a Boolean flag
	help = about + strings.ReplaceAll(set.FlagUsages(), optional, strings.Repeat(" ", len(optional))) + statuses
	words, err := dashes.Parse(set, line, "server_port", "block_duration")
	if err != nil {
		return a, help, err
	}
	if a.address, err = addressOf(*host, words[0]); err != nil {
		return a, help, err
	}
	if s.BlockDuration, err = blockDuration(words[1]); err != nil {
		return a, help, err
	}
	if set.Changed("metrics") {
		if a.metrics, err = scraping.ParseAddress(*metrics); err != nil {
			return a, help, err
		}
	}
	return a, help, a.validate()
}

// validate returns an error for the first flag that is not valid.
func (a *arguments) validate() error {
	switch s := &a.settings; {
	case a.dir == "":
		return errors.New("--dir needs a value")
	case s.TempIDLifetime <= 0 || s.TempIDLifetime%time.Second != 0:
		return fmt.Errorf("invalid --tempid-lifetime %v: must be whole seconds above 0", s.TempIDLifetime)
	case s.LoginTimeout <= 0:
		return fmt.Errorf("invalid --login-timeout %v: must be above 0", s.LoginTimeout)
	case s.IdleTimeout <= 0:
		return fmt.Errorf("invalid --idle-timeout %v: must be above 0", s.IdleTimeout)
	case s.MaxConnections < 1:
		return fmt.Errorf("invalid --max-connections %d: must be 1 or more", s.MaxConnections)
	case s.MaxUploadLines < 0 || s.MaxUploadLines > 9_999_999:
		return fmt.Errorf("invalid --max-upload %d: must be 0 to 9999999", s.MaxUploadLines)
	case s.MaxBlockedBytes < 1:
		return fmt.Errorf("invalid --max-blocked-bytes %d: must be 1 or more", s.MaxBlockedBytes)
	}
	return nil
}

// addressOf returns host:port. The host may be an IPv6 address in brackets. The error is
// about the port.
func addressOf(host, port string) (string, error) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", fmt.Errorf("invalid server_port %q: must be 0 to 65535", port)
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]") // as in a URL
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}

// port returns the port of address.
func (a *arguments) port() string {
	_, port, err := net.SplitHostPort(a.address)
	if err != nil {
		panic(fmt.Sprintf("server: address %q: %v", a.address, err)) // addressOf made it
	}
	return port
}

// blockDuration parses a number of whole seconds or a Go duration, which must be above 0.
func blockDuration(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		if seconds <= 0 || seconds > math.MaxInt64/int64(time.Second) {
			return 0, fmt.Errorf("invalid block_duration %q: must be 1 to %d seconds",
				text, math.MaxInt64/int64(time.Second))
		}
		return time.Duration(seconds) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("invalid block_duration %q: "+
			"must be whole seconds, like 60, or a duration, like 1m30s", text)
	}
	if d <= 0 {
		return 0, fmt.Errorf("invalid block_duration %q: must be above 0", text)
	}
	return d, nil
}
