package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"bluetrace/scenarios"
)

// Child is the project's server as a process of the run's own, so that what it
// uses can be told from what the generator uses.
type Child struct {
	Address string // host:port
	metrics string // URL
	dir     string
	command *exec.Cmd
	said    sync.WaitGroup
}

// StartChild starts the server in a folder of its own with these accounts, lines
// of credentials.txt. program is the command line of one that takes the
// arguments of the command server.
func StartChild(ctx context.Context, program []string, s scenarios.Server, connections int, accounts []string) (c *Child, err error) {
	dir, err := os.MkdirTemp("", "bluetrace-load-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the server's files: %w", err)
	}
	c = &Child{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	text := strings.Join(accounts, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "credentials.txt"), []byte(text), 0o600); err != nil {
		return c, fmt.Errorf("writing the server's accounts: %w", err)
	}
	line := append(program[1:len(program):len(program)], "0", s.BlockDuration.String(), "--host", "127.0.0.1", "--dir", dir, "--metrics", "0",
		"--max-connections", fmt.Sprint(connections), "--tempid-lifetime", s.TempIDLifetime.String(),
		"--login-timeout", s.LoginTimeout.String(), "--idle-timeout", s.IdleTimeout.String(), "--max-upload", fmt.Sprint(s.MaxUpload))
	c.command = exec.Command(program[0], line...)
	c.command.Env = append(os.Environ(), "TZ=UTC")
	c.command.SysProcAttr = ownGroup()
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

// await reads where the server listens; what it says later is thrown away.
func (c *Child) await(ctx context.Context, errs io.Reader) error {
	found := make(chan error, 1)
	c.said.Go(func() {
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
		_, _ = io.Copy(io.Discard, errs) // until it ends
	})
	select {
	case err := <-found:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ExitError is the error of a server that was gone before it was told to end, or
// did not end well.
type ExitError struct{ Err error }

func (e *ExitError) Error() string { return "the server ended badly: " + e.Err.Error() }

func (e *ExitError) Unwrap() error { return e.Err }

// Stop ends the server and removes its folder. A server that died meanwhile is an
// ExitError.
func (c *Child) Stop() error {
	var errs []error
	if c.command != nil {
		if err := c.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, fmt.Errorf("ending the server: %w", err))
		}
		c.said.Wait()
		if err := c.command.Wait(); err != nil {
			errs = append(errs, &ExitError{err})
		}
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// Usage is what the server has used so far.
func (c *Child) Usage() (Usage, bool) {
	u, ok := UsageOf(c.command.Process.Pid)
	if !ok {
		return u, false
	}
	u.GCPause = c.paused()
	return u, true
}

// scrapeLimit is how long the server's own metrics may take.
const scrapeLimit = 2 * time.Second

// paused is what the server's metrics say of its garbage collection; 0 when they
// say nothing.
func (c *Child) paused() time.Duration {
	client := http.Client{Timeout: scrapeLimit}
	got, err := client.Get(c.metrics)
	if err != nil {
		return 0
	}
	defer func() { _ = got.Body.Close() }() // it was only read
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(got.Body)
	if err != nil || families["go_gc_duration_seconds"] == nil {
		return 0
	}
	sum := families["go_gc_duration_seconds"].Metric[0].GetSummary().GetSampleSum()
	return time.Duration(sum * float64(time.Second))
}
