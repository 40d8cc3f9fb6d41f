package nodes

// TakeSession moves the session of another program of the same phone to this
// one, which must have none of its own: a person may start the program twice
// and go on with the second. The log and the TempID of p stay.
func (p *Phone) TakeSession(from *Phone) {
	p.stage, p.link = from.stage, from.link
	p.timer, p.timerAt = from.timer, from.timerAt
	p.session = from.session
	from.stage, from.link = StageOffline, linkNone
	from.timer, from.session = timerNone, nil
}
