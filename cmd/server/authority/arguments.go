package authority

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"bluetrace/cmd/internal/dashes"
	"bluetrace/nodes"
)

const usageLine = "server <server_port> <block_duration> [flags]"

const about = `The server of BlueTrace: phones log in, download TempIDs and upload contact logs.

  ` + usageLine + `

server_port is 1 to 65535, or 0 for any that is free; block_duration is what an account is
blocked for after three wrong passwords in a row: whole seconds, like 60, or a duration, like 1m30s.
D is a duration.

`

const statuses = `
Exit status: 0 ended by Ctrl-C or SIGTERM, with everything saved; 1 it could not be started, or
not go on; 2 a wrong argument.
`

// arguments is what the command line asks for.
type arguments struct {
	address  string // to listen at
	dir      string
	metrics  string // address; empty: none
	noFsync  bool
	settings nodes.ServerSettings // without what only a host has

	// Of fitConnections:
	sockets int    // connections that there may be, also closed ones; 0: no limit
	lowered string // says that there may be fewer sessions than asked for
}

// parseArguments reads the command line. The error pflag.ErrHelp asks for help.
func parseArguments(line []string) (a arguments, help string, err error) {
	a.settings = nodes.DefaultServerSettings()
	s := &a.settings
	set := pflag.NewFlagSet("server", pflag.ContinueOnError)
	set.SortFlags = false
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	set.StringVar(&a.dir, "dir", ".", "keep credentials.txt and tempIDs.txt in the folder `DIR`")
	host := set.String("host", "", "listen at the address `HOST` (default all interfaces)")
	set.DurationVar(&s.TempIDLifetime, "tempid-lifetime", s.TempIDLifetime,
		"how long a TempID is valid, `D` of whole seconds")
	set.DurationVar(&s.LoginTimeout, "login-timeout", s.LoginTimeout,
		"close a session that has not logged in after `D`")
	set.DurationVar(&s.IdleTimeout, "idle-timeout", s.IdleTimeout, "close a session from which nothing came for `D`")
	set.IntVar(&s.MaxConnections, "max-connections", 10_000,
		"with more than `N`, the oldest that has not logged in is closed")
	set.IntVar(&s.MaxUploadLines, "max-upload", s.MaxUploadLines,
		"refuse an upload of more than `N` lines, three an entry")
	metrics := set.String("metrics", "",
		"serve Prometheus metrics at `HOST:PORT`; a port alone is on the loopback (default off)")
	set.BoolVar(&a.noFsync, "no-fsync", false, "answer before the disk has it: faster, but what was issued or "+
		"blocked in the last moments\nis lost when the program is killed or the machine stops")
	const optional = "[=true|false]" // true, but of no use here
	help = about + strings.ReplaceAll(set.FlagUsages(), optional, strings.Repeat(" ", len(optional))) + statuses
	if len(line) == 1 && line[0] == "help" {
		return a, help, pflag.ErrHelp
	}
	flags, words, err := dashes.Split(set, line)
	if err == nil {
		err = set.Parse(flags)
	}
	if err != nil {
		return a, help, err
	}
	switch n := len(words); {
	case n == 0:
		return a, help, errors.New("server_port and block_duration are missing")
	case n == 1:
		return a, help, errors.New("block_duration is missing")
	case n > 2:
		return a, help, fmt.Errorf("%d arguments, want server_port and block_duration only", n)
	}
	if a.address, err = addressOf(*host, words[0]); err != nil {
		return a, help, err
	}
	if s.BlockDuration, err = blockDuration(words[1]); err != nil {
		return a, help, err
	}
	if set.Changed("metrics") {
		if a.metrics, err = metricsAddress(*metrics); err != nil {
			return a, help, err
		}
	}
	return a, help, a.validate()
}

// validate says what is wrong with the first bad flag.
func (a *arguments) validate() error {
	switch s := &a.settings; {
	case a.dir == "":
		return errors.New("--dir is empty")
	case s.TempIDLifetime <= 0 || s.TempIDLifetime%time.Second != 0:
		return fmt.Errorf("--tempid-lifetime %v is not a positive number of whole seconds", s.TempIDLifetime)
	case s.LoginTimeout <= 0:
		return fmt.Errorf("--login-timeout %v is not positive", s.LoginTimeout)
	case s.IdleTimeout <= 0:
		return fmt.Errorf("--idle-timeout %v is not positive", s.IdleTimeout)
	case s.MaxConnections < 1:
		return fmt.Errorf("--max-connections %d is not at least 1", s.MaxConnections)
	case s.MaxUploadLines < 0 || s.MaxUploadLines > 9_999_999:
		return fmt.Errorf("--max-upload %d is not 0 to 9999999", s.MaxUploadLines)
	}
	return nil
}

func addressOf(host, port string) (string, error) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", fmt.Errorf("server_port %q is no number from 0 to 65535", port)
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]") // as in a URL
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}

func (a *arguments) port() string {
	_, port, err := net.SplitHostPort(a.address)
	if err != nil {
		panic(fmt.Sprintf("server: address %q: %v", a.address, err)) // addressOf made it
	}
	return port
}

// blockDuration reads whole seconds or a Go duration.
func blockDuration(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		if seconds <= 0 || seconds > math.MaxInt64/int64(time.Second) {
			return 0, fmt.Errorf("block_duration %q is not 1 to %d seconds", text, math.MaxInt64/int64(time.Second))
		}
		return time.Duration(seconds) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("block_duration %q is neither whole seconds, like 60, nor a duration, like 1m30s", text)
	}
	if d <= 0 {
		return 0, fmt.Errorf("block_duration %q is not positive", text)
	}
	return d, nil
}

// metricsAddress reads HOST:PORT; without a host it is the loopback.
func metricsAddress(text string) (string, error) {
	host, port := "", text
	if _, err := strconv.ParseUint(text, 10, 16); err != nil {
		if host, port, err = net.SplitHostPort(text); err != nil {
			return "", fmt.Errorf("--metrics %q is neither HOST:PORT nor a port", text)
		}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("--metrics %q has no port from 0 to 65535", text)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}
