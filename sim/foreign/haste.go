package foreign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Hastened time needs libfaketime, a library outside this project. Its clocks run faster, and its waits end earlier.
// Not every version is right for every runtime: with 0.9.10 some waits of Python take longer than in real time. So the
// runtime of a program is tried first (Calibrate).

// FindFaketime returns the path of libfaketime on this machine. A library that was installed by hand precedes that of a
// package.
func FindFaketime() (string, error) {
	for _, folder := range []string{
		"/usr/local/lib/faketime", "/usr/local/lib/*/faketime", "/usr/lib/*/faketime", "/usr/lib64/faketime",
		"/usr/lib/faketime",
	} {
		for _, name := range []string{"libfaketimeMT.so.1", "libfaketime.so.1"} { // MT is for threads
			if found, err := filepath.Glob(filepath.Join(folder, name)); err == nil && len(found) > 0 {
				return found[0], nil
			}
		}
	}
	return "", errors.New("libfaketime is not installed (package faketime)")
}

// hastened returns the variables that hasten a program from now on.
func hastened(c Config) ([]string, error) {
	library, err := FindFaketime()
	if err != nil {
		return nil, err
	}
	ahead := time.Duration(0)
	if now := c.Clock.Now(); !c.Epoch.IsZero() {
		ahead = HastenedTime(now, c.Epoch, c.Hasten).Sub(now)
	}
	return []string{"LD_PRELOAD=" + library, fmt.Sprintf("FAKETIME=+%.3f x%d", ahead.Seconds(), c.Hasten)}, nil
}

// cleanFaketime removes the shared memory that libfaketime has made for processes that have ended. In a name space it
// is private.
func cleanFaketime() {
	found, _ := filepath.Glob("/dev/shm/*faketime_s*_*") // its pattern is right
	for _, path := range found {
		pid := path[strings.LastIndex(path, "_")+1:]
		if _, err := os.Readlink("/proc/" + pid + "/exe"); errors.Is(err, os.ErrNotExist) {
			_ = os.Remove(path) // another program may remove it too
		}
	}
}

// HastenedTime returns the time on the clocks of hastened programs at a real time.
func HastenedTime(now, epoch time.Time, rate int) time.Time {
	return epoch.Add(time.Duration(rate) * now.Sub(epoch))
}

// A probe is a program that prints its time in seconds since 1970 on a line, waits, and prints its time again. It
// repeats that for each way to wait that the runtime has. {wait} is the time of a wait in seconds.
type probe struct {
	words   *regexp.Regexp // the runtime's program
	waits   int
	command string // {runtime} is the runtime's program
	file    string // name of a source file, or ""
	source  string
}

var probes = []probe{
	{
		words: regexp.MustCompile(`^(.*/)?python[0-9.]*$`), waits: 4,
		command: `{runtime} probe.py {wait}`, file: "probe.py",
		source: `import sys, threading, time, select
wait = float(sys.argv[1])
show = lambda: print(repr(time.time()), flush=True)
show(); time.sleep(wait); show()
show(); select.select([], [], [], wait); show()
show(); threading.Event().wait(wait); show()
timer = threading.Timer(wait, lambda: None)
show(); timer.start(); timer.join(); show()
`,
	},
	{
		words: regexp.MustCompile(`^(.*/)?java$`), waits: 3,
		command: `{runtime} -Xint Probe.java {wait}`, file: "Probe.java",
		source: `import java.util.concurrent.*;
public class Probe {
	static void show() { System.out.println(System.currentTimeMillis() / 1000.0); System.out.flush(); }
	public static void main(String[] arguments) throws Exception {
		long wait = Math.round(1000 * Double.parseDouble(arguments[0]));
		show(); Thread.sleep(wait); show();
		Object lock = new Object();
		show(); synchronized (lock) { lock.wait(wait); } show();
		ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
		show(); timer.schedule(() -> {}, wait, TimeUnit.MILLISECONDS).get(); show();
		timer.shutdown();
	}
}
`,
	},
}

