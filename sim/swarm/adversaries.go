package swarm

import (
	"slices"
	"strings"
	"time"

	"bluetrace/scenarios"
)

// mallory is a phone without an account.
const mallory = "mallory"

// adversaries draws who is up to no good.
func (h *generator) adversaries() {
	if slices.ContainsFunc(h.s.Phones, func(g scenarios.PhoneGroup) bool { return strings.HasPrefix(g.Name, mallory) }) {
		return
	}
	by := h.phones
	h.names = append(h.names, mallory)
	h.s.Phones = append(h.s.Phones, scenarios.PhoneGroup{Name: mallory, Count: 1, Account: "none", Retention: 3 * time.Minute,
		Form: scenarios.FormSplit, PasswordPause: 50 * time.Millisecond})
	kinds := []scenarios.AdversaryKind{
		scenarios.AdversaryReplay, scenarios.AdversaryForge, scenarios.AdversaryFlood, scenarios.AdversaryGuess,
		scenarios.AdversaryGarbage, scenarios.AdversaryUpload, scenarios.AdversaryHold,
	}
	for range 1 + h.IntN(3) {
		if a, ok := h.drawAdversary(kinds[h.IntN(len(kinds))], by); ok {
			h.addAdversary(a)
		}
	}
}

// drawAdversary draws one of a kind; false when there is nobody for it.
func (h *generator) drawAdversary(k scenarios.AdversaryKind, by int) (scenarios.Adversary, bool) {
	a := scenarios.Adversary{Kind: k, By: []int{by}, Until: h.plan.Heal}
	if k != scenarios.AdversaryReplay {
		a.Every = h.between(200*time.Millisecond, 20*time.Second)
		a.Jitter = []float64{0, 0.5, 1}[h.IntN(3)]
	}
	if h.oneIn(3) {
		a.From = h.between(0, h.plan.Heal/2)
	}
	switch k {
	case scenarios.AdversaryReplay:
		a.Of, a.To = h.allPhones(), h.somePhones().Phones
		a.Chance = h.strength()
		if h.oneIn(4) { // at once
			break
		}
		a.After = scenarios.Distribution{Max: h.between(time.Millisecond, 4*time.Minute)}
		h.actionsAfterHeal = max(h.actionsAfterHeal, a.After.Max)
	case scenarios.AdversaryForge, scenarios.AdversaryFlood:
		a.To = h.somePhones().Phones
		if h.oneIn(4) {
			a.Every = h.between(10*time.Millisecond, 200*time.Millisecond)
			a.From = h.between(0, h.plan.Heal/2)
			a.Until = a.From + h.length(h.plan.Heal-a.From)
		}
	case scenarios.AdversaryGuess:
		a.Of = h.withAccount
	case scenarios.AdversaryUpload:
		if len(h.withAccount) == 0 {
			return a, false
		}
		a.By, a.Invented = []int{h.withAccount[h.IntN(len(h.withAccount))]}, h.oneIn(2)
	}
	return a, k != scenarios.AdversaryGuess || len(a.Of) > 0
}
