package marks

import (
	"strconv"
	"strings"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/world"
)

// Judged looks at when and by whose clock a beacon was judged, and beside which.
func (t *watching) Judged(at int64, phone, sender uint32, e *nodes.PhoneEffect) {
	t.Watcher.Judged(at, phone, sender, e)
	if !e.OutOfTurn {
		t.seen.judged(at, phone, sender, e)
	}
}

const (
	startAt   = protocol.TempIDSize
	expiryAt  = startAt + protocol.TimeSize
	versionAt = expiryAt + protocol.TimeSize
	layout    = "02/01/2006 15:04:05"
)

func (s *Seen) judged(at int64, phone, sender uint32, e *nodes.PhoneEffect) {
	p := s.phone(phone)
	if e.At.Wall%int64(time.Second) == 0 {
		switch time.Unix(0, e.At.Wall).In(s.zone).Format(layout) {
		case string(e.Raw[expiryAt:versionAt]):
			s.mark(BeaconAtExpiry)
		case string(e.Raw[startAt:expiryAt]):
			s.mark(BeaconAtStart)
		}
	}
	first := at - int64(e.At.Elapsed-e.FirstPart)
	if p.sender != world.Nobody && p.sender != sender && first < p.last {
		s.mark(BeaconsInterleaved)
	}
	p.last, p.sender = at, sender
	if e.Err != nil {
		return
	}
	if !e.HasVersion {
		s.mark(BeaconWithoutVersion)
	}
	id := protocol.TempID(e.Raw[:protocol.TempIDSize])
	if p.kept[id] {
		s.mark(BeaconKeptTwice)
	}
	p.kept[id] = true
	p.received = at
	if p.clock != nil && !s.validByWorld(at, e) {
		s.mark(BeaconByOtherClock)
	}
}

// validByWorld says whether the beacon would be valid by the world's clock.
func (s *Seen) validByWorld(at int64, e *nodes.PhoneEffect) bool {
	start, err := time.ParseInLocation(layout, string(e.Raw[startAt:expiryAt]), s.zone)
	if err != nil {
		return true
	}
	expiry, err := time.ParseInLocation(layout, string(e.Raw[expiryAt:versionAt]), s.zone)
	now := time.Unix(0, s.start+at)
	return err != nil || !now.Before(start) && now.Before(expiry)
}

// ClockSet follows clocks.
func (t *watching) ClockSet(at int64, who uint32, elapsed time.Duration, wall int64, drift float64) {
	t.Watcher.ClockSet(at, who, elapsed, wall, drift)
	now := world.NodeClock{At: at, Elapsed: elapsed, Wall: wall, PPM: drift}
	if who != world.Nobody {
		t.seen.phone(who).clock = &now
		return
	}
	if t.seen.server.WallAt(at) != wall && t.seen.blocked(at) {
		t.seen.mark(BlockOverStep)
	}
	t.seen.server = now
}

// blocked says whether any account is.
func (s *Seen) blocked(at int64) bool {
	for _, since := range s.blocks {
		if at-since < int64(s.block) {
			return true
		}
	}
	return false
}

// Written follows what a phone's disk holds.
func (t *watching) Written(at int64, phone uint32, kept []nodes.StoredContact) {
	t.Watcher.Written(at, phone, kept)
	p := t.seen.phone(phone)
	p.durable, p.written = len(kept), at
}

// PhoneStopped follows the end of a phone's program.
func (t *watching) PhoneStopped(at int64, phone uint32) {
	t.Watcher.PhoneStopped(at, phone)
	p := t.seen.phone(phone)
	if p.received > p.written {
		t.seen.mark(LogPartlyLost)
	}
	if t.seen.broken[phone] || p.brokenAt == at {
		t.seen.mark(PhoneStoppedInUpload)
	}
	delete(t.seen.broken, phone)
}

// Stepped tells when an upload broke off.
func (t *watching) Stepped(at int64, phone uint32, log *nodes.ContactLog) {
	t.Watcher.Stepped(at, phone, log)
	if len(t.seen.broken) > 0 && t.seen.broken[phone] {
		t.seen.phone(phone).brokenAt = at
		delete(t.seen.broken, phone)
	}
}

// PhoneStarted follows the start of another.
func (t *watching) PhoneStarted(at int64, phone uint32, log *nodes.ContactLog) {
	t.Watcher.PhoneStarted(at, phone, log)
	p := t.seen.phone(phone)
	if log.Len() > 0 {
		t.seen.mark(EntryOutlivesRestart)
	}
	if log.Len() < p.durable {
		t.seen.mark(EntryExpiresWhileOff)
	}
	p.durable = log.Len()
}

// ServerSent follows blocks as the server tells of them.
func (t *watching) ServerSent(at int64, conn nodes.Conn, p []byte) {
	t.Watcher.ServerSent(at, conn, p)
	if string(p) == protocol.NowBlocked {
		t.seen.blocks[t.seen.names[conn]] = at
	}
}

// ServerRead follows the names.
func (t *watching) ServerRead(at int64, conn nodes.Conn, p []byte) {
	t.Watcher.ServerRead(at, conn, p)
	if t.seen.names[conn] == "" {
		t.seen.names[conn] = string(p)
	}
}

