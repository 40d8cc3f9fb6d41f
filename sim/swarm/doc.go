// Package swarm looks for failures that nobody scripted: of one scenario it makes
// many, each with faults, adversaries, sizes and timings drawn from a seed, runs
// them in virtual time, and says what failed, how often, and how to see it again.
//
// A drawn run has two phases. Until Plan.Heal faults and adversaries are at work
// and only the invariants must hold (safety). Then everything heals, and within a
// bound everybody with an account must be able to log in, download a TempID, be
// heard, and upload (liveness).
package swarm
