package swarm

import (
	"fmt"
	"regexp"
	"time"

	"bluetrace/protocol"
	"bluetrace/scenarios"
)

// Bounds of liveness.
const (
	recovery  = 30 * time.Second      // for the server to be back, and programs to see that their connections are gone
	answering = 30 * time.Second      // for each answer
	apart     = 50 * time.Millisecond // of two phones
	round     = 2 * time.Second       // and of the first and the last, at most
	settling  = 5 * time.Second       // from one round to the next
	// leastLifetime of a TempID lets it live through two rounds, leastIdle lets a
	// session live until it is used.
	leastLifetime = 20 * time.Second
	leastIdle     = time.Minute
)

// liveness has everybody who has an account log in, download, be heard and
// upload, once all is healed, every block over, every log empty and no program
// at the prompt for a password of a login that was left half done.
func (h *hand) liveness() {
	at := h.plan.Heal + h.late + h.behind + recovery +
		max(h.s.Server.BlockDuration, h.s.Server.LoginTimeout, h.longestRetention())
	n := time.Duration(len(h.callers))
	each := min(apart, round/max(n, 1))
	tempID := []scenarios.Pattern{{Text: "/" + aTempID.String() + "/", Re: aTempID}}
	for i, p := range h.callers {
		h.expectStep(p, at+time.Duration(i)*each, &scenarios.Step{Login: &scenarios.Login{Kind: "right"}, Text: "login: right"},
			scenarios.StepExpect{Phone: p, Replies: exactly(protocol.Welcome)})
	}
	at += round + answering
	for i, p := range h.callers {
		h.expectStep(p, at+time.Duration(i)*each, command(scenarios.VerbDownload, nil),
			scenarios.StepExpect{Phone: p, Replies: tempID})
	}
	at += round + settling
	for i, p := range h.callers {
		to := h.callers[(i+1)%len(h.callers)]
		if to == p {
			break // it is alone
		}
		h.expectStep(p, at+time.Duration(i)*each, command(scenarios.VerbBeacon, []int{to}),
			scenarios.StepExpect{Phone: to, Prints: exactly("The beacon is valid.")})
	}
	at += round + settling
	one := min(1, max(len(h.callers)-1, 0))
	for i, p := range h.callers {
		h.expectStep(p, at+time.Duration(i)*each, command(scenarios.VerbUpload, nil),
			scenarios.StepExpect{Phone: p, Entries: &one, Resolved: &one})
	}
	h.s.Length = at + round + answering
	h.note("heals at %v, over at %v", h.plan.Heal, h.s.Length)
}

var aTempID = regexp.MustCompile("^[0-9]{20}$")

func (h *hand) longestRetention() time.Duration {
	var longest time.Duration
	for _, g := range h.s.Phones {
		longest = max(longest, g.Retention)
	}
	return longest
}

func exactly(line string) []scenarios.Pattern { return []scenarios.Pattern{{Text: line}} }

func command(v scenarios.Verb, to []int) *scenarios.Step {
	return &scenarios.Step{Do: &scenarios.Command{Verb: v, To: to, Count: 1}, Text: "do: " + string(v)}
}

// expectStep appends a step of liveness.
func (h *hand) expectStep(phone int, at time.Duration, st *scenarios.Step, e scenarios.StepExpect) {
	st.Phone, st.At.Offset = phone, at
	st.Text = fmt.Sprintf("at: %v, phone: %s, %s", at, h.names[phone], st.Text)
	e.Within = answering
	st.Expect = []scenarios.StepExpect{e}
	h.s.Script = append(h.s.Script, *st)
}
