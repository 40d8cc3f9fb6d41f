package live

import (
	"errors"
	"sync"
	"testing"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/protocol/dialect"
	"bluetrace/sim/event"
)

// TestDiagnose: a server whose first answer shows that it speaks another wire ends the run with one sentence. A server
// that was understood before does not.
func TestDiagnose(t *testing.T) {
	const noAnswer = "the server at h:1 gave no answer to a name and a password in the dialect codes: it may wait " +
		"for a " +
		"message of another form (--dialect)"
	const strange = `the server at h:1 does not speak the dialect codes: "BT" (--dialect names another one)`
	const blocked = "the account of anna is blocked, and no wrong password was answered in this run: an earlier " +
		"run may " +
		"have blocked it; wait for the end of the block, or start the server again"
	for _, c := range []struct {
		outcomes []nodes.Outcome
		want     string
	}{
		{[]nodes.Outcome{nodes.OutcomeNoAnswer}, noAnswer},
		{[]nodes.Outcome{nodes.OutcomeConnectionLost, nodes.OutcomeNoAnswer}, noAnswer},
		{[]nodes.Outcome{nodes.OutcomeUnexpectedAnswer}, strange},
		{[]nodes.Outcome{nodes.OutcomeWrongPassword, nodes.OutcomeNoAnswer, nodes.OutcomeUnexpectedAnswer}, ""},
		{[]nodes.Outcome{nodes.OutcomeOK, nodes.OutcomeNoAnswer}, ""},
		{[]nodes.Outcome{nodes.OutcomeOK, nodes.OutcomeBlocked}, blocked},
		{[]nodes.Outcome{nodes.OutcomeWrongPassword, nodes.OutcomeBlocked}, ""},
	} {
		s := &scheduler{}
		s.changed.L = &sync.Mutex{}
		r := &remoteServer{schedule: s, address: "h:1", dialect: &dialect.Dialect{Name: "codes"}}
		for _, o := range c.outcomes {
			r.diagnose("anna", &nodes.PhoneEffect{Outcome: o}, `"BT"`)
		}
		if got := s.err; got == nil && c.want != "" || got != nil && got.Error() != c.want {
			t.Errorf("%v: %v\nwant %s", c.outcomes, got, c.want)
		}
	}
}

// TestScriptTypesWrongPasswords: after a wrong password of a script, a block is one of this run.
func TestScriptTypesWrongPasswords(t *testing.T) {
	for _, c := range []struct {
		replies []string
		earlier bool // the block is one of an earlier run
	}{
		{nil, true}, {[]string{protocol.Welcome}, true}, {[]string{protocol.TryAgain + "x"}, true},
		{[]string{protocol.TryAgain}, false}, {[]string{protocol.TryAgain, protocol.Welcome}, false},
	} {
		s, now := &scheduler{}, int64(0)
		s.changed.L = &sync.Mutex{}
		r := &remoteServer{schedule: s, emit: &event.Emitter{Stream: &event.Stream{}, Now: &now}}
		for _, reply := range c.replies {
			r.inferFromReply(&connection{}, []byte(reply))
		}
		r.diagnose("anna", &nodes.PhoneEffect{Outcome: nodes.OutcomeBlocked}, "")
		if _, earlier := errors.AsType[*BlockedBefore](s.err); earlier != c.earlier {
			t.Errorf("after %q: %v", c.replies, s.err)
		}
	}
}
