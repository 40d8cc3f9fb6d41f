// Command sim runs scenarios, checks their expectations, and writes reports for
// people, CI and Prometheus.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"bluetrace/cmd/server/authority"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/foreign"
)

func main() {
	if len(os.Args) > 1 && runsPrograms(os.Args[1:]) {
		if status, ended := foreign.Reexec(); ended {
			os.Exit(status)
		}
	}
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(stop, syscall.SIGHUP)
	}
	// A closed output is an error of the next write, not the end of the process.
	signal.Ignore(syscall.SIGPIPE)
	controls := showsControls(os.Getenv("TERM"))
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	p := program{
		ownServer: []string{self, serverCommand},
		name:      calledAs(os.Args[0], isFile),
		stdin:     os.Stdin,
		stdout:    os.Stdout,
		stderr:    os.Stderr,
		colour:    term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == "" && controls,
		terminal:  term.IsTerminal(int(os.Stderr.Fd())) && controls,
		columns:   stderrColumns,
		now:       time.Now,
		after:     time.After,
		find:      scenarios.Find,
		load:      scenarios.Load,
		engine:    sim.Run,
	}
	ctx := authority.UntilSignal(stop, time.Now, func() { os.Exit(int(statusInterrupted)) })
	os.Exit(int(p.command(ctx, os.Args[1:])))
}

// runsPrograms reports whether a command line starts programs that are not trusted. They get a network of their own.
func runsPrograms(arguments []string) bool {
	judges := arguments[0] == "judge" && !slices.ContainsFunc(arguments, func(a string) bool {
		return a == "--server" || strings.HasPrefix(a, "--server=") // it is not in a network of this process
	})
	return judges || strings.Join(arguments[:min(2, len(arguments))], " ") == "dialect learn"
}

// program is the command with all its inputs and outputs.
type program struct {
	name           string // the command line that started the program, quoted for a shell
	stdin          io.Reader
	stdout, stderr io.Writer
	colour         bool       // stdout shows colours
	terminal       bool       // stderr is a terminal that can redraw a line
	columns        func() int // width of that terminal
	now            func() time.Time
	after          func(time.Duration) <-chan time.Time

	arguments []string // of the call
	skipped   []string // manual scenarios of folders

	// ownServer is the command line of the server that a load run starts.
	ownServer []string

	find   func(paths []string) (files, skipped []string, err error)
	load   func(path string, o scenarios.Options) (*scenarios.Scenario, error)
	engine func(context.Context, *scenarios.Scenario, sim.Options) (*sim.Result, error)
}

// showsControls reports whether a terminal with this TERM interprets control
// sequences. Consoles of Windows set no TERM.
func showsControls(name string) bool {
	return name != "dumb" && (name != "" || runtime.GOOS == "windows")
}

func stderrColumns() int {
	width, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || width < 20 {
		return 80
	}
	return width
}

const usage = `sim runs scenarios of BlueTrace phones and their server, in virtual time or live.

  sim run [flags] SCENARIO...     run scenarios and check their expectations
  sim swarm [flags] SCENARIO...   run scenarios with many seeds, each of which draws faults
  sim check [flags] SCENARIO...   read scenarios and list their mistakes
  sim compare [flags] A B         compare two sets of results and check budgets
  sim judge [flags]               judge servers and phones of other implementations
  sim dialect COMMAND             list, show, check, serve and learn descriptions of other wires
  sim init FILE                   write a commented scenario to begin with
  sim schema                      print the JSON Schema of a scenario, for editors
  sim completion SHELL            print a completion script for bash, zsh, fish or powershell
  sim help [COMMAND]              print this, or the flags of a command
  sim --version                   print the revision and the Go version of this build

SCENARIO is a file, a folder, or - for standard input. A folder stands for each .yaml and .yml file
in it that is not marked manual.

` + exitStatuses

// exitStatuses ends the help of each command that runs or reads scenarios.
const exitStatuses = `Exit status; over several files, the largest:
  0    everything that was checked passed
  99   an expectation, a threshold or an invariant failed
  104  a scenario, a trace or a flag is invalid or missing
  105  interrupted; the results until then are reported
  107  the run was not possible: a disk is full, a file cannot be read
  111  a load run allows no conclusion about the server: the generator was the bottleneck
"go run" hides the status: it prints it and ends with 1 for every failure. Where the status matters,
build the program: go build -o bin/sim ./cmd/sim
`

