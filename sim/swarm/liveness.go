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
	settling  = 5 * time.Second       // from what a step waits for to the step: an answer's way, and whoever comes next
	// leastLifetime of a TempID lets it live until it is heard, leastIdle lets a
	// session live until it is used.
	leastLifetime = 20 * time.Second
	leastIdle     = time.Minute
	leastLogin    = 10 * time.Second // beside what the disk takes
)

// liveness has everybody who has an account log in, download, be heard and
// upload, each when the TempID is issued, or the beacon heard, that it needs, and
// all that once all is healed, every block over, every log empty and no program
// at the prompt for a password of a login that was left half done.
func (h *generator) liveness() {
	at := h.plan.Heal + h.actionsAfterHeal + h.backlogAfterHeal + recovery +
		max(h.s.Server.BlockDuration, h.s.Server.LoginTimeout, h.longestRetention())
	n := time.Duration(len(h.withAccount))
	each := min(apart, round/max(n, 1))
	tempID := []scenarios.Pattern{{Text: "/" + aTempID.String() + "/", Re: aTempID}}
	for i, p := range h.withAccount {
		h.expectStep(p, atOffset("", at+time.Duration(i)*each), "", &scenarios.Step{Login: &scenarios.Login{Kind: "right"}, Text: "login: right"},
			scenarios.StepExpect{Phone: p, Replies: exactly(protocol.Welcome)})
	}
	at += round + answering
	for i, p := range h.withAccount {
		h.expectStep(p, atOffset("", at+time.Duration(i)*each), issued(i), command(scenarios.VerbDownload, nil),
			scenarios.StepExpect{Phone: p, Replies: tempID})
	}
	last := len(h.withAccount) - 1
	for i, p := range h.withAccount {
		if last == 0 {
			break // it is alone
		}
		to := h.withAccount[(i+1)%len(h.withAccount)]
		h.expectStep(p, atOffset(issued(i), settling), heard(i), command(scenarios.VerbBeacon, []int{to}),
			scenarios.StepExpect{Phone: to, Prints: exactly("The beacon is valid.")})
	}
	one := min(1, max(last, 0))
	for i, p := range h.withAccount {
		ready := issued(i)
		if last > 0 {
			ready = heard((i + last) % len(h.withAccount)) // of the neighbour who beacons to it
		}
		h.expectStep(p, atOffset(ready, settling), "", command(scenarios.VerbUpload, nil),
			scenarios.StepExpect{Phone: p, Entries: &one, Resolved: &one})
	}
	h.s.Length = at + round + 3*answering + 2*settling
	h.note("heals at %v, over at %v", h.plan.Heal, h.s.Length)
}

// Moments of liveness: the TempID of a caller is issued, its beacon is heard.
func issued(caller int) string { return fmt.Sprintf("live-issued-%d", caller+1) }

func heard(caller int) string { return fmt.Sprintf("live-heard-%d", caller+1) }

// atOffset is so long after a moment; "" is the start of the run.
func atOffset(moment string, d time.Duration) scenarios.When {
	return scenarios.When{Label: moment, Offset: d}
}

var aTempID = regexp.MustCompile("^[0-9]{20}$")

func (h *generator) longestRetention() time.Duration {
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

// expectStep appends a step of liveness, with a name for its moment if one waits
// for it.
func (h *generator) expectStep(phone int, at scenarios.When, as string, st *scenarios.Step, e scenarios.StepExpect) {
	st.Phone, st.At, st.As = phone, at, as
	st.Text = fmt.Sprintf("at: %v, phone: %s, %s", at, h.names[phone], st.Text)
	e.Within = answering
	st.Expect = []scenarios.StepExpect{e}
	h.s.Script = append(h.s.Script, *st)
}
