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

	"bluetrace/nodes"
	"bluetrace/protocol"
)

const usage = "client <server_IP> <server_port> <client_udp_port> [flags]"

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
	set := pflag.NewFlagSet("client", pflag.ContinueOnError)
	set.SortFlags = false
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	set.StringVar(&o.contactLog, "contact-log", "z5272202_contactlog.txt", "keep the contact log in `FILE`")
	set.DurationVar(&o.settings.Retention, "retention", o.settings.Retention, "keep a beacon for so long after its reception")
	form := set.String("beacon", "split", "send a beacon as four datagrams (split) or as one (single)")
	host := set.String("host", "", "receive beacons only at this `IP` address of the machine (default all)")
	set.DurationVar(&o.settings.PasswordPause, "password-pause", o.settings.PasswordPause, "wait so long between username and password")
	help = "Runs one phone: log in, download a TempID, send and receive beacons, upload the contact log.\n\n  " +
		usage + "\n\n" + set.FlagUsages() + "\nExit status: 0 at the end of input or Ctrl-C, 1 when it cannot be done, 2 for a wrong argument.\n"
	if err := set.Parse(arguments); err != nil {
		return o, help, err
	}
	err = o.takeArguments(set.Args())
	if err == nil {
		err = o.takeFlags(*form, *host)
	}
	return o, help, err
}

func (o *options) takeArguments(words []string) error {
	if len(words) != 3 {
		return fmt.Errorf("there are three arguments, not %d", len(words))
	}
	if !isHost(words[0]) {
		return fmt.Errorf("the server_IP %q is no IP address", words[0])
	}
	server, err := port("server_port", words[1])
	if err != nil {
		return err
	}
	udp, err := port("client_udp_port", words[2])
	o.server = net.JoinHostPort(words[0], strconv.Itoa(int(server)))
	o.udp = netip.AddrPortFrom(netip.IPv6Unspecified(), udp)
	return err
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
		ip, err := netip.ParseAddr(host)
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
	o.settings.LongPause = max(o.settings.LongPause, o.settings.PasswordPause)
	if o.contactLog == "" || strings.HasSuffix(o.contactLog, "/") {
		return errors.New("--contact-log names no file")
	}
	return nil
}
