package judge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim"
)

// Remote is a server that runs already. Its rules run one at a time, since they share its state.
type Remote struct {
	Live *sim.Live // with Server and Credentials
	// accounts are those of the credentials in their order, without the ones that the server refuses.
	accounts []*remoteAccount
	told     bool // of a block that an earlier run has left
}

// remoteAccount is an account of the remote server.
type remoteAccount struct {
	user, password string
	// clean is true after a welcome, until a rule may have typed a wrong password.
	clean   bool
	free    time.Time // no block of a rule lasts beyond it
	refused int       // right passwords in a row
}

// begin makes the accounts of the credentials.
func (r *Remote) begin() {
	r.accounts = nil
	for _, c := range r.Live.Credentials {
		r.accounts = append(r.accounts, &remoteAccount{user: c.User, password: c.Password})
	}
}

// isLocal reports whether the address of the server is one of a loopback.
func (r *Remote) isLocal() bool {
	host, _, _ := net.SplitHostPort(r.Live.Server)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// blockSpare is the time after which a block is certainly over.
const blockSpare = 1500 * time.Millisecond

// lease returns a copy of a rule whose phones have accounts that no earlier rule has blocked, and a function that must
// be called after the run. It waits for the end of blocks if the accounts do not suffice.
func (j *judgement) lease(ctx context.Context, s *scenarios.Scenario) (*scenarios.Scenario, func(), error) {
	own := *s
	own.Phones = slices.Clone(s.Phones)
	var chosen []*remoteAccount
	for i := range own.Phones {
		if own.Phones[i].Account != "own" {
			continue
		}
		a, err := j.account(ctx, chosen)
		if err != nil {
			return nil, nil, err
		}
		chosen = append(chosen, a)
		own.Phones[i].User, own.Phones[i].Password = a.user, a.password
	}
	return &own, func() {
		for _, a := range chosen {
			a.clean, a.free = !typesWrongPasswords(s), j.Clock.Now()
			if _, blocks := s.Vars["BLOCK"]; blocks {
				a.free = a.free.Add(j.Block + blockSpare)
			}
		}
	}, nil
}

// account returns an account that is welcome and not among the chosen ones.
func (j *judgement) account(ctx context.Context, chosen []*remoteAccount) (*remoteAccount, error) {
	for {
		rest := slices.DeleteFunc(slices.Clone(j.Remote.accounts), func(a *remoteAccount) bool {
			return slices.Contains(chosen, a)
		})
		if len(rest) == 0 {
			return nil, fmt.Errorf("it needs more than the %d accounts of --credentials that the server welcomes",
				len(j.Remote.accounts))
		}
		a := slices.MinFunc(rest, func(a, b *remoteAccount) int { return a.free.Compare(b.free) })
		if err := j.await(ctx, a.free); err != nil {
			return nil, err
		}
		if !a.clean {
			if err := j.logIn(ctx, a); err != nil {
				return nil, err
			}
		}
		if a.clean {
			return a, nil
		}
	}
}

// await waits until a time.
func (j *judgement) await(ctx context.Context, until time.Time) error {
	wait := until.Sub(j.Clock.Now())
	if wait <= 0 {
		return nil
	}
	j.progress(fmt.Sprintf("waiting %v for the end of a block", wait.Round(time.Second)))
	t := j.Clock.Timer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// loginText is a login that is welcome, and sets the count of wrong passwords to zero.
var loginText = scenarios.RuleText{File: "login.yaml", Text: []byte(`
name: login
rule: {number: 999, title: The server welcomes a login.}
phones: [{name: anna, password_pause: 300ms}]
script:
  - {at: 0s, phone: anna, login: right, expect: {reply: /^Welcome/}}
`)}

// logIn tries an account, and sets clean. One that is refused is tried again after a block, and then no more. The error
// is that of ctx, or the sentence about a server that does not answer.
func (j *judgement) logIn(ctx context.Context, a *remoteAccount) error {
	s, err := j.parse(loginText)
	if err != nil {
		return err
	}
	s.Phones[0].User, s.Phones[0].Password = a.user, a.password
	run := j.run(ctx, s, "", false)
	_, blocked := errors.AsType[*sim.BlockedBefore](run.err)
	switch {
	case run.err == nil && run.Passed:
		a.clean, a.refused = true, 0
	case ctx.Err() != nil:
		return ctx.Err()
	case run.err != nil && !blocked:
		return run.err
	case a.refused > 0:
		j.notes = append(j.notes, fmt.Sprintf("the server refuses the right password of %s", a.user))
		j.Remote.accounts = slices.DeleteFunc(j.Remote.accounts, func(b *remoteAccount) bool { return a == b })
	default:
		if a.free.IsZero() && !j.Remote.told { // no rule has used it
			j.Remote.told = true
			j.notes = append(j.notes, fmt.Sprintf("the account %s was refused before the first rule that needs it: "+
				"an earlier run may have blocked it", a.user))
		}
		a.refused++
		a.free = j.Clock.Now().Add(j.Block + blockSpare)
	}
	return nil
}

// typesWrongPasswords reports whether a rule types a password that may be wrong.
func typesWrongPasswords(s *scenarios.Scenario) bool {
	return slices.ContainsFunc(s.Script, func(st scenarios.Step) bool {
		return st.TCP != nil || st.Login != nil && (st.Login.Kind != "right" || st.Login.Password != "") ||
			st.Password != nil && *st.Password != "right"
	})
}