// commandHint ends the answer to a missing or unknown command.
const commandHint = "the commands are run, swarm, check, compare, judge, dialect, init, schema, completion and help"

// serverCommand is the command, not in the help, with which a load run starts this program
// again as its server. Users have the command server.
const serverCommand = "load-server"

// command runs the command line and returns the exit status. A command line that
// is not valid gets one line, a hint and statusInvalid.
func (p *program) command(ctx context.Context, arguments []string) status {
	if len(arguments) > 0 && arguments[0] == serverCommand {
		return status(sim.ServeLoad(ctx, arguments[1:], func(ctx context.Context) int {
			return authority.Run(ctx, arguments[1:], p.stdout, p.stderr, time.UTC, clock.New())
		}))
	}
	if len(arguments) > 0 && arguments[0] == generatorCommand {
		if err := serveGenerator(ctx, p.stdin, p.stdout); err != nil {
			return p.fail(err, "", statusError)
		}
		return statusPassed
	}
	p = p.interruptible(ctx)
	p.arguments = arguments
	helped := statusPassed
	root := p.newCommand(&helped)
	root.SetArgs(arguments)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return helped
	}
	if s, ended := errors.AsType[status](err); ended {
		return s
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok || errors.Is(err, errBlocked) { // cobra printed
		return p.fail(fmt.Errorf("printing to standard output: %w", err), "", statusError)
	}
	if len(arguments) > 0 {
		dropRefused(c, arguments, p)
	}
	hint := commandHint
	if c != root {
		err = fmt.Errorf("%s: %w", strings.TrimPrefix(c.CommandPath(), "sim "), err)
		hint = c.CommandPath() + " --help lists the flags"
	}
	return p.fail(err, hint, statusInvalid)
}

// newCommand returns the command sim. The error of a command that was run is its exit status. That of the help is left
// in helped.
func (p *program) newCommand(helped *status) *cobra.Command {
	root := &cobra.Command{
		Use:           "sim",
		Short:         "run scenarios of BlueTrace phones and their server",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2,

		Args: cobra.ArbitraryArgs, // RunE answers an unknown command in one line
		RunE: func(c *cobra.Command, arguments []string) error {
			if len(arguments) == 0 {
				return errors.New("no command")
			}
			return unknownCommand(c, arguments[0])
		},
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { *helped = p.print(helpOf(c)) })
	root.SetHelpCommand(&cobra.Command{
		Use:   "help [COMMAND]",
		Short: "print the help of a command",
		RunE: func(_ *cobra.Command, arguments []string) error {
			about, rest, err := root.Find(arguments)
			switch {
			case err != nil:
				return err
			case len(rest) > 0:
				return unknownCommand(root, rest[0])
			}
			return p.print(helpOf(about))
		},
	})
	root.AddCommand(p.newRunCommand(), p.newSwarmCommand(), p.newCheckCommand(), p.newCompareCommand(),
		&cobra.Command{
			Use:               "init FILE",
			Short:             "write a commented scenario to begin with",
			Long:              "Writes a small scenario with comments to FILE, which must not exist yet.",
			Args:              oneFile,
			ValidArgsFunction: completeScenarios,
			RunE:              func(_ *cobra.Command, files []string) error { return p.initScenario(files[0]) },
		},
		&cobra.Command{
			Use:   "schema",
			Short: "print the JSON Schema of a scenario, for editors",
			Long:  "Prints the JSON Schema of a scenario, for editors.",
			Args:  noArguments,
			RunE:  func(*cobra.Command, []string) error { return p.print(string(scenarios.Schema())) },
		},
		(&dialectCommand{p}).commandTree(), p.newJudgeCommand())
	root.InitDefaultCompletionCmd()
	completion, _, _ := root.Find([]string{"completion"})
	completion.Use = "completion SHELL"
	completion.Long = "Prints a completion script for a shell: bash, zsh, fish or powershell."
	completion.Args = cobra.ArbitraryArgs
	completion.RunE = func(_ *cobra.Command, arguments []string) error {
		return fmt.Errorf("unknown shell %q: must be bash, zsh, fish or powershell", strings.Join(arguments, " "))
	}
	return root
}

