package judge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"bluetrace/protocol/dialect"
	"bluetrace/scenarios"
	"bluetrace/sim/foreign"
	"bluetrace/sim/learn"
)

// prepare copies the folder of the submission, and builds its programs there. The function that it returns removes the
// copy.
func (j *judgement) prepare(ctx context.Context) (remove func() error, err error) {
	remove = func() error { return nil }
	if j.Remote != nil {
		j.Remote.begin()
		return remove, nil
	}
	if err := CheckFolder(j.given); err != nil {
		return remove, &problem{err.Error()}
	}
	dir, err := foreign.FreshFolder(j.given)
	if err != nil {
		return remove, &problem{err.Error()}
	}
	remove = func() error { return foreign.RemoveFolder(dir) }
	j.Folder = dir
	j.sandbox.Confine, j.sandbox.Hide = true, j.Hide
	return remove, j.build(ctx)
}

// buildLimit is the time that a build has.
const buildLimit = 2 * time.Minute

// build runs the command of Build. Its failure is a problem of the submission, and no failure of a rule.
func (j *judgement) build(ctx context.Context) error {
	if j.Build == "" {
		return nil
	}
	j.progress("build")
	c := j.sandbox
	c.Command, c.Folder, c.Clock, c.Line = j.Build, j.Folder, j.Clock, func(string) {}
	p, err := foreign.Start(c)
	if err != nil {
		return &problem{fmt.Sprintf("the build cannot start: %s", err)}
	}
	late := c.Clock.Timer(buildLimit)
	defer late.Stop()
	select {
	case <-p.Ended():
		if !p.Succeeded() {
			return &problem{"the build failed: " + p.Failure()}
		}
		return nil
	case <-late.C:
		p.End(0)
		return &problem{fmt.Sprintf("the build did not end in %v", buildLimit)}
	case <-ctx.Done():
		p.End(0)
		return ctx.Err()
	}
}

// understand learns the dialect if that was asked for, and tries it on the server.
func (j *judgement) understand(ctx context.Context) error {
	if j.Learn && j.Server != "" && j.Client != "" {
		if err := j.learn(ctx); err != nil {
			return err
		}
	}
	if err := j.hasten(ctx); err != nil {
		return err
	}
	if j.Server == "" && j.Remote == nil || j.problem != "" {
		return nil
	}
	return j.handshake(ctx)
}

// hasten finds whether the clocks of the programs can be hastened, and sets the rate.
func (j *judgement) hasten(ctx context.Context) error {
	if j.Hasten < 2 || j.Remote != nil || j.Quick || max(j.retention(), j.lifetime()) <= shortWait {
		return nil
	}
	j.progress("trying a hastened clock")
	c, tried := j.sandbox, ""
	c.Hasten, c.Clock = j.Hasten, j.Clock
	for _, c.Command = range []string{j.Client, j.Server} {
		runtime, _, _ := strings.Cut(c.Command, " ")
		if runtime == "" || runtime == tried {
			continue
		}
		tried = runtime
		if err := foreign.Calibrate(ctx, c); err != nil {
			j.notes = append(j.notes, err.Error()+"; rules about minutes run in real time")
			return ctx.Err()
		}
	}
	j.rate = j.Hasten
	j.notes = append(j.notes, fmt.Sprintf("rules about minutes ran with a clock that was hastened %d times", j.rate))
	return nil
}

