package learn

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"bluetrace/protocol/dialect"
)

// sessions holds the sessions: a wrong and the right password, downloads, a beacon and an upload of two entries, and
// the attempts that block an account.
func (l *learner) sessions(ctx context.Context, folder string) error {
	const welcome, wrong = dialect.Welcome, dialect.Wrong
	a, err := l.attempts(ctx, l.accounts[0].user, []string{l.wrong[0], l.accounts[0].password}, wrong, welcome)
	if err != nil {
		return err
	}
	l.welcomed = welcomes.MatchString(a.news())
	if !l.mayBeIn() {
		l.mute = a.asked.Load() && a.proxy.ended.Load() == 0
		return nil
	}
	for range 2 {
		a.choose(ctx, Download, "download", "Download_tempID", &l.typed.Download)
	}
	b, err := l.attempts(ctx, l.accounts[1].user, []string{l.accounts[1].password}, welcome)
	if err != nil || !l.mayBeIn() {
		return err
	}
	b.choose(ctx, Download, "download", "Download_tempID", &l.typed.Download)
	l.observed.TempIDs = l.readTempIDs(folder)
	if err := l.beacons(ctx, a, b); err != nil {
		return err
	}
	b.choose(ctx, Upload, "upload", "Upload_contact_log", &l.typed.Upload)
	for _, p := range []*phone{b, a} {
		p.logOut(ctx)
		p.end()
	}
	return l.refusals(ctx)
}

// mayBeIn reports whether the right passwords seem to have been accepted.
func (l *learner) mayBeIn() bool { return l.welcomed || Infer(&l.observed).HasLogin }

// refusals observes the answers to attempts that are refused.
func (l *learner) refusals(ctx context.Context) error {
	c := l.accounts[2]
	// A server may block at the fourth only.
	p, err := l.attempts(ctx, c.user, l.wrong[1:5], dialect.Wrong, dialect.Wrong, dialect.NowBlocked, dialect.Blocked)
	if err != nil {
		return err
	}
	p.end()
	if p, err = l.attempts(ctx, c.user, []string{c.password}, dialect.Blocked); err != nil {
		return err
	}
	p.end()
	if p, err = l.attempts(ctx, l.unknown.user, []string{l.unknown.password}, dialect.Unknown); err == nil {
		p.end()
	}
	return err
}

// attempts starts a phone and types the passwords. If the phone ends before the last one, another phone goes on.
func (l *learner) attempts(ctx context.Context, user string, passwords []string, expected ...dialect.Outcome) (
	*phone, error) {
	var p *phone
	for n, password := range passwords {
		again := p != nil && !hasEnded(p.program)
		if !again {
			if p != nil {
				p.end()
			}
			var err error
			if p, err = l.startPhone(ctx, user); err != nil {
				return nil, err
			}
		}
		p.logIn(ctx, password, expected[n], again)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return p, nil
}

// beacons has the phone a send a beacon to b, and b receive a second one with another TempID.
func (l *learner) beacons(ctx context.Context, a, b *phone) error {
	r, err := newRelay(a, b)
	if err != nil {
		return err
	}
	defer r.close()
	a.enter(ctx, fmt.Sprintf("Beacon 127.0.0.1 %d", r.port))
	l.observed.Beacon = r.seen()
	was, other := l.otherTempID()
	if was == "" {
		return nil
	}
	began := l.Clock.Now()
	r.replay(ctx, l.observed.Beacon, was, other)
	b.settle(ctx, began, silence, busyLimit)
	return nil
}

// otherTempID returns the TempID of the observed beacon, and another one of the same length that the server has issued.
func (l *learner) otherTempID() (was, other string) {
	ids := slices.AppendSeq(slices.Clone(l.observed.TempIDs), maps.Keys(newInference(&l.observed).words.tempIDs))
	slices.Sort(ids)
	for _, id := range ids {
		has := func(g Datagram) bool { return bytes.Contains(g.Bytes, []byte(id)) }
		if slices.ContainsFunc(l.observed.Beacon, has) {
			was = id
		}
	}
	for _, id := range ids {
		if id != was && len(id) == len(was) {
			other = id
		}
	}
	if was != "" && other == "" { // the server has issued one only
		other = was[:len(was)-1] + string('0'+(was[len(was)-1]-'0'+1)%10)
	}
	return was, other
}
