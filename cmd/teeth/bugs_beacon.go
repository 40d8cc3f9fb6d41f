package main

// beaconBugs are about what makes a beacon valid, and about times on the wire
// (PROTOCOL.md sections 1 and 3).
func beaconBugs() []bug {
	const beacon, tempID, localTime, zone = "protocol/beacon.go", "protocol/tempid.go", "protocol/localtime.go", "protocol/zone.go"
	return []bug{
		{name: "a beacon is valid a second before its start", file: beacon, by: "invalid-beacons",
			old: "if t < span.Start {", new: "if t < span.Start-1 {"},
		{name: "the start of a beacon is exclusive", file: beacon, by: "invalid-beacons",
			old: "if t < span.Start {", new: "if t <= span.Start {"},
		{name: "the expiry of a beacon is inclusive", file: beacon, by: "invalid-beacons",
			old: "if t >= span.Expiry {", new: "if t > span.Expiry {"},
		{name: "a beacon expires a second early", file: beacon, by: "invalid-beacons",
			old: "if t >= span.Expiry {", new: "if t >= span.Expiry-1 {"},
		{name: "the time of a verdict is rounded up to the second", file: beacon, by: "invalid-beacons",
			old: "t := floorSeconds(wall)", new: "t := floorSeconds(wall + 999_999_999)"},
		{name: "the version of a beacon is ignored", file: beacon, by: "invalid-beacons",
			old: "version && raw[versionAt] != Version", new: "version && raw[versionAt] == 0"},
		{name: "a beacon whose version never came is invalid", file: beacon, by: "invalid-beacons",
			old: "version && raw[versionAt] != Version", new: "(!version || raw[versionAt] != Version)"},
		{name: "a TempID may have letters", file: beacon, by: "invalid-beacons",
			old: "!allDigits((*[TempIDSize]byte)(&b.TempID))", new: "false"},
		{name: "a TempID may have a colon", file: tempID, by: "invalid-beacons",
			old: "w&high == zeros && (w+sixes)&high == zeros", new: "w&high == zeros && (w+sixes-0x0101010101010101)&high == zeros"},
		{name: "24:00:00 is a time", file: localTime, by: "invalid-beacons",
			old: "hour > 23", new: "hour > 24"},
		{name: "31 February is a day", file: localTime, by: "invalid-beacons",
			old: "day > 28 && day > monthDays(year, month)", new: "day > 31"},
		{name: "any separator will do in a time", file: localTime, by: "invalid-beacons",
			old: "x := word ^ pattern", new: "x := (word ^ pattern) & 0x0f_0f_00_0f_0f_00_0f_0f"},
		{name: "in a repeated hour the longest life is taken", file: zone, by: "daylight-saving",
			old: "life < bestLife ||", new: "life > bestLife ||"},
		{name: "in a repeated hour the earlier of equal lives is taken", file: zone, by: "daylight-saving",
			old: "&& this.Contains(wall)", new: "&& !this.Contains(this.Start*1_000_000_000)"},
		{name: "a time that clocks skipped is read as if they had not", file: zone, by: "daylight-saving",
			old: "u < p.from || u >= p.until", new: "u < p.from"},
	}
}

// assemblerBugs are about beacons in four datagrams (PROTOCOL.md section 3).
func assemblerBugs() []bug {
	const assembler = "protocol/assembler.go"
	return []bug{
		{name: "split beacons of all senders are mixed", file: assembler, by: "invalid-beacons",
			old: "r := a.known.find(from)", new: "r := a.known.all.oldest"},
		{name: "split beacons of two ports of one address are mixed", file: assembler, by: "invalid-beacons",
			old: "r := a.known.find(from)", new: "from.Port = 7; r := a.known.find(from)"},
		{name: "a beacon in one datagram is no beacon", file: assembler,
			old: "case len(p) == BeaconSize:", new: "case false:"},
		{name: "the version is awaited a nanosecond too long", file: assembler, by: "invalid-beacons",
			old: "250 * time.Millisecond", new: "250*time.Millisecond + 1"},
		{name: "the version is awaited a nanosecond too short", file: assembler, by: "invalid-beacons",
			old: "250 * time.Millisecond", new: "250*time.Millisecond - 1"},
		{name: "a begun beacon is forgotten a nanosecond late", file: assembler, by: "invalid-beacons",
			old: "first + ForgetAfter", new: "first + ForgetAfter + 1"},
		{name: "a begun beacon is forgotten a nanosecond early", file: assembler, by: "invalid-beacons",
			old: "first + ForgetAfter", new: "first + ForgetAfter - 1"},
		{name: "three parts are dropped when the next beacon starts", file: assembler, by: "invalid-beacons",
			old: "out = a.judge(r, out)\n\t\ta.known.renew", new: "a.known.renew"},
		{name: "a part out of turn is not reported", file: assembler, by: "invalid-beacons",
			old: "return append(out, Assembled{From: from, Broken: true, First: first})", new: "_ = first; return out"},
		{name: "every part out of turn is reported", file: assembler, by: "invalid-beacons",
			old: "case a.known.at(r).state == dropped:", new: "case false:"},
		{name: "after a part out of turn a sender is never heard again", file: assembler, by: "invalid-beacons",
			old: "a.known.renew(r, onePart)", new: "if a.known.at(r).state == dropped { return out }; a.known.renew(r, onePart)"},
	}
}
