package load

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"bluetrace/scenarios"
)

// Child is the project's server as a process of the run's own, so that its resource
// usage is measured apart from the generator's.
type Child struct {
	Address string // host:port
	metrics string // URL
	dir     string
	clock   clock.Clock
	command *exec.Cmd
	output  sync.WaitGroup // the goroutine that reads its standard error
}

// The time limits of the server's start and of its orderly end. The start reads the
// accounts, the end saves what was issued.
const (
	startLimit = time.Minute
	stopLimit  = 5 * time.Second
)

const folderPrefix = "bluetrace-load-"

// StartChild starts the server in a folder of its own, with accounts as lines of
// credentials.txt. The command line program begins a program that takes the
// arguments of the command server. The limits of its start and its end are measured with
// a real clock.
func StartChild(ctx context.Context, real clock.Clock, program []string, s scenarios.Server, connections int,
	accounts []string) (c *Child, err error) {
	dir, err := os.MkdirTemp("", folderPrefix)
	if err != nil {
		return nil, fmt.Errorf("making a folder for the server's files: %w", err)
	}
	c = &Child{dir: dir, clock: real}
	defer func() {
		if err != nil {
			stopped := c.Stop()
			if _, ended := errors.AsType[*ExitError](stopped); ended && ctx.Err() != nil {
				stopped = nil // SIGTERM ended a server that does not handle it yet
			}
			err = errors.Join(err, stopped)
		}
	}()
	text := strings.Join(accounts, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "credentials.txt"), []byte(text), 0o600); err != nil {
		return c, fmt.Errorf("writing the server's accounts: %w", err)
	}
	arguments := append(program[1:len(program):len(program)], "0", s.BlockDuration.String(),
		"--host", "127.0.0.1", "--dir", dir, "--metrics", "0",
		"--max-connections", fmt.Sprint(cmp.Or(s.MaxConnections, connections)), "--max-upload", fmt.Sprint(s.MaxUpload),
		"--max-blocked-bytes", fmt.Sprint(s.MaxBlocked),
		"--tempid-lifetime", s.TempIDLifetime.String(),
		"--login-timeout", s.LoginTimeout.String(), "--idle-timeout", s.IdleTimeout.String())
	c.command = exec.Command(program[0], arguments...)
	c.command.Env = append(os.Environ(), "TZ=UTC")
	c.command.SysProcAttr = childAttributes()
	errs, err := c.command.StderrPipe()
	if err != nil {
		return c, err
	}
	if err := c.command.Start(); err != nil {
		c.command = nil
		return c, fmt.Errorf("starting the server: %w", err)
	}
	return c, c.await(ctx, errs)
}

// await reads the addresses of the server from its output, and drops the rest.
func (c *Child) await(ctx context.Context, errs io.Reader) error {
	found := make(chan error, 1)
	c.output.Go(func() {
		lines := bufio.NewScanner(errs)
		var other []string
		for c.Address == "" || c.metrics == "" {
			if !lines.Scan() {
				found <- fmt.Errorf("the server did not start: %s", strings.Join(other, "; "))
				return
			}
			line := lines.Text()
			if at, ok := strings.CutPrefix(line, "server: listening at "); ok {
				c.Address = at
			} else if url, ok := strings.CutPrefix(line, "server: metrics at "); ok {
				c.metrics = url
			} else {
				other = append(other, line)
			}
		}
		found <- nil
		_, _ = io.Copy(io.Discard, errs) // until the server ends
	})
	select {
	case err := <-found:
		return err
	case <-c.clock.After(startLimit):
		return fmt.Errorf("the server did not start within %v", startLimit)
	case <-ctx.Done():
		return &Interrupted{"the server started"}
	}
}

// ServeAsChild is the part of StartChild in the new process: serve runs the server with
// the arguments until its context is cancelled by a signal. ServeAsChild then removes
// the folder that StartChild made, also for a parent that was killed.
//
// Linux sends a signal for each thread of a parent that is killed, so a second signal
// must not end the server at once. The parent's last threads may outlive the server, so
// a comparison of parents would not tell that the parent was killed.
func ServeAsChild(ctx context.Context, arguments []string, serve func(context.Context) int) int {
	signal.Reset()
	signal.Ignore(syscall.SIGPIPE) // of its output, whose reader ends with the parent
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	status := serve(ctx)
	at := slices.Index(arguments, "--dir") + 1
	if at > 0 && at < len(arguments) && strings.HasPrefix(filepath.Base(arguments[at]), folderPrefix) {
		_ = os.RemoveAll(arguments[at]) // Stop reports an error, if the parent is there
	}
	return status
}

// ExitError is the error of a server that ended before Stop, or that ended with an
// error.
type ExitError struct{ Err error }

func (e *ExitError) Error() string { return "the server ended badly: " + e.Err.Error() }

func (e *ExitError) Unwrap() error { return e.Err }

// Stop ends the server and removes its folder, if the server has not. A server that has not ended after
// stopLimit is killed. Stop returns an ExitError then, and if the server had ended
// before.
func (c *Child) Stop() error {
	var errs []error
	if c.command != nil {
		if err := c.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, fmt.Errorf("ending the server: %w", err))
		}
		kill := c.clock.AfterFunc(stopLimit, func() { _ = c.command.Process.Kill() }) // fails if it has ended
		c.output.Wait()
		err := c.command.Wait()
		if !kill.Stop() {
			err = fmt.Errorf("it did not end within %v of SIGTERM, and was killed", stopLimit)
		}
		if err != nil {
			errs = append(errs, &ExitError{err})
		}
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// Usage returns the usage of the server so far, or false if it has ended.
func (c *Child) Usage() (Usage, bool) {
	u, ok := UsageOf(c.command.Process.Pid)
	if !ok {
		return u, false
	}
	u.GCPause, u.HasGCPause = c.gcPause()
	return u, true
}

// scrapeTimeout limits the request for the server's own metrics.
const scrapeTimeout = 2 * time.Second

// gcPause returns the pauses for garbage collection from the server's metrics, or false
// if they are not there.
func (c *Child) gcPause() (time.Duration, bool) {
	client := http.Client{Timeout: scrapeTimeout}
	got, err := client.Get(c.metrics)
	if err != nil {
		return 0, false
	}
	defer func() { _ = got.Body.Close() }() // nothing was written
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(got.Body)
	if err != nil || families["go_gc_duration_seconds"] == nil {
		return 0, false
	}
	sum := families["go_gc_duration_seconds"].Metric[0].GetSummary().GetSampleSum()
	return time.Duration(sum * float64(time.Second)), true
}
