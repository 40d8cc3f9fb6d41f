package foreign

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// Limits bound a program with all processes that it has started. A program that exceeds one is ended, and Failure names
// the limit. Zero values mean DefaultLimits.
type Limits struct {
	Memory    int64         // resident bytes
	CPU       time.Duration // CPU time since its start
	Processes int
	Folder    int64 // bytes in its folder; about that for one file anywhere
	Files     int   // files and folders in its folder
	Open      int   // open descriptors of one process, which gets an error above it
	Output    int64 // bytes printed
}

// DefaultLimits suit a server or phone of a course.
var DefaultLimits = Limits{
	Memory: 1 << 30, CPU: 10 * time.Minute, Processes: 64, Folder: 100 << 20, Files: 10_000, Open: 4096,
	Output: 64 << 20,
}

// Usage is the use of resources by all processes of a program.
type Usage struct {
	CPU       time.Duration // since the start, with processes that have ended
	Memory    int64         // resident bytes; pages that processes share count for each
	Threads   int
	Processes int
	Open      int // open descriptors
}

// watchPeriod is the time between two comparisons of a program with its limits.
const watchPeriod = 200 * time.Millisecond

// withDefaults returns the limits with DefaultLimits in the place of zeros.
func (l Limits) withDefaults() Limits {
	d := DefaultLimits
	return Limits{
		or(l.Memory, d.Memory), or(l.CPU, d.CPU), or(l.Processes, d.Processes), or(l.Folder, d.Folder),
		or(l.Files, d.Files), or(l.Open, d.Open), or(l.Output, d.Output),
	}
}

func or[T int | int64 | time.Duration](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}

// watch ends the program when it exceeds a limit, until done is closed.
func (p *Program) watch(done <-chan struct{}) {
	t := p.clock.Ticker(watchPeriod)
	defer t.Stop()
	for {
		select {
		case <-done:
			return
		case <-t.C:
		}
		sentence := ""
		if u, err := p.usage(p.clock.Now().Add(-watchPeriod / 2)); err == nil {
			sentence = p.limits.usage(u)
		}
		if sentence == "" {
			sentence = p.limits.folder(p.folder, p.before)
		}
		if sentence != "" {
			p.exceed(sentence)
			return
		}
	}
}

// usage returns a sentence about the limit that a use of resources exceeds, or "".
func (l Limits) usage(u Usage) string {
	switch {
	case u.Processes > l.Processes:
		return fmt.Sprintf("it had more than %d processes", l.Processes)
	case u.Memory > l.Memory:
		return fmt.Sprintf("it used more than %s of memory", size(l.Memory))
	case u.CPU > l.CPU:
		return fmt.Sprintf("it used more than %v of CPU time", l.CPU)
	}
	return ""
}

// content is the size of a folder.
type content struct {
	bytes int64
	files int // files and folders
}

// contentOf measures a folder, up to a limit.
func contentOf(path string, most content) (c content) {
	// Files may disappear during the walk, and folders may be unreadable: the rest counts.
	_ = filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // see above
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			c.bytes += info.Size()
		}
		if c.files++; c.files > most.files || c.bytes > most.bytes {
			return fs.SkipAll
		}
		return nil
	})
	return c
}

// folder returns a sentence about the limit that the growth of a folder exceeds, or "".
func (l Limits) folder(path string, before content) string {
	most := content{before.bytes + l.Folder, before.files + l.Files}
	switch now := contentOf(path, most); {
	case now.bytes > most.bytes:
		return fmt.Sprintf("it wrote more than %s into its folder", size(l.Folder))
	case now.files > most.files:
		return fmt.Sprintf("it made more than %d files in its folder", l.Files)
	}
	return ""
}

// size returns bytes in MB, or in bytes if they are no whole number of MB.
func size(bytes int64) string {
	if bytes%(1<<20) != 0 {
		return fmt.Sprintf("%d bytes", bytes)
	}
	return fmt.Sprintf("%d MB", bytes>>20)
}