// Accepted follows a connection.
func (t *watching) Accepted(at int64, conn nodes.Conn) {
	t.Watcher.Accepted(at, conn)
	delete(t.seen.names, conn)
}

// StoreAsked and StoreDone follow the disk.
func (t *watching) StoreAsked(at int64, records []nodes.Record) {
	t.Watcher.StoreAsked(at, records)
	t.seen.saving++
}

// StoreDone follows what came of it.
func (t *watching) StoreDone(at int64, records []nodes.Record, err error) {
	t.Watcher.StoreDone(at, records, err)
	t.seen.saving--
	for i := range records {
		switch {
		case err == nil:
		case records[i].Kind == nodes.RecordIssue:
			t.seen.mark(IssueNotSaved)
		default:
			t.seen.mark(AttemptNotSaved)
		}
	}
}

// ServerStopped follows the end of the server's program.
func (t *watching) ServerStopped(at int64) {
	t.Watcher.ServerStopped(at)
	s := t.seen
	if s.saving > 0 {
		s.mark(KilledWhileSaving)
	}
	s.saving, s.downAt = 0, at
}

// ServerStarted follows the start of another.
func (t *watching) ServerStarted(at int64, resolve func(protocol.TempID) (nodes.Issue, bool)) {
	t.Watcher.ServerStarted(at, resolve)
	s := t.seen
	if s.blocked(at) {
		s.mark(BlockOverRestart)
	}
	for _, since := range s.blocks {
		if end := since + int64(s.block); end > s.downAt && end <= at {
			s.mark(BlockEndsWhileDown)
		}
	}
}

// ServerPrinted reads what the server tells of its files and of uploads.
func (t *watching) ServerPrinted(at int64, text string) {
	t.Watcher.ServerPrinted(at, text)
	s := t.seen
	switch {
	case strings.Contains(text, "was torn"):
		s.mark(TornLineFound)
	case strings.Contains(text, "came back from"):
		s.mark(AheadGivesBack)
	case strings.Contains(text, ": incomplete upload: no count"):
		s.mark(UploadWithoutCount)
	case strings.Contains(text, ": incomplete upload: "):
		s.cutUpload(text)
	}
}

// cutUpload tells at which of its lines an upload ended.
func (s *Seen) cutUpload(text string) {
	_, rest, _ := strings.Cut(text, ": incomplete upload: ")
	words := strings.Fields(rest) // N of M lines
	if len(words) < 3 {
		return
	}
	got, err1 := strconv.Atoi(words[0])
	want, err2 := strconv.Atoi(words[2])
	if err1 != nil || err2 != nil {
		return
	}
	s.mark([...]Mark{UploadCutAtTempID, UploadCutAtStart, UploadCutAtExpiry}[got%3])
	if got == want-1 {
		s.mark(UploadCutAtLastLine)
	}
}

// FaultInForce follows cuts.
func (t *watching) FaultInForce(at int64, kind world.FaultKind, begins bool) {
	t.Watcher.FaultInForce(at, kind, begins)
	s := t.seen
	if kind != world.Cut {
		return
	}
	if begins {
		if s.cuts++; s.cuts == 1 {
			s.cutAt = at
		}
		return
	}
	if s.cuts--; s.cuts > 0 {
		return
	}
	for _, since := range s.blocks {
		if end := since + int64(s.block); end > s.cutAt && end <= at {
			s.mark(BlockEndsDuringCut)
		}
	}
}

// Decided looks at what the server made of uploads and logins.
func (t *telling) Decided(phone uint32, raw bool, e *nodes.ServerEvent) {
	t.Story.Decided(phone, raw, e)
	switch {
	case e.Kind == nodes.EventUploadDone && e.Resolved < e.Entries:
		t.seen.mark(UploadOfForeign)
	case e.Kind == nodes.EventBlockBegan:
		t.seen.guessed[e.User] = guesser{phone, raw}
	case e.Kind == nodes.EventRefused && !raw && e.User != "":
		if by, ok := t.seen.guessed[e.User]; ok && by != (guesser{phone, raw}) {
			t.seen.mark(RefusedOwner)
		}
	}
}

// Done remembers whose upload broke off; what comes next says why.
func (t *telling) Done(phone uint32, e *nodes.PhoneEffect) {
	t.Story.Done(phone, e)
	if e.Op == nodes.OpUpload && e.Outcome == nodes.OutcomeConnectionLost {
		t.seen.broken[phone] = true
	}
}

// Applied hears of what faults did (sim.Options.Applied).
func (s *Seen) Applied(a world.Applied) {
	switch a.Kind {
	case world.Duplicate:
		s.mark(BeaconDoubled)
	case world.Reorder:
		s.mark(BeaconReordered)
	case world.Corrupt:
		s.mark(BeaconCorrupted)
	case world.Cut:
		if s.blocked(a.At) {
			s.mark(BlockDuringCut)
		}
	case world.Pause:
		if a.Who == world.Nobody {
			s.mark(ServerPaused)
		}
	case world.Crash:
		if a.Amount > 0 {
			s.mark(PartOfWriteLeft)
		}
	}
}
