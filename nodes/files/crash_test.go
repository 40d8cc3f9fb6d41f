package files

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// clone returns a Memory in the same state without open files.
func (m *Memory) clone() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := NewMemory()
	c.time, c.freeSpace, c.files = m.time, m.freeSpace, m.files
	same := map[*memoryFile]*memoryFile{}
	copyOf := func(f *memoryFile) *memoryFile {
		if f == nil {
			return nil
		}
		if same[f] == nil {
			n := *f
			n.data, n.durable, n.unsynced = bytes.Clone(f.data), bytes.Clone(f.durable), nil
			for _, c := range f.unsynced {
				n.unsynced = append(n.unsynced, change{bytes: bytes.Clone(c.bytes), at: c.at, cut: c.cut})
			}
			same[f] = &n
		}
		return same[f]
	}
	for name, f := range m.names {
		c.names[name] = copyOf(f)
	}
	for name, f := range m.durable {
		c.durable[name] = copyOf(f)
	}
	for _, r := range m.renames {
		c.renames = append(c.renames, nameChange{from: r.from, to: r.to, file: copyOf(r.file)})
	}
	return c
}

// crashes yields every state of the disk after a crash now: the process alone is
// killed; or a number of changes of names is durable, and of one file a number of its
// unsynced steps, as written or as zeros, with none or all steps of the other files.
// With few it skips most numbers of steps.
func crashes(m *Memory, few bool, try func(how string, left *Memory)) {
	seen := map[string]bool{}
	once := func(how string, left *Memory) {
		if d := left.dump(); !seen[d] {
			seen[d] = true
			try(how, left)
		}
	}
	if killed := m.clone(); !killed.showsLostBytes() {
		killed.Kill()
		once("the process is killed", killed)
	}
	renames, _ := m.Unsynced("")
	for names := 0; names <= renames; names++ {
		for _, rest := range []int{0, 1 << 30} {
			crashesOfOneFile(m, few, names, rest, once)
		}
	}
}

func crashesOfOneFile(m *Memory, few bool, names, rest int, try func(how string, left *Memory)) {
	try(fmt.Sprintf("%d changes of names left, %d steps of every file", names, rest), crashed(m, PartialSync{
		Names: names, Bytes: func(string, int) int { return rest },
	}))
	for _, name := range slices.Sorted(maps.Keys(m.names)) {
		_, steps := m.Unsynced(name)
		for _, kept := range cuts(steps, few || name == walName+newSuffix) { // nothing but zeros is in that
			for _, zeros := range []bool{false, true} {
				try(fmt.Sprintf("%d changes of names left, %d of %d steps of %q (zeros: %v), %d of other files", names,
					kept, steps, name, zeros, rest),
					crashed(m, PartialSync{Names: names, Zeros: zeros, Bytes: func(n string, _ int) int {
						if n == name {
							return kept
						}
						return rest
					}}))
			}
		}
	}
}

// dump returns all files as a program can read them.
func (m *Memory) dump() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m.names)) {
		f := m.names[name]
		fmt.Fprintf(&b, "%s %d %v %d %t\n%s\n", name, f.modified, f.mode, len(f.data), bytes.Equal(f.data, f.durable),
			f.data)
	}
	for _, r := range m.renames {
		fmt.Fprintf(&b, "%s to %s\n", r.from, r.to)
	}
	return b.String()
}

// showsLostBytes reports whether a file shows bytes that a failed sync has lost. Between
// that failure and the truncation by the program, the process must not be killed
// alone, because the next process cannot know.
func (m *Memory) showsLostBytes() bool {
	for _, f := range m.names {
		synced := *f
		synced.durable = bytes.Clone(f.durable)
		synced.syncSteps(f.steps(), false)
		if !bytes.Equal(synced.durable, f.data) {
			return true
		}
	}
	return false
}

// cuts returns every number of steps up to 200. Of more, it returns the first and
// last hundred and some in between. With few it returns five.
func cuts(steps int, few bool) []int {
	if steps == 0 {
		return nil
	}
	if few {
		return []int{0, 1, steps / 2, steps - 1, steps}
	}
	var c []int
	for k := 0; k <= steps; k++ {
		if k <= 100 || steps-k <= 100 || k%97 == 0 {
			c = append(c, k)
		}
	}
	return c
}

