package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/spf13/cobra"

	"bluetrace/nodes/socket"
	"bluetrace/protocol/dialect"
	"bluetrace/reports"
	"bluetrace/scenarios"
)

func (p *program) newDialectCommand(result *status) *cobra.Command {
	c := &cobra.Command{
		Use:   "dialect",
		Short: "list, print and check descriptions of other wires",
		Long: "A dialect describes the bytes between the phone and the server of another implementation. With\n" +
			"sim run --live --server HOST:PORT --dialect NAME the phones speak it.",
		Args: cobra.ArbitraryArgs, // RunE answers an unknown command in one line
		RunE: func(c *cobra.Command, arguments []string) error {
			if len(arguments) == 0 {
				return errors.New("no command: write list, show, check or serve")
			}
			return unknownCommand(c, arguments[0])
		},
	}
	c.AddCommand(&cobra.Command{
		Use:   "list",
		Short: "list the dialects that are part of the program",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			*result = p.listDialects()
			return nil
		},
	}, &cobra.Command{
		Use:   "show NAME",
		Short: "print the file of a dialect, to begin another one with",
		Args:  oneFile,
		RunE: func(_ *cobra.Command, arguments []string) error {
			text, err := scenarios.DialectText(arguments[0])
			if err != nil {
				return err
			}
			*result = p.print(string(text))
			return nil
		},
	}, &cobra.Command{
		Use:   "check FILE...",
		Short: "list the mistakes of dialects, and print a conversation in each",
		Long: "Lists the mistakes of each dialect. In one without a mistake, a phone and a server of this project hold a\n" +
			"conversation over translators, which is printed: > is sent by the phone, < by the server.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, arguments []string) error {
			for _, name := range arguments {
				*result = max(*result, p.checkDialect(name))
			}
			return nil
		},
	})
	c.AddCommand(p.newServeCommand(result))
	return c
}

func (p *program) newServeCommand(result *status) *cobra.Command {
	var server string
	var port uint16
	c := &cobra.Command{
		Use:   "serve --server HOST:PORT NAME",
		Short: "let phones of a dialect use a server of docs/PROTOCOL.md",
		Long: "Accepts phones that speak the dialect NAME, or that of a file, on 127.0.0.1, and connects each one with the\n" +
			"server at HOST:PORT, which speaks docs/PROTOCOL.md. Ends with Ctrl-C.",
		Args: oneFile,
		RunE: func(c *cobra.Command, arguments []string) error {
			if err := checkServer(server); err != nil || server == "" {
				return cmp.Or(err, errors.New("write the server's address: --server HOST:PORT"))
			}
			*result = p.serveDialect(c.Context(), arguments[0], server, port)
			return nil
		},
	}
	c.Flags().StringVar(&server, "server", "", "connect the phones with the server at `HOST:PORT`")
	c.Flags().Uint16Var(&port, "port", 0, "listen on port `N`; 0 for any free one")
	return c
}

// serveDialect connects phones of a dialect with a server until it is interrupted.
func (p *program) serveDialect(ctx context.Context, name, server string, port uint16) status {
	d, err := scenarios.LoadDialect(name)
	if err != nil {
		return p.fail(err, "", statusOfLoading(err))
	}
	d.Zone = time.Local
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
	if err != nil {
		return p.fail(err, "name a free port with --port, or 0 for any", statusError)
	}
	if s := p.print(fmt.Sprintf("phones of the dialect %s: %s, server: %s\n", reports.Escape(d.Name), l.Addr(), server)); s != statusPassed {
		return max(s, p.close(l))
	}
	served := socket.ServeDialect(l, &d.Dialect, server, clock.New(), func(text string) {
		fmt.Fprintf(p.stderr, "sim: %s\n", reports.Escape(text))
	})
	<-ctx.Done()
	return p.close(served)
}

// close closes c and reports its error.
func (p *program) close(c io.Closer) status {
	if err := c.Close(); err != nil {
		return p.fail(err, "", statusError)
	}
	return statusPassed
}

func (p *program) listDialects() status {
	var b strings.Builder
	for _, name := range scenarios.DialectNames() {
		d, err := scenarios.LoadDialect(name)
		if err != nil {
			return p.fail(err, "", statusError)
		}
		fmt.Fprintf(&b, "%-12s%s\n", name, d.About)
	}
	return p.print(b.String())
}

// checkDialect lists the mistakes of a dialect, or prints a conversation in it.
func (p *program) checkDialect(name string) status {
	d, err := scenarios.LoadDialect(name)
	if err != nil {
		return p.fail(err, "", statusOfLoading(err))
	}
	messages, err := dialect.Rehearse(&d.Dialect, nil)
	var b strings.Builder
	for _, m := range messages {
		sign := "<"
		if m.FromPhone {
			sign = ">"
		}
		fmt.Fprintf(&b, "  %s %q\n", sign, m.Bytes)
	}
	if err != nil {
		b.WriteString("\n")
		return max(p.print(b.String()), p.fail(fmt.Errorf("%s: a conversation in this dialect does not work: %w", name, err), "",
			statusInvalid))
	}
	return p.print(fmt.Sprintf("ok  %s\n%s", reports.Escape(d.Name), b.String()))
}
