package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
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
	"bluetrace/sim/load"
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
	// Dialect is that of a remote server, of phones that are programs and of all beacons; nil for PROTOCOL.md.
	Dialect *dialect.Dialect

	// Folder is the folder of the programs of Command and of phones, which is copied for each; empty for an empty one.
	Folder string
	// Accounts is the form of credentials.txt of Command's server.
	Accounts foreign.LineForm
	// Sandbox has the limits of the programs. Only the fields that limit a program are read.
	Sandbox foreign.Config
	// Wire gets the bytes that go between a phone and a remote server of a dialect, with the time since the start of
	// the run. Ended gets the folder of each program after its end. Either may be nil.
	Wire  func(at time.Duration, phone string, sent bool, b []byte)
	Ended func(folder string)

	// Tests set a clock that is stepped, and the contact logs of the phones on disk.
	mock *clock.Mock
	log  func(phone int) (*files.ContactLog, error)
}

// BlockedBefore is the error of a run in which an account of a remote server is blocked by an earlier run.
type BlockedBefore = live.BlockedBefore

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
			notes = append(notes, fmt.Sprintf("%s: live: %s", s.Place(at), note))
		}
	}
	replaced("network.tcp.delay", "the delay was that of the real network")
	replaced("network.udp.delay", "the delay was that of the real network")
	replaced("network.udp.lose", "the losses were those of the real network")
	for i := range s.Expect {
		if e := &s.Expect[i]; l.cannotCompare(e) {
			notes = append(notes, fmt.Sprintf("%s: live: not checked, since a measured time is never exact: %s",
				s.Place(e.Pos), e.Text))
		}
	}
	if l.hasRealTime(s) {
		replaced("start", "the time was the real one, as for the other programs")
	}
	if !l.isRemote() {
		return notes
	}
	notes = append(notes, "live: the server is remote, so its decisions were inferred from its answers")
	for _, i := range unobservable() {
		notes = append(notes, fmt.Sprintf("live: not checked, since the state of the server is not visible: %s", i))
	}
	return notes
}

// hasRealTime reports whether the run has the real time, since programs of other implementations have it.
func (l *Live) hasRealTime(s *scenarios.Scenario) bool { return l.isRemote() || hasPrograms(s) }

// The preparation of a live run gets this time before the first event.
const (
	setupTime         = 200 * time.Millisecond
	setupTimePerPhone = time.Millisecond
)

// clock returns the clock of a live run of so many programs, and the wall time at time zero in Unix seconds. begin is
// the time of its first event.
func (l *Live) clock(s *scenarios.Scenario, begin time.Duration, programs int) (c clock.Clock, start int64) {
	start = s.Start
	if l.mock != nil {
		return l.mock, start
	}
	before := setupTime + time.Duration(programs)*setupTimePerPhone - begin
	now := time.Unix(start, 0).Add(-before)
	if l.hasRealTime(s) {
		// Other programs have the real time. Time zero is a whole second.
		now = clock.New().Now()
		start = now.Add(before).Unix() + 1
	}
	return live.NewClock(clock.New(), now), start
}

