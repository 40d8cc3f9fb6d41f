package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/protocol/dialect"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/check"
	"bluetrace/sim/foreign"
	"bluetrace/sim/live"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// Live requests a run on real sockets and a real clock.
type Live struct {
	// Server is the host:port of a remote server. Command is the shell command that starts one, in a fresh folder with
	// the accounts of the run; {port} and {block} are replaced. If both are empty, the run has its own server inside
	// the process.
	Server, Command string
	// Credentials are the accounts of a remote server.
	Credentials []nodes.Credential
	// Dialect is that of the remote server; nil for that of PROTOCOL.md section 2.
	Dialect *dialect.Dialect

	// Tests set a clock that is stepped, and the contact logs of the phones on disk.
	mock *clock.Mock
	log  func(phone int) (*files.ContactLog, error)
}

// isRemote reports whether the server is a remote one. It is false in virtual time.
func (l *Live) isRemote() bool { return l != nil && (l.Server != "" || l.Command != "") }

// unobservable lists the invariants that cannot be checked with a remote server: they need the input, the answers and
// the output of the server, which this process does not see.
func unobservable() []check.Invariant {
	return []check.Invariant{
		check.NoWelcomeDuringBlock, check.BlockLastsExactly, check.ThirdWrongBlocks, check.ResolvesToOwner,
	}
}

// judges reports whether the run checks an invariant. Those about the lines of the server hold for this project's own
// server only, because the course specification leaves the words open.
func (l *Live) judges(i check.Invariant) bool {
	ownWords := []check.Invariant{check.LinesPrinted, check.NothingSecret, check.UploadsWhole, check.TempIDsOutlive}
	return !l.isRemote() || !slices.Contains(unobservable(), i) && !slices.Contains(ownWords, i)
}

// withoutNetworkDelays returns the scenario without delays and losses of its own: those of the real network replace
// them.
func withoutNetworkDelays(s *scenarios.Scenario) *scenarios.Scenario {
	real := *s
	real.Network.TCP.Delay, real.Network.UDP = scenarios.Distribution{}, scenarios.UDPNetwork{}
	return &real
}

// cannotCompare reports whether the expectation compares a measured time for equality in a live run, where measured
// times are never exact.
func (l *Live) cannotCompare(e *scenarios.Expectation) bool {
	return l != nil && l.mock == nil && e.Op == "==" && measuresTime(e)
}

// notes returns a note on each part of the scenario that a live run replaces, and on each expectation that it does not
// check. In virtual time there are none.
func (l *Live) notes(s *scenarios.Scenario) []string {
	if l == nil {
		return nil
	}
	var notes []string
	replaced := func(path, note string) {
		if at, ok := s.Written[path]; ok {
			notes = append(notes, fmt.Sprintf("%s: live: %s", placeIn(s, at), note))
		}
	}
	replaced("network.tcp.delay", "the delay was that of the real network")
	replaced("network.udp.delay", "the delay was that of the real network")
	replaced("network.udp.lose", "the losses were those of the real network")
	for i := range s.Expect {
		if e := &s.Expect[i]; l.cannotCompare(e) {
			notes = append(notes, fmt.Sprintf("%s: live: not checked, since a measured time is never exact: %s",
				placeIn(s, e.Pos), e.Text))
		}
	}
	if !l.isRemote() {
		return notes
	}
	replaced("start", "the time was the real one, as for the remote server")
	notes = append(notes, "live: the server is remote, so its decisions were inferred from its answers")
	for _, i := range unobservable() {
		notes = append(notes, fmt.Sprintf("live: not checked, since the state of the server is not visible: %s", i))
	}
	return notes
}

// liveClock is the clock of a live run.
type liveClock struct {
	clock.Clock
	start int64 // wall time at time zero, Unix seconds
}

// The preparation of a live run gets this time before the first event.
const (
	setupTime         = 200 * time.Millisecond
	setupTimePerPhone = time.Millisecond
)

// clock returns the clock of a live run. begin is the time of its first event.
func (l *Live) clock(start int64, begin time.Duration, programs int) *liveClock {
	if l.mock != nil {
		return &liveClock{l.mock, start}
	}
	before := setupTime + time.Duration(programs)*setupTimePerPhone - begin
	now := time.Unix(start, 0).Add(-before)
	if l.isRemote() {
		// A remote server has the real time. Time zero is a whole second.
		now = clock.New().Now()
		start = now.Add(before).Unix() + 1
	}
	return &liveClock{live.NewClock(clock.New(), now), start}
}