func crashed(m *Memory, left PartialSync) *Memory {
	c := m.clone()
	c.CrashKeeping(left)
	return c
}

// fault makes one operation fail.
type fault struct {
	at    int // the operation, 1 the first; 0: none
	short int // when it is a write: so many bytes are written
}

var errFault = errors.New("the test's fault")

func (f fault) on(m *Memory) {
	if f.at == 0 {
		return
	}
	n := 0
	m.SetFault(func(o Operation) error {
		n++
		if n != f.at {
			return nil
		}
		if o.Verb == VerbWrite && f.short >= 0 {
			return ShortWrite{Bytes: f.short}
		}
		return errFault
	})
}

func (f fault) String() string {
	if f.at == 0 {
		return "no fault"
	}
	return fmt.Sprintf("operation %d fails (if a write, after %d bytes)", f.at, f.short)
}

// effort is the number of crash states that everyCrash tries.
type effort uint8

const (
	fewCuts   effort = iota // stop before each operation; not every number of unsynced steps is left
	everyCut                // every number
	andFaults               // every number, and few with each operation failing
)

// everyCrash runs a program on copies of a disk, stops it before each of its
// operations, and calls check with every possible state of the disk afterwards. The
// result of run is passed to check.
func everyCrash[P any](t *testing.T, disk *Memory, how effort, run func(m *Memory) P,
	check func(left *Memory, promised P) error) {
	t.Helper()
	if testing.Short() {
		how = fewCuts
	}
	states := 0
	checked := map[uint64]bool{} // states of the disk with what was promised
	stops := func(f fault, few bool) int {
		for stop := f.at + 1; ; stop++ { // an earlier stop comes before the fault
			m := disk.clone()
			m.StopBefore(stop)
			f.on(m)
			promised := run(m)
			m.SetFault(nil)
			text := fmt.Sprintf("%+v", promised)
			crashes(m, few, func(how string, left *Memory) {
				state := xxhash.Sum64String(text + left.dump())
				if checked[state] {
					return
				}
				checked[state] = true
				states++
				err := onlyKnownFiles(left, disk)
				if err == nil {
					err = check(left, promised)
				}
				if err != nil {
					t.Fatalf("%v, stopped before operation %d, %s: %v", f, stop, how, err)
				}
			})
			if m.Operations() < stop {
				return stop - 1
			}
		}
	}
	operations := stops(fault{}, how == fewCuts)
	if how == andFaults {
		for at := 1; at <= operations; at += everyNth() {
			for _, short := range []int{-1, 1, 70} {
				stops(fault{at: at, short: short}, true)
			}
		}
	}
	if operations == 0 || states == 0 {
		t.Fatal("no crash was tried")
	}
	t.Logf("%d operations, %d states of the disk after a crash", operations, states)
}

// everyNth returns the operations that fail, one run each: all of them with
// BLUETRACE_EVERY_CRASH, which .ci/run sets, else some.
func everyNth() int {
	if os.Getenv("BLUETRACE_EVERY_CRASH") != "" {
		return 1
	}
	return 8
}

// knownFiles are the files that a server or a phone may leave in its folder at any time. A file that replaces one of
// them
// is beside it with newSuffix; damaged parts of one are beside it, too.
var knownFiles = []string{tempIDsName, tornName, walName, attemptsName, logName, logName + journalSuffix}

// onlyKnownFiles returns an error about a file that is none of knownFiles, or has another mode than that which it, or
// the
// file that it replaces, had on the disk at the begin. A new file has secretMode, and keeps it if a fault prevents the
// change to the old mode.
func onlyKnownFiles(left, begin *Memory) error {
	for name, f := range left.names {
		replaced := strings.TrimSuffix(name, newSuffix)
		base, _, _ := strings.Cut(replaced, damagedSuffix)
		want := secretMode
		if old, ok := begin.names[replaced]; ok {
			want = old.mode
		}
		if !slices.Contains(knownFiles, base) || f.mode != want && f.mode != secretMode {
			return fmt.Errorf("there is a file %q with mode %v, want one of %q with mode %v", name, f.mode, knownFiles,
				want)
		}
	}
	return nil
}