// learn learns the dialect. Without a login, the dialect has the beacon and the typed lines only, for the rules of
// phones.
func (j *judgement) learn(ctx context.Context) error {
	j.progress("learning the wire")
	r, err := learn.Learn(ctx, learn.Config{
		ServerCommand: j.Server, ClientCommand: j.Client, Folder: j.Folder, Seed: j.Seed, Clock: j.Clock,
		Sandbox: j.sandbox,
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		j.setProblem(err.Error(), false)
		return nil // phones may still be judged
	}
	j.notes = append(j.notes, r.Notes...)
	j.Dialect, j.form = r.Dialect, r.Form
	j.learned = r.HasLogin
	if !r.HasLogin {
		j.setProblem(r.Notes[0], true)
	}
	return nil
}

// handshakeText is a login, without which no rule can be judged.
const handshakeText = `
name: handshake
rule: {number: 999, title: The server starts and welcomes a login.}
phones:
  - {name: anna, password_pause: 300ms}
  - {name: ben, password_pause: 300ms}
  - {name: long, password: Comp9331andComp3331, password_pause: 300ms}
script:
  - {at: 0s, phone: anna, login: right, need: true, expect: {reply: /^Welcome/}}
  - {phone: ben, login: right, expect: {reply: /^Welcome/}}`

// handshake finds the form of credentials.txt with which the server works, first that with which it was learned. It
// sets the problem of a server whose messages are not understood, and refuses for one that refuses the right password.
func (j *judgement) handshake(ctx context.Context) error {
	s, err := j.parse(scenarios.RuleText{File: "handshake.yaml", Text: []byte(handshakeText)})
	if err != nil {
		return err
	}
	j.progress("handshake")
	forms := slices.Concat(foreign.LineForms[j.form:], foreign.LineForms[:j.form])
	j.refuses = true
	for i, form := range forms {
		j.accounts = form
		run := j.attempt(ctx, s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if run.err == nil && run.Passed {
			j.problem, j.refuses = "", false
			if i > 0 {
				j.notes = append(j.notes, fmt.Sprintf("the server needs a credentials.txt with %s", form.Name))
			}
			return j.tryLearned(ctx)
		}
		if i == 0 && run.err != nil {
			j.setProblem(run.err.Error(), !errors.Is(run.err, foreign.ErrNotListening))
		}
		j.refuses = j.refuses && run.refused
		// A running server has read its accounts. To another one that does not listen, each form would take as long.
		if j.Remote != nil || errors.Is(run.err, foreign.ErrNotListening) {
			break
		}
	}
	j.accounts = forms[0]
	if j.learned && j.refuses { // it has welcomed the phone of the submission
		j.setProblem("the login that was learned does not work with another account", true)
		j.refuses = false
	}
	return nil
}

// learnedParts are the parts of a learned dialect, each with a scenario that uses it in other sessions than those from
// which it was learned. A message with a token of its session does not work there.
var learnedParts = []struct {
	name    string
	of      func(d *dialect.Dialect) []dialect.Step
	needsID bool // its scenario downloads a TempID
	forget  func(j *judgement)
	script  string
}{
	{"login with a password of another length", func(d *dialect.Dialect) []dialect.Step { return d.Login }, false,
		func(j *judgement) { j.oneLength = true }, `
  - {phone: long, login: right, expect: {reply: /^Welcome/}}`},
	{"download of a TempID", func(d *dialect.Dialect) []dialect.Step { return d.Download }, false,
		func(j *judgement) { j.Dialect.Download = nil }, `
  - {phone: ben, do: Download_tempID, expect: {reply: '/^[0-9]+$/'}}
  - {phone: anna, do: Download_tempID, expect: {reply: '/^[0-9]+$/'}}`},
	{"upload of a contact log", func(d *dialect.Dialect) []dialect.Step { return d.Upload }, true,
		func(j *judgement) { j.Dialect.Upload = nil }, `
  - {phone: ben, do: Download_tempID, need: true, expect: {reply: '/^[0-9]+$/'}}
  - {phone: ben, do: Beacon, to: anna, need: true, expect: {phone: anna, prints: The beacon is valid.}}
  - {phone: anna, do: Upload_contact_log, expect: {entries: 1}}`},
}

// tryLearned tries the parts of a learned dialect, and removes those that do not work: their rules are not judged.
func (j *judgement) tryLearned(ctx context.Context) error {
	if !j.learned {
		return nil
	}
	for _, part := range learnedParts {
		if len(part.of(j.Dialect)) == 0 || part.needsID && len(j.Dialect.Download) == 0 {
			continue
		}
		s, err := j.parse(scenarios.RuleText{File: "learned.yaml", Text: []byte(handshakeText + part.script)})
		if err != nil {
			return err
		}
		run := j.attempt(ctx, s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !run.Passed && run.err == nil && run.unmet == "" && !run.wrong {
			part.forget(j)
			j.notes = append(j.notes, fmt.Sprintf("the learned %s does not work in another session (%s): "+
				"its rules are not judged", part.name, run.Failures[0]))
		}
	}
	return nil
}

// CheckFolder returns an error if a folder of a submission cannot be judged.
func CheckFolder(folder string) error {
	list, err := os.ReadDir(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %q", folder)
	case err != nil:
		return fmt.Errorf("reading the folder of the submission: %w", err)
	case len(list) == 0:
		return fmt.Errorf("the folder %q is empty", folder)
	}
	return nil
}
