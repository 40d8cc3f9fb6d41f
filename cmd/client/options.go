package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"bluetrace/cmd/internal/dashes"
	"bluetrace/nodes"
	"bluetrace/protocol"
)

const usage = "client <server_IP> <server_port> <client_udp_port> [flags]"

const about = `Runs one phone of BlueTrace: log in, download a TempID, send and receive beacons, upload the contact log.

  ` + usage + `

  server_IP        the server's IP address, or a name like localhost
  server_port      its TCP port
  client_udp_port  a free UDP port, at which this phone receives beacons

It asks for a username and a password, then for commands:

  Download_tempID     fetches a TempID, which beacons need
  Beacon IP PORT      sends a beacon to the phone at this address and UDP port
  Upload_contact_log  sends the beacons of the last minutes to the server
  log out             ends the session; the phone receives beacons until Ctrl-C or the end of input

D is a duration, like 30s or 5m.

`

const statuses = `
Exit status: 0 at the end of input (also without a login) or Ctrl-C; 1 if the client cannot start or
continue, or the login fails for good; 2 for a wrong argument.
`

// options are the settings of the command line.
type options struct {
	server     string // host:port
	udp        netip.AddrPort
	contactLog string
	settings   nodes.PhoneSettings // without the zone
}

// parse parses the command line. If the user asks for help, it returns the help text and
// pflag.ErrHelp.
func parse(arguments []string) (o options, help string, err error) {
	o.settings = nodes.DefaultPhoneSettings()
	o.settings.MaxEntries = maxEntries
	set := dashes.NewSet("client")
	set.StringVar(&o.contactLog, "contact-log", "z5272202_contactlog.txt", "keep the contact log in `FILE`")
	set.DurationVar(&o.settings.Retention, "retention", o.settings.Retention,
		"keep a beacon for `D` after its reception")
	form := set.String("beacon", "split", "send a beacon in `FORM`: split (four datagrams) or single (one)")
	host := set.String("host", "", "receive beacons only at this `IP` address of the machine (default all)")
	set.DurationVar(&o.settings.PasswordPause, "password-pause", o.settings.PasswordPause,
		"wait `D` between username and password: some servers read both as one")
	help = about + set.FlagUsages() + statuses
	words, err := dashes.Parse(set, arguments, "server_IP", "server_port", "client_udp_port")
	if err == nil {
		err = o.parseWords(words)
	}
	if err == nil {
		err = o.parseFlags(*form, *host)
	}
	return o, help, err
}

// parseWords parses the three arguments that are no flags.
func (o *options) parseWords(words []string) error {
	host := withoutBrackets(words[0])
	if !isHost(host) {
		return fmt.Errorf("invalid server_IP %q: must be an IP address or a name", words[0])
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

// withoutBrackets removes the brackets of an IPv6 address, which are those of a URL. It
// returns any other text unchanged.
func withoutBrackets(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") && strings.Contains(inner, ":") {
		return strings.TrimSuffix(inner, "]")
	}
	return host
}

// isHost reports whether word is an IP address or a valid host name.
func isHost(word string) bool {
	if _, err := netip.ParseAddr(word); err == nil {
		return true
	}
	const letters, others = "abcdefghijklmnopqrstuvwxyz", "0123456789-._"
	word = strings.ToLower(word)
	return strings.ContainsAny(word, letters) && strings.Trim(word, letters+others) == ""
}

// port parses word as a port number. name is the name of the argument, for the error.
func port(name, word string) (uint16, error) {
	n, err := strconv.ParseUint(word, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("invalid %s %q: must be 1 to 65535", name, word)
	}
	return uint16(n), nil
}

// parseFlags validates the flags. form and host are the values of --beacon and --host.
func (o *options) parseFlags(form, host string) error {
	forms := map[string]protocol.Form{"split": protocol.Split, "single": protocol.Single}
	var known bool
	if o.settings.Form, known = forms[form]; !known {
		return fmt.Errorf("invalid --beacon %q: must be split or single", form)
	}
	if host != "" {
		ip, err := netip.ParseAddr(withoutBrackets(host))
		if err != nil {
			return fmt.Errorf("invalid --host %q: must be an IP address", host)
		}
		o.udp = netip.AddrPortFrom(ip, o.udp.Port())
	}
	if o.settings.Retention <= 0 {
		return fmt.Errorf("invalid --retention %v: must be above 0", o.settings.Retention)
	}
	if o.settings.PasswordPause < 0 {
		return fmt.Errorf("invalid --password-pause %v: must not be negative", o.settings.PasswordPause)
	}
	o.settings.RetryPause = max(o.settings.RetryPause, o.settings.PasswordPause)
	if o.contactLog == "" || strings.HasSuffix(o.contactLog, "/") {
		return errors.New("--contact-log needs the name of a file")
	}
	return nil
}

// maxEntries is the limit of the contact log, against a flood of valid beacons. So many
// entries have 3 MB of memory, and a file of 6 MB that is written once a second.
const maxEntries = 100_000
