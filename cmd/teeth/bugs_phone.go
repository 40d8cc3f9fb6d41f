package main

// logBugs are about the contact log (PROTOCOL.md sections 1 and 3).
func logBugs() []bug {
	const phone, contactLog = "nodes/phone.go", "nodes/contactlog.go"
	retention := func(name, change string) bug {
		return bug{name: name, file: phone, by: "expiry",
			old: "*p = Phone{settings: s}", new: "t := *s; t.Retention " + change + "; *p = Phone{settings: &t}"}
	}
	return []bug{
		retention("an entry stays 179 s", "-= 1e9"),
		retention("an entry stays 181 s", "+= 1e9"),
		retention("an entry goes a nanosecond early", "-= 1"),
		retention("an entry goes a nanosecond late", "+= 1"),
		{name: "an expiring entry takes others of its TempID with it", file: contactLog, by: "expiry",
			old: "now-time.Duration(l.oldest) >= retention {",
			new: "(now-time.Duration(l.oldest) >= retention || gone > 0 && l.ring[l.head].id == l.ring[(int(l.head)+len(l.ring)-1)%len(l.ring)].id) {"},
		{name: "a TempID received twice is one entry", file: phone, by: "expiry",
			old: "p.log.push(&b, now.Elapsed)",
			new: "if n := p.log.Len(); n == 0 || p.log.At(n-1).TempID != b.TempID { p.log.push(&b, now.Elapsed) }"},
		{name: "an entry is as old as the first part of its beacon", file: phone,
			old: "p.log.push(&b, now.Elapsed)", new: "p.log.push(&b, a.FirstPart)"},
		{name: "a beacon is judged by the time of its first part", file: phone,
			old: "p.settings.Zone, now.Wall)", new: "p.settings.Zone, now.Wall-int64(now.Elapsed-a.FirstPart))"},
		{name: "an invalid beacon is kept", file: phone, by: "invalid-beacons",
			old: "e.Err = err\n\t\t\tcontinue", new: "e.Err = err"},
		{name: "a beacon whose version never came is not kept", file: phone, by: "invalid-beacons",
			old: "p.log.push(&b, now.Elapsed)", new: "if a.HasVersion { p.log.push(&b, now.Elapsed) }"},
	}
}

// phoneBugs are about the phone's prompt and session (PROTOCOL.md sections 2
// and 4).
func phoneBugs() []bug {
	const phone, commands, login, upload = "nodes/phone.go", "nodes/phone_commands.go", "nodes/phone_login.go", "nodes/phone_upload.go"
	return []bug{
		{name: "log out stops the receiving of beacons", file: phone, by: "logout",
			old: "out.assembled = p.assembler.Datagram(", new: "if p.stage == StageLoggedOut { return }; out.assembled = p.assembler.Datagram("},
		{name: "log out empties the contact log", file: commands, by: "logout",
			old: "p.stage = StageLoggedOut", new: "p.stage = StageLoggedOut; p.log = ContactLog{}"},
		{name: "what is typed after log out is answered", file: commands, by: "logout",
			old: "case p.stage == StageLoggedOut:", new: "case p.settings == nil:"},
		{name: "an upload takes the log when the server answers", file: upload, by: "uploads",
			old: "lines := 3 * len(u.entries)",
			new: "if u.sent == 0 { u.entries = u.entries[:0]; for i := range p.log.Len() { u.entries = append(u.entries, p.log.At(i)) } }; lines := 3 * len(u.entries)"},
		{name: "an upload announces entries instead of lines", file: upload, by: "uploads",
			old: "strconv.Itoa(lines)", new: "strconv.Itoa(len(u.entries))"},
		{name: "an upload gives the expiry for the start", file: upload, by: "uploads",
			old: "return c.Start.String()", new: "return c.Expiry.String()"},
		{name: "a beacon lives a minute too long", file: commands, by: "tempids",
			old: "Local(start + int64(", new: "Local(start + 60 + int64("},
		{name: "a beacon starts a second late", file: commands, by: "tempids",
			old: "start := now.Unix()", new: "start := now.Unix() + 1"},
		{name: "a phone refuses to send an expired beacon", file: phone, by: "tempids",
			old: "p.sendBeacon(to, out)",
			new: "if b, ok := p.TempID(); ok && b.Expiry <= p.settings.Zone.Local(now.Unix()) { out.print(textNoTempID); return }; p.sendBeacon(to, out)"},
		{name: "a beacon without a TempID is called malformed", file: phone,
			old: "out.print(textNoTempID)", new: "out.print(textBadBeacon)"},
		{name: "a beacon may go to port 0", file: commands, by: "tempids",
			old: "err != nil || port == 0", new: "err != nil"},
		{name: "a beacon may go to port 65536", file: commands, by: "tempids",
			old: "strconv.ParseUint(words[2], 10, 16)", new: "strconv.ParseUint(words[2], 10, 32)"},
		{name: "a phone that is told to send one datagram sends four", file: phone,
			old: "to, p.settings.Form, p.raw", new: "to, protocol.Split, p.raw"},
		{name: "the password follows the username without a pause", file: login, by: "held-back",
			old: "later(s.nameAt, p.pause())", new: "later(s.nameAt, 0)"},
		{name: "a phone does not connect a second time", file: login, by: "held-back",
			old: "if s.retried {", new: "if s.passwordSent {"},
	}
}