func (p *program) newRunCommand() *cobra.Command {
	r := runCommand{output: output{program: p}}
	return scenarioCommand(&cobra.Command{
		Use:   "run [flags] SCENARIO...",
		Short: "run scenarios and check their expectations",
		Long:  "Runs scenarios and checks their expectations.",
	}, r.define, r.check, r.run)
}

func (p *program) newSwarmCommand() *cobra.Command {
	s := swarmCommand{output: output{program: p}}
	return scenarioCommand(&cobra.Command{
		Use:   "swarm [flags] SCENARIO...",
		Short: "run scenarios with many seeds, each of which draws faults",
		Long: "Runs each scenario with many seeds. Each seed draws faults, adversaries, sizes and timings. Prints\n" +
			"which checks failed (docs/SWARM.md).",
	}, s.define, s.check, s.run)
}

func (p *program) newCompareCommand() *cobra.Command {
	compare := compareCommand{program: p}
	return prepare(&cobra.Command{
		Use:     "compare [flags] A B",
		Short:   "compare two sets of results and check budgets",
		Long:    compareAbout,
		Example: compareStatuses,
		RunE: func(c *cobra.Command, sides []string) error {
			if err := errors.Join(refuseEmpty(c.Flags(), "out"), compare.compareFlags.check(sides)); err != nil {
				return err
			}
			return compare.run(c.Context(), sides[0], sides[1])
		},
	}, compare.define)
}

func (p *program) newJudgeCommand() *cobra.Command {
	j := judgeCommand{output: output{program: p}}
	return prepare(&cobra.Command{
		Use:     "judge [flags]",
		Short:   "judge servers and phones of other implementations",
		Long:    judgeAbout,
		Example: exitStatuses,
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := j.check(c.Flags()); err != nil {
				return err
			}
			return j.run(c.Context())
		},
	}, j.define)
}

func oneFile(_ *cobra.Command, arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("expected one file, found %d", len(arguments))
	}
	return nil
}

func noArguments(_ *cobra.Command, arguments []string) error {
	if len(arguments) > 0 {
		return fmt.Errorf("unexpected argument %q", arguments[0])
	}
	return nil
}

// unknownCommand returns the error for a command that does not exist.
func unknownCommand(root *cobra.Command, name string) error {
	if similar := root.SuggestionsFor(name); len(similar) > 0 {
		return fmt.Errorf("unknown command %q; did you mean %q?", name, similar[0])
	}
	return fmt.Errorf("unknown command %q", name)
}

// version returns the text of --version behind the name.
func version() string {
	build := sim.Build()
	if build.Revision == "" {
		return "(unknown revision, " + build.Go + ")"
	}
	return build.Revision + " (" + build.Go + ")"
}

// helpOf returns the help of a command.
func helpOf(c *cobra.Command) string {
	if !c.HasParent() {
		return usage
	}
	const optional = "[=true|false]" // which pflag adds to a Boolean flag that is true by default
	flags := strings.ReplaceAll(c.LocalFlags().FlagUsages(), optional, strings.Repeat(" ", len(optional)))
	about := c.Long
	if about == "" {
		about = c.Short
	}
	text := about + "\n\n  " + c.UseLine() + "\n\n" + flags
	if c.Example != "" {
		text += "\n" + c.Example
	}
	return text
}

// scenarioCommand completes a command whose arguments are scenarios. define defines
// its flags, check validates them, and run runs it with the other arguments.
func scenarioCommand(c *cobra.Command, define func(*pflag.FlagSet), check func(*pflag.FlagSet) error,
	run func(ctx context.Context, paths []string) status) *cobra.Command {
	c.Example, c.ValidArgsFunction = exitStatuses, completeScenarios
	c.RunE = func(c *cobra.Command, paths []string) error {
		if err := check(c.Flags()); err != nil {
			return err
		}
		return run(c.Context(), paths)
	}
	return prepare(c, define)
}

// prepare sets the properties that all commands with flags share: their order in
// the help is that of their definition.
func prepare(c *cobra.Command, define func(*pflag.FlagSet)) *cobra.Command {
	c.DisableFlagsInUseLine = true
	c.Flags().SortFlags = false
	define(c.Flags())
	return c
}

// completeScenarios completes the names of scenario files and folders.
func completeScenarios(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

// print writes text to standard output.
func (p *program) print(text string) status {
	if _, err := io.WriteString(p.stdout, text); err != nil {
		return p.fail(fmt.Errorf("writing to standard output: %w", err), "", statusError)
	}
	return statusPassed
}
