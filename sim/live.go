package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/check"
	"bluetrace/sim/live"
	"bluetrace/sim/virtual"
)

// Live asks for a run on real sockets and a real clock.
type Live struct {
	// Server is the host:port of a server elsewhere; empty: the project's own,
	// inside the process.
	Server string
	// Credentials are the accounts of a server elsewhere.
	Credentials []nodes.Credential

	// Of tests: a clock that is stepped, and the phones' contact logs on disk.
	mock *clock.Mock
	log  func(phone int) (*files.ContactLog, error)
}

// elsewhere says whether the server is not this run's own.
func (r *run) elsewhere() bool { return r.options.Live != nil && r.options.Live.Server != "" }

func (r *run) worldName() string {
	if r.options.Live != nil {
		return reports.Live
	}
	return reports.Virtual
}

// settling is how much time a live run gets to prepare itself before it begins,
// and more for each phone.
const (
	settling      = 200 * time.Millisecond
	settlingPhone = time.Millisecond
)

// unseen are the invariants that need to see what a server reads, sends and
// prints.
func unseen() []check.Invariant {
	return []check.Invariant{check.NoWelcomeDuringBlock, check.BlockLastsExactly, check.ThirdWrongBlocks, check.ResolvesToOwner}
}

// baseline is the scenario as the real network has it: with no delays or losses
// of its own.
func baseline(s *scenarios.Scenario) *scenarios.Scenario {
	real := *s
	real.Network.TCP.Delay, real.Network.UDP = scenarios.Distribution{}, scenarios.UDPNetwork{}
	return &real
}

// newLiveWorld makes the world of a live run of what a virtual one is made from.
func (r *run) newLiveWorld(c virtual.Config) error {
	o := r.options.Live
	v := live.Config{
		Clock: r.clock, Start: r.start, Begin: c.Begin, Zone: c.Zone,
		Server: c.Server, Credentials: c.Credentials, Remote: o.Server,
		Events: c.Events, Tick: c.Tick,
	}
	if d := c.DiskDelay; d != (virtual.Delay{}) {
		draws := rand.NewPCG(c.Seed, 0)
		v.DiskDelay = func() time.Duration { return d.Draw(draws) }
	}
	for i, p := range c.Phones {
		pc := live.PhoneConfig{Name: p.Name, Settings: p.Settings}
		if o.log != nil {
			var err error
			if pc.Log, err = o.log(i); err != nil {
				return err
			}
		}
		v.Phones = append(v.Phones, pc)
	}
	remove := func() error { return nil }
	if f := r.options.folder; f != nil {
		v.Folder = f
	} else if o.Server == "" {
		dir, err := os.MkdirTemp("", "bluetrace-server-")
		if err != nil {
			return fmt.Errorf("making a folder for the server's files: %w", err)
		}
		v.Folder, remove = files.Disk(dir), func() error { return os.RemoveAll(dir) }
	}
	w, err := live.New(v)
	if err != nil {
		return errors.Join(err, remove())
	}
	r.world = w
	r.closeWorld = func() error { return errors.Join(w.Close(), remove()) }
	return nil
}

// setClock decides what the clock of a live run shows at time zero.
func (r *run) setClock(phones int) {
	o := r.options.Live
	before := settling + time.Duration(phones)*settlingPhone - r.begin
	if o.mock != nil {
		r.clock = o.mock
		return
	}
	shows := time.Unix(r.start, 0).Add(-before)
	if o.Server != "" {
		// A server elsewhere has the real time; time zero is a whole second.
		shows = clock.New().Now()
		r.start = shows.Add(before).Unix() + 1
	}
	r.clock = live.NewClock(clock.New(), shows)
}

// assignAccounts gives the phones accounts of a server elsewhere: one that a file writes
// out must be among them, the others are taken in their order.
func (r *run) assignAccounts(names []string) error {
	o := r.options.Live
	if o == nil || o.Server == "" {
		return nil
	}
	password := map[string]string{}
	taken := map[string]bool{}
	for _, c := range o.Credentials {
		password[c.User] = c.Password
	}
	for _, g := range r.scenario.Phones {
		taken[g.User] = true
	}
	free := o.Credentials
	i := 0
	for _, g := range r.scenario.Phones {
		for range g.Count {
			if g.Account == "own" {
				a, err := pickAccount(g, password, taken, &free)
				if err != nil {
					return &Invalid{r.place(g.Pos), fmt.Errorf("phone %s: %w", names[i], err)}
				}
				r.accounts[i] = a
			}
			i++
		}
	}
	shareAccounts(r.scenario, names, r.accounts)
	return nil
}

func pickAccount(g scenarios.PhoneGroup, password map[string]string, taken map[string]bool, free *[]nodes.Credential) (account, error) {
	if g.User != "" {
		p, ok := password[g.User]
		switch {
		case !ok:
			return account{}, fmt.Errorf("the server elsewhere has no account %q, by its credentials", g.User)
		case g.Password != "" && g.Password != p:
			return account{}, fmt.Errorf("the account %q of the server elsewhere has another password, by its credentials", g.User)
		}
		return account{g.User, p}, nil
	}
	for len(*free) > 0 {
		c := (*free)[0]
		*free = (*free)[1:]
		if !taken[c.User] {
			return account{c.User, c.Password}, nil
		}
	}
	return account{}, errors.New("the credentials of the server elsewhere have no account left for it")
}