// newWorld makes the world of a live run from the configuration of a virtual world, and returns a function that
// releases its resources. The server's files are in folder, or in a temporary folder if it is nil.
func (l *Live) newWorld(
	lc *liveClock, c virtual.Config, folder *files.Memory, server *startedServer,
) (w world.World, release func() error, err error) {
	v := live.Config{
		Clock: lc.Clock, Start: lc.start, Begin: c.Begin, Zone: c.Zone,
		Server: c.Server, Credentials: c.Credentials, Remote: l.Server,
		Events: c.Events, Tick: c.Tick,
	}
	if l.Dialect != nil {
		d := *l.Dialect
		d.Zone = c.Zone.Location()
		v.Dialect = &d
	}
	if d := c.DiskDelay; d != (virtual.Delay{}) {
		draws := rand.NewPCG(c.Seed, 0)
		v.DiskDelay = func() time.Duration { return d.Draw(draws) }
	}
	for i, p := range c.Phones {
		phone := live.PhoneConfig{Name: p.Name, Settings: p.Settings}
		if l.log != nil {
			if phone.Log, err = l.log(i); err != nil {
				return nil, nil, err
			}
		}
		v.Phones = append(v.Phones, phone)
	}
	remove := func() error { return nil }
	if folder != nil {
		v.Folder = folder
	} else if server != nil {
		v.Remote, v.Printed, remove = server.address, server.printed, server.end
	} else if l.Server == "" {
		dir, err := os.MkdirTemp("", "bluetrace-server-")
		if err != nil {
			return nil, nil, fmt.Errorf("making a folder for the server's files: %w", err)
		}
		v.Folder, remove = files.Disk(dir), func() error { return os.RemoveAll(dir) }
	}
	made, err := live.New(v)
	if err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return made, func() error { return errors.Join(made.Close(), remove()) }, nil
}

// The time limits of the start and the end of a server that Command starts. A Java program may need seconds.
const (
	foreignStart = 15 * time.Second
	foreignEnd   = 2 * time.Second
	unreadLines  = 10_000 // of its output
)

// startedServer is a server that Command has started.
type startedServer struct {
	address string // host:port
	printed <-chan string
	program *foreign.Program
	end     func() error // ends the server and removes its folder
}

// startServer starts the server of Command in a fresh folder with the accounts. It returns nil if there is no Command.
func (l *Live) startServer(ctx context.Context, accounts []account, block time.Duration) (*startedServer, error) {
	if l == nil || l.Command == "" {
		return nil, nil
	}
	dir, err := os.MkdirTemp("", "bluetrace-foreign-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the server's files: %w", err)
	}
	remove := func() error { return os.RemoveAll(dir) }
	var text strings.Builder
	for _, a := range accounts {
		if a.user != "" {
			fmt.Fprintf(&text, "%s %s\n", a.user, a.password)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "credentials.txt"), []byte(text.String()), 0o600); err != nil {
		return nil, errors.Join(err, remove())
	}
	port, err := foreign.FreePort()
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	lines := make(chan string, unreadLines)
	p, err := foreign.Start(foreign.Config{
		Command: l.Command, Folder: dir, Clock: clock.New(),
		Values: []string{
			"{port}", fmt.Sprint(port), "{block}", strconv.FormatFloat(block.Seconds(), 'f', -1, 64),
		},
		Line: func(line string) {
			select {
			case lines <- line:
			default: // a server that prints so much is not read line by line
			}
		},
	})
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	end := func() error {
		p.End(foreignEnd)
		return remove()
	}
	if err := p.AwaitPort(ctx, port, foreignStart); err != nil {
		return nil, errors.Join(err, end())
	}
	return &startedServer{fmt.Sprintf("127.0.0.1:%d", port), lines, p, end}, nil
}

// check checks that the server has not ended. The server may be nil.
func (s *startedServer) check() []reports.Check {
	if s == nil {
		return nil
	}
	c := reports.Check{
		Kind: reports.ExpectationCheck, Name: "the server of --server-command runs to the end", Verdict: reports.Passed,
		Evaluations: 1, Expected: "a process that runs",
	}
	select {
	case <-s.program.Ended():
		c.Verdict, c.Found = reports.Failed, s.program.Failure()
	default:
	}
	return []reports.Check{c}
}

// accountPicker returns a function that picks an account of a remote server for a phone. An account that the
// scenario names
// must be among them. The other phones get the remaining accounts in their order.
func (l *Live) accountPicker(s *scenarios.Scenario) func(int, *scenarios.PhoneGroup) (account, error) {
	password := map[string]string{}
	for _, c := range l.Credentials {
		password[c.User] = c.Password
	}
	free := slices.DeleteFunc(slices.Clone(l.Credentials), func(c nodes.Credential) bool {
		return slices.ContainsFunc(s.Phones, func(g scenarios.PhoneGroup) bool { return g.User == c.User })
	})
	return func(_ int, g *scenarios.PhoneGroup) (account, error) {
		p, ok := password[g.User]
		switch {
		case g.User == "" && len(free) == 0:
			return account{}, errors.New("the credentials of the remote server have no account left for it")
		case g.User == "":
			c := free[0]
			free = free[1:]
			return account{c.User, c.Password}, nil
		case !ok:
			return account{}, fmt.Errorf("the credentials of the remote server have no account %q", g.User)
		case g.Password != "" && g.Password != p:
			return account{}, fmt.Errorf("the credentials of the remote server have another password for account %q",
				g.User)
		}
		return account{g.User, p}, nil
	}
}
