package swarm

// GCPercent is how much garbage may come upon what lives, in percent, before
// it is collected (debug.SetGCPercent), for a program that does nothing but run a
// swarm: a run makes some 2 MB and is over.
const GCPercent = 400
