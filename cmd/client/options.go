package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"bluetrace/cmd/internal/dashes"
	"bluetrace/nodes"
	"bluetrace/protocol"
)

const usage = "client <server_IP> <server_port> <client_udp_port> [flags]"

const about = `Runs one phone of BlueTrace: log in, download a TempID, send and receive beacons, upload the contact log.

  ` + usage + `

  server_IP        where the server runs: an IP address, or a name like localhost
  server_port      its TCP port
  client_udp_port  where this phone receives beacons: a free UDP port, another one for each client

It asks for a username and a password, then for commands:

  Download_tempID     fetches a TempID; it is needed to send beacons
  Beacon IP PORT      sends a beacon to the phone at this address and UDP port
  Upload_contact_log  sends the beacons of the last minutes to the server
  log out             leaves the server; beacons still come in until Ctrl-C or the end of input

D is a duration, like 30s or 5m.

`

const statuses = `
Exit status: 0 at the end of input (also without a login) or Ctrl-C; 1 when it cannot start or go on,
or the login failed for good; 2 for a wrong argument.
`

// options are what the arguments ask for.
type options struct {
	server     string // host:port
	udp        netip.AddrPort
	contactLog string
	settings   nodes.PhoneSettings // all but the zone
}

// parse reads the arguments. The error pflag.ErrHelp asks for the help text,
// which is the second answer.
func parse(arguments []string) (o options, help string, err error) {
	o.settings = nodes.DefaultPhoneSettings()
	o.settings.MaxEntries = mostEntries
	set := pflag.NewFlagSet("client", pflag.ContinueOnError)
	set.SortFlags = false
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	set.StringVar(&o.contactLog, "contact-log", "z5272202_contactlog.txt", "keep the contact log in `FILE`")
	set.DurationVar(&o.settings.Retention, "retention", o.settings.Retention,
		"keep a beacon for `D` after its reception")
	form := set.String("beacon", "split", "send a beacon in `FORM`: split, four datagrams, or single, one")
	host := set.String("host", "", "receive beacons only at this `IP` address of the machine (default all)")
	set.DurationVar(&o.settings.PasswordPause, "password-pause", o.settings.PasswordPause,
		"wait `D` between username and password: some servers read both as one")
	help = about + set.FlagUsages() + statuses
	if len(arguments) == 1 && arguments[0] == "help" {
		return o, help, pflag.ErrHelp
	}
	flags, words, err := dashes.Split(set, arguments)
	if err == nil {
		err = set.Parse(flags)
	}
	if err == nil {
		err = o.takeArguments(words)
	}
	if err == nil {
		err = o.takeFlags(*form, *host)
	}
	return o, help, err
}

func (o *options) takeArguments(words []string) error {
	switch len(words) {
	case 0:
		return errors.New("server_IP, server_port and client_udp_port are missing")
	case 1:
		return errors.New("server_port and client_udp_port are missing")
	case 2:
		return errors.New("client_udp_port is missing")
	case 3:
	default:
		return fmt.Errorf("%d arguments, want server_IP, server_port and client_udp_port only", len(words))
	}
	host := withoutBrackets(words[0])
	if !isHost(host) {
		return fmt.Errorf("the server_IP %q is no IP address", words[0])
	}
	server, err := port("server_port", words[1])
	if err != nil {
		return err
	}
	udp, err := port("client_udp_port", words[2])
	o.server = net.JoinHostPort(host, strconv.Itoa(int(server)))
	o.udp = netip.AddrPortFrom(netip.IPv6Unspecified(), udp)
	return err
}

// withoutBrackets takes an IPv6 address also as it stands in a URL.
func withoutBrackets(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") && strings.Contains(inner, ":") {
		return strings.TrimSuffix(inner, "]")
	}
	return host
}

// isHost takes IP addresses, and names that a machine may have.
func isHost(word string) bool {
	if _, err := netip.ParseAddr(word); err == nil {
		return true
	}
	const letters, others = "abcdefghijklmnopqrstuvwxyz", "0123456789-._"
	word = strings.ToLower(word)
	return strings.ContainsAny(word, letters) && strings.Trim(word, letters+others) == ""
}

func port(name, word string) (uint16, error) {
	n, err := strconv.ParseUint(word, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("the %s %q is no number from 1 to 65535", name, word)
	}
	return uint16(n), nil
}

func (o *options) takeFlags(form, host string) error {
	switch form {
	case "split":
		o.settings.Form = protocol.Split
	case "single":
		o.settings.Form = protocol.Single
	default:
		return fmt.Errorf("--beacon %q is neither split nor single", form)
	}
	if host != "" {
		ip, err := netip.ParseAddr(withoutBrackets(host))
		if err != nil {
			return fmt.Errorf("--host %q is no IP address", host)
		}
		o.udp = netip.AddrPortFrom(ip, o.udp.Port())
	}
	if o.settings.Retention <= 0 {
		return fmt.Errorf("--retention %v is not positive", o.settings.Retention)
	}
	if o.settings.PasswordPause < 0 {
		return fmt.Errorf("--password-pause %v is negative", o.settings.PasswordPause)
	}
	o.settings.RetryPause = max(o.settings.RetryPause, o.settings.PasswordPause)
	if o.contactLog == "" || strings.HasSuffix(o.contactLog, "/") {
		return errors.New("--contact-log names no file")
	}
	return nil
}

// mostEntries bounds what a flood of valid beacons takes: 3 MB of memory, and a
// log of 6 MB that is written once a second.
const mostEntries = 100_000