// newWorld makes the world of a live run from the configuration of a virtual world, and returns a function that
// releases its resources. The server's files are in folder, or in a temporary folder if it is nil.
func (l *Live) newWorld(
	ctx context.Context, s *scenarios.Scenario, lc clock.Clock, c virtual.Config, folder *files.Memory,
	server *startedServer, addressOf func(phone int) net.IP,
) (w world.World, release func() error, err error) {
	v := live.Config{
		Clock: lc, Start: c.Start, Begin: c.Begin, Zone: c.Zone,
		Server: c.Server, Credentials: c.Credentials, Remote: l.Server,
		Events: c.Events, Tick: c.Tick, ProgramFolder: l.Folder, Sandbox: l.Sandbox, ProgramEnded: l.Ended,
	}
	if l.Dialect != nil {
		d := *l.Dialect
		d.Zone = c.Zone.Location()
		v.Dialect = &d
	}
	if l.Wire != nil {
		zero := time.Unix(c.Start, 0)
		v.Wire = func(phone uint32, sent bool, b []byte) { l.Wire(lc.Since(zero), c.Phones[phone].Name, sent, b) }
	}
	if d := c.DiskDelay; d != (virtual.Delay{}) {
		draws := rand.NewPCG(c.Seed, 0)
		v.DiskDelay = func() time.Duration { return d.Draw(draws) }
	}
	groups := groupsOf(s)
	for i, p := range c.Phones {
		phone := live.PhoneConfig{Name: p.Name, Settings: p.Settings, Address: addressOf(i)}
		if i < len(groups) {
			phone.Program = groups[i].Program
		}
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
		v.Remote, v.Printed, remove = server.address(), server.printed, server.end
		v.Kill = server.kill
		v.Restart = func() error { return server.start(ctx) }
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
	port    uint16
	folder  string
	printed chan string
	config  foreign.Config
	program *foreign.Program
	killed  atomic.Bool         // by a step, and not started again yet
	ended   func(folder string) // Live.Ended
}

// startServer starts the server of Command in a fresh folder with the accounts. It returns nil if there is no Command.
func (l *Live) startServer(ctx context.Context, accounts []account, block time.Duration) (*startedServer, error) {
	if l == nil || l.Command == "" {
		return nil, nil
	}
	dir, err := foreign.FreshFolder(l.Folder)
	if err != nil {
		return nil, err
	}
	s := &startedServer{folder: dir, printed: make(chan string, unreadLines), ended: l.Ended}
	if err := l.prepareFolder(dir, accounts); err != nil {
		return nil, errors.Join(err, foreign.RemoveFolder(dir))
	}
	if s.port, err = foreign.FreePort(); err != nil {
		return nil, errors.Join(err, foreign.RemoveFolder(dir))
	}
	s.config = l.Sandbox
	s.config.Command, s.config.Folder, s.config.Clock = l.Command, dir, clock.New()
	s.config.Values = []string{
		"{port}", fmt.Sprint(s.port), "{block}", strconv.FormatFloat(block.Seconds(), 'f', -1, 64),
	}
	s.config.Line = func(line string) {
		select {
		case s.printed <- line:
		default: // a server that prints so much is not read line by line
		}
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.end())
	}
	return s, nil
}

// prepareFolder writes the accounts and the files that the dialect asks for.
func (l *Live) prepareFolder(dir string, accounts []account) error {
	var list []string
	for _, a := range accounts {
		if line := a.user + " " + a.password; a.user != "" && !slices.Contains(list, line) {
			list = append(list, line)
		}
	}
	var empty []string
	if l.Dialect != nil {
		empty = l.Dialect.Files
	}
	return foreign.WriteAccounts(dir, list, l.Accounts, empty)
}

// start starts the program, and waits until it listens.
func (s *startedServer) start(ctx context.Context) (err error) {
	if s.program, err = foreign.Start(s.config); err != nil {
		return err
	}
	s.killed.Store(false)
	err = s.program.AwaitPort(ctx, s.port, foreignStart)
	if ctx.Err() != nil {
		return &load.Interrupted{While: "the server of --server-command started"}
	}
	return err
}

func (s *startedServer) kill() {
	s.killed.Store(true)
	s.program.End(0)
}

func (s *startedServer) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// end ends the server and removes its folder.
func (s *startedServer) end() error {
	if s.program != nil {
		s.program.End(foreignEnd)
	}
	if s.ended != nil {
		s.ended(s.folder)
	}
	return foreign.RemoveFolder(s.folder)
}

// ServerRuns is the name of the check that the server of Live.Command has not ended.
const ServerRuns = "the server of --server-command runs to the end"

// endNotice is the time in which the end of a server is noticed that has closed its connections, also on a busy machine.
const endNotice = 2 * time.Second

// check checks that the server has not ended. broken reports that another check failed: the server may be about to end.
// The server may be nil.
func (s *startedServer) check(broken bool) []reports.Check {
	if s == nil {
		return nil
	}
	c := reports.Check{
		Kind: reports.ExpectationCheck, Name: ServerRuns, Verdict: reports.Passed,
		Evaluations: 1, Expected: "a process that runs",
	}
	if broken {
		late := s.config.Clock.Timer(endNotice)
		defer late.Stop()
		select {
		case <-s.program.Ended():
		case <-late.C:
		}
	}
	select {
	case <-s.program.Ended():
		if !s.killed.Load() {
			c.Verdict, c.Found = reports.Failed, s.program.Failure()
		}
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