// Calibrate tries whether hastened time works for the runtime of c.Command, Python or Java: it runs a small program of
// that runtime at c.Hasten in a folder of its own. The error is a sentence that begins with "not hastened". It takes
// some seconds, so a caller keeps the result for each runtime.
func Calibrate(ctx context.Context, c Config) error {
	for word := range strings.FieldsSeq(c.Command) {
		for _, p := range probes {
			if p.words.MatchString(word) {
				return p.run(ctx, c, word)
			}
		}
	}
	return fmt.Errorf("not hastened: the runtime of %q is not known; known are python and java", c.Command)
}

func (p probe) run(ctx context.Context, c Config, runtime string) (err error) {
	dir, err := os.MkdirTemp("", "bluetrace-probe-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, RemoveFolder(dir)) }()
	if err := os.WriteFile(filepath.Join(dir, p.file), []byte(p.source), 0o600); err != nil {
		return err
	}
	c.Command, c.Folder = strings.ReplaceAll(p.command, "{runtime}", runtime), dir
	return CalibrateWith(ctx, c, p.waits)
}

// probeWait is the time that a wait of a probe takes if hastened.
const probeWait = 500 * time.Millisecond

// CalibrateWith tries whether hastened time works for the program of c. For each of its waits the program prints a
// line with its time in seconds since 1970, waits {wait} seconds, and prints its time again.
func CalibrateWith(ctx context.Context, c Config, waits int) error {
	if c.Hasten < 2 {
		return errors.New("not hastened: a rate of 2 or more is needed")
	}
	type reading struct {
		real    time.Time
		printed float64 // seconds
	}
	wait := time.Duration(c.Hasten) * probeWait
	readings := make(chan reading, 2*waits)
	c.Values = append([]string{"{wait}", strconv.FormatFloat(wait.Seconds(), 'f', -1, 64)}, c.Values...)
	c.Input, c.Terminal, c.Epoch = false, false, time.Time{}
	c.Line = func(line string) {
		seconds, err := strconv.ParseFloat(line, 64)
		if err != nil {
			return // Failure has it, if the program ends
		}
		select {
		case readings <- reading{c.Clock.Now(), seconds}:
		default: // it prints too much
		}
	}
	p, err := Start(c)
	if err != nil {
		return fmt.Errorf("not hastened: %w", err)
	}
	defer p.End(0)
	limit := c.Clock.Timer(startLimit)
	defer limit.Stop()
	for n := range waits {
		var pair [2]reading
		for i, most := range []time.Duration{startLimit, wait} {
			limit.Reset(most)
			select {
			case pair[i] = <-readings:
			case <-ctx.Done():
				return ctx.Err()
			case <-limit.C:
				return fmt.Errorf("not hastened: wait %d of %d takes longer than in real time", n+1, waits)
			case <-p.Ended():
				select {
				case pair[i] = <-readings: // the last ones
				default:
					return fmt.Errorf("not hastened: the program that tries it has ended: %s", p.Failure())
				}
			}
		}
		printed := time.Duration((pair[1].printed - pair[0].printed) * float64(time.Second))
		if err := CheckHaste(c.Hasten, printed, pair[1].real.Sub(pair[0].real), wait); err != nil {
			return fmt.Errorf("%w (wait %d of %d)", err, n+1, waits)
		}
	}
	return nil
}

// CheckHaste checks one wait of a hastened program: printed is the time that passed on its clock meanwhile, real the
// time that really passed, and wait the time that it was to wait on its clock. The error begins with "not hastened".
// The tolerance is that of a busy machine: a wait may take up to half of its time really.
func CheckHaste(rate int, printed, real, wait time.Duration) error {
	switch {
	case real > wait/2:
		return fmt.Errorf("not hastened: a wait of %v takes %v at x%d", wait, real.Round(time.Millisecond), rate)
	case printed < wait-wait/10:
		return fmt.Errorf("not hastened: a wait of %v ends after %v of its clock", wait,
			printed.Round(time.Millisecond))
	case printed < time.Duration(rate)*real/2:
		return fmt.Errorf("not hastened: its clock runs %v in %v, not %d times as fast", printed, real, rate)
	}
	return nil
}
