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
	"bluetrace/sim/learn"
)

// dialectCommand is the command dialect.
type dialectCommand struct{ *program }

func (d *dialectCommand) commandTree() *cobra.Command {
	c := &cobra.Command{
		Use:   "dialect",
		Short: "list, print, check and learn descriptions of other wires",
		Long: "A dialect describes the bytes between the phone and the server of another implementation. With\n" +
			"sim run --live --server HOST:PORT --dialect NAME the phones speak it.",
		Args: cobra.ArbitraryArgs, // RunE answers an unknown command in one line
		RunE: func(c *cobra.Command, arguments []string) error {
			if len(arguments) == 0 {
				return errors.New("no command: write list, show, check, serve or learn")
			}
			return unknownCommand(c, arguments[0])
		},
	}
	c.AddCommand(&cobra.Command{
		Use:   "list",
		Short: "list the dialects that are part of the program",
		Args:  noArguments,
		RunE:  func(*cobra.Command, []string) error { return d.list() },
	}, &cobra.Command{
		Use:   "show NAME",
		Short: "print the file of a dialect, to begin another one with",
		Args:  oneFile,
		RunE: func(c *cobra.Command, arguments []string) error {
			text, err := awaitFile(c.Context(), arguments[0], scenarios.DialectText)
			if err != nil {
				return err
			}
			return d.print(string(text))
		},
	}, &cobra.Command{
		Use:   "check FILE...",
		Short: "list the mistakes of dialects, and print a conversation in each",
		Long: "Lists the mistakes of each dialect. In one without a mistake, a phone and a server of this project\n" +
			"hold a conversation over translators, which is printed: > is sent by the phone, < by the server.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, arguments []string) error {
			worst := statusPassed
			for _, name := range arguments {
				worst = max(worst, d.check(c.Context(), name))
			}
			return worst
		},
	})
	c.AddCommand(d.serveCommand(), d.learnCommand())
	return c
}

func (d *dialectCommand) learnCommand() *cobra.Command {
	config := learn.Config{Clock: clock.New()}
	c := &cobra.Command{
		Use:   "learn --server-command CMD --client-command CMD",
		Short: "print the dialect of a client and a server",
		Long: "Runs a server and its client in copies of a folder, types logins and commands at the client, and\n" +
			"prints the dialect that the bytes between them have. The parts that were not learned are listed on\n" +
			"standard error.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if config.ServerCommand == "" || config.ClientCommand == "" {
				return errors.New("write both commands: --server-command and --client-command")
			}
			return d.learn(c.Context(), config)
		},
	}
	c.Flags().StringVar(&config.ServerCommand, "server-command", "",
		"start the server with the shell command `CMD`: {port} and {block} are replaced")
	c.Flags().StringVar(&config.ClientCommand, "client-command", "",
		"start the client with the shell command `CMD`: {port} and {udp} are replaced")
	c.Flags().StringVar(&config.Folder, "folder", ".", "run the programs in copies of the folder `DIR`")
	c.Flags().Uint64Var(&config.Seed, "seed", 1, "draw accounts and passwords with the seed `N`")
	return c
}

// learn prints the dialect of a client and a server.
func (d *dialectCommand) learn(ctx context.Context, c learn.Config) status {
	learned, err := learn.Learn(ctx, c)
	if err != nil {
		return d.fail(err, "", statusError)
	}
	if !learned.HasLogin {
		err := fmt.Errorf("the dialect was not learned: %s", strings.Join(learned.Notes, "\n"))
		return d.fail(err, "", statusError)
	}
	for _, note := range learned.Notes {
		fmt.Fprintf(d.stderr, "note: %s\n", reports.Escape(note))
	}
	text, err := scenarios.DialectYAML(learned.Dialect, "Learned from "+c.ServerCommand+".")
	if err != nil {
		return d.fail(fmt.Errorf("the dialect was learned, and cannot be written: %w", err), "", statusError)
	}
	return d.print(string(text))
}

func (d *dialectCommand) serveCommand() *cobra.Command {
	var server string
	var port uint16
	c := &cobra.Command{
		Use:   "serve --server HOST:PORT NAME",
		Short: "let phones of a dialect use a server of docs/PROTOCOL.md",
		Long: "Accepts phones that speak the dialect NAME, or that of a file, on 127.0.0.1, and connects each one\n" +
			"with the server at HOST:PORT, which speaks docs/PROTOCOL.md. Ends with Ctrl-C.",
		Args: oneFile,
		RunE: func(c *cobra.Command, arguments []string) error {
			if err := checkServer(server); err != nil || server == "" {
				return cmp.Or(err, errors.New("write the server's address: --server HOST:PORT"))
			}
			return d.serve(c.Context(), arguments[0], server, port)
		},
	}
	c.Flags().StringVar(&server, "server", "", "connect the phones with the server at `HOST:PORT`")
	c.Flags().Uint16Var(&port, "port", 0, "listen on port `N`; 0 for any free one")
	return c
}

// serve connects phones of a dialect with a server until it is interrupted.
func (d *dialectCommand) serve(ctx context.Context, name, server string, port uint16) status {
	known, err := awaitFile(ctx, name, scenarios.LoadDialect)
	if err != nil {
		return d.fail(err, "", statusOfLoading(err))
	}
	known.Zone = time.Local
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
	if err != nil {
		return d.fail(err, "name a free port with --port, or 0 for any", statusError)
	}
	line := fmt.Sprintf("phones of the dialect %s: %s, server: %s\n", reports.Escape(known.Name), l.Addr(), server)
	if s := d.print(line); s != statusPassed {
		return max(s, d.close(l))
	}
	served := socket.ServeDialect(l, &known.Dialect, server, clock.New(), func(text string) {
		fmt.Fprintf(d.stderr, "sim: %s\n", reports.Escape(text))
	})
	<-ctx.Done()
	return d.close(served)
}

// close closes c and reports its error.
func (d *dialectCommand) close(c io.Closer) status {
	if err := c.Close(); err != nil {
		return d.fail(err, "", statusError)
	}
	return statusPassed
}

func (d *dialectCommand) list() status {
	var b strings.Builder
	for _, name := range scenarios.DialectNames() {
		known, err := scenarios.LoadDialect(name)
		if err != nil {
			return d.fail(err, "", statusError)
		}
		fmt.Fprintf(&b, "%-12s%s\n", name, known.About)
	}
	return d.print(b.String())
}

// check lists the mistakes of a dialect, or prints a conversation in it.
func (d *dialectCommand) check(ctx context.Context, name string) status {
	known, err := awaitFile(ctx, name, scenarios.LoadDialect)
	if err != nil {
		return d.fail(err, "", statusOfLoading(err))
	}
	messages, err := dialect.Rehearse(&known.Dialect, nil)
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
		err = fmt.Errorf("%s: a conversation in this dialect does not work: %w", name, err)
		return max(d.print(b.String()), d.fail(err, "", statusInvalid))
	}
	return d.print(fmt.Sprintf("ok  %s\n%s", reports.Escape(known.Name), b.String()))
}
