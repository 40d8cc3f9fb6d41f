package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/scenarios"
	"bluetrace/sim/virtual"
)

// step is one step of the script under way.
type step struct {
	*scenarios.Step
	index   int
	program uint32 // the phone's program that does it
	stage   stepStage
	at      time.Duration // when it began
	moment  moment        // when it took effect
	waits   []*wait
	forge   rand.PCG
	toRead  int // bytes that the server must read before the step has taken effect
	result  stepResult
	because string // why it could not begin
}

type stepStage uint8

const (
	waiting stepStage = iota // for its moment
	began
	settled
)

// moment is when a step took effect.
type moment struct {
	at    time.Duration
	known bool
}

// stepResult is what a step came to.
type stepResult struct {
	entries, resolved int
	upload            bool
	delay             time.Duration
	answered          bool
	lost              bool // it ended without a decision of the server
}

// effectLimit is how long a step without a time limit of its own may take to
// have its effect before the script goes on.
const effectLimit = 10 * time.Second

// readScript prepares the steps, and moves the begin of the run before time
// zero when the first ones need it.
func (r *run) readScript() {
	s := r.scenario
	r.steps = make([]step, len(s.Script))
	for i := range s.Script {
		st := &r.steps[i]
		st.Step, st.index, st.program = &s.Script[i], i, uint32(s.Script[i].Phone)
		st.forge = virtual.Stream(s.Seed, fmt.Sprintf("step %d", i), "forged TempID")
		if !st.At.AfterPrevious && st.At.Moment == "" {
			r.begin = min(r.begin, st.At.Offset-r.lead(st))
		}
		for k := range st.Expect {
			st.waits = append(st.waits, newWait(st, &st.Expect[k]))
		}
	}
}

// lead is how long before its moment a step must begin: a login connects and
// sends its username one pause before the password.
func (r *run) lead(st *step) time.Duration {
	if st.Login == nil {
		return 0
	}
	return r.scenario.LoginLead(st.Phone)
}

func (r *run) pause(phone int) time.Duration {
	for _, g := range r.scenario.Phones {
		if phone -= g.Count; phone < 0 {
			return g.PasswordPause
		}
	}
	return 0
}

// watchScreens has the world show the screens that a step's expectations look
// at.
func (r *run) watchScreens(st *step) {
	for _, w := range st.waits {
		if len(w.expect.Prints) > 0 || w.expect.PrintsNothing {
			r.world.Watch(uint32(w.expect.Phone))
		}
	}
}

func (r *run) startScript() {
	r.world.Call(r.atLeast, r.stopWhenDone)
	for i := range r.steps {
		st := &r.steps[i]
		switch {
		case st.At.AfterPrevious && i == 0:
			r.schedule(st, 0)
		case st.At.AfterPrevious, st.At.Moment != "":
		default:
			r.schedule(st, st.At.Offset)
		}
	}
}

// schedule begins a step at its time, or what leads up to it before that.
func (r *run) schedule(st *step, at time.Duration) {
	if st.looksOnly() {
		r.world.CallLast(at, func() { r.beginStep(st) })
		return
	}
	if st.Login == nil {
		r.world.Call(at, func() { r.beginStep(st) })
		return
	}
	connect := at - r.lead(st)
	if st.At.AfterPrevious {
		connect = at
		at += r.lead(st)
	}
	if connect < r.world.Now() {
		r.refuse(st, fmt.Sprintf("a login begins %s before its moment, and that had passed", r.lead(st)))
		return
	}
	r.world.Call(connect, func() { r.connectFor(st, at) })
}

// connectFor opens the connection of a login, unless the phone's program
// already waits for another password.
func (r *run) connectFor(st *step, at time.Duration) {
	kind := st.Login.Kind
	again := r.world.Stage(st.program) == nodes.StageAtPassword && !r.phones[st.program].opening
	if !again || kind == "half" || kind == "unknown" || st.Login.User != "" {
		if !r.freeProgram(st) {
			r.refuse(st, "every program of this phone has a login under way")
			return
		}
		r.phones[st.program].opening = true
		r.world.Open(st.program)
		name := at - r.pause(st.Phone)
		if kind == "half" {
			name = at
		}
		r.world.Call(name, func() { r.world.Type(st.program, r.userFor(st)) })
	}
	r.world.Call(at, func() { r.beginStep(st) })
}

// freeProgram finds a program of the phone that has no login under way.
func (r *run) freeProgram(st *step) bool {
	if r.free(st.program) {
		return true
	}
	for _, s := range r.seconds {
		if s.phone == st.Phone && r.free(s.program) {
			st.program = s.program
			return true
		}
	}
	return false
}

func (r *run) free(program uint32) bool {
	return !r.phones[program].opening && r.world.Stage(program) != nodes.StageWaitingLogin
}

// userFor is the name that a login types.
func (r *run) userFor(st *step) string {
	switch {
	case st.Login.User != "":
		return st.Login.User
	case st.Login.Kind == "unknown":
		return "nobody-" + r.world.Name(uint32(st.Phone))
	}
	return r.accounts[st.Phone].user
}

// takeOver makes the second program of a phone its own, once it is welcomed.
func (r *run) takeOver(program uint32) {
	for _, s := range r.seconds {
		if s.program != program {
			continue
		}
		who := uint32(s.phone)
		if st := r.world.Stage(who); st != nodes.StageOffline && st != nodes.StageLoggedOut {
			return
		}
		r.world.TakeOver(who, program)
		for i := range r.steps {
			if r.steps[i].program == program {
				r.steps[i].program = who
			}
		}
	}
}

func (r *run) refuse(st *step, why string) {
	st.because = why
	st.at = r.world.Now()
	st.stage = began
	for _, w := range st.waits {
		w.fail(r, "the step could be done", why)
	}
	r.settle(st)
}

// beginStep carries a step out; its expectations look from now on.
func (r *run) beginStep(st *step) {
	st.stage, st.at = began, r.world.Now()
	r.active = append(r.active, st.waits...)
	for _, w := range st.waits {
		w.begin(r)
	}
	if why := r.act(st); why != "" {
		r.refuse(st, why)
		return
	}
	if st.looksOnly() {
		r.tookEffect(st)
	}
	if st.operation() == noOperation && (len(st.waits) == 0 || st.As != "") {
		r.world.Call(st.at+effectLimit, func() { r.settle(st) })
	}
	r.progress(st)
}

func (st *step) looksOnly() bool {
	return st.Login == nil && st.Password == nil && st.Do == nil && st.Forge == nil &&
		st.Datagrams == nil && st.TCP == nil && st.Restart == nil
}

// act does what the step says; it answers why it cannot.
func (r *run) act(st *step) string {
	who := uint32(st.Phone)
	switch {
	case st.Login != nil:
		return r.actLogin(st)
	case st.Password != nil:
		if !r.atPassword(st) {
			return fmt.Sprintf("%s waits for no password: it is %s", r.world.Name(who), r.world.Stage(who))
		}
		r.world.Type(st.program, r.passwordText(who, *st.Password))
	case st.Do != nil:
		return r.actCommand(st, who)
	case st.Forge != nil:
		r.actForge(st, who)
	case st.Datagrams != nil:
		r.actDatagrams(st, who)
	case st.TCP != nil:
		return r.actTCP(st, who)
	case st.Restart != nil:
		r.world.RestartServer(st.Restart.Down)
		r.tookEffect(st)
	}
	return ""
}

// atPassword finds the program of the phone that waits for a password: of
// several the one that was started last.
func (r *run) atPassword(st *step) bool {
	for _, s := range slices.Backward(r.seconds) {
		if s.phone == st.Phone && r.world.Stage(s.program) == nodes.StageAtPassword {
			st.program = s.program
			return true
		}
	}
	return r.world.Stage(st.program) == nodes.StageAtPassword
}

func (r *run) passwordText(who uint32, kind string) string {
	switch kind {
	case "right":
		return r.accounts[who].password
	case "wrong":
		return "not-" + r.accounts[who].password
	}
	return kind
}

func (r *run) actLogin(st *step) string {
	l := st.Login
	r.phones[st.program].opening = false
	if r.world.Stage(st.program) == nodes.StageOffline {
		return r.world.Name(st.program) + " has no connection to log in on: it was refused, or has ended"
	}
	switch {
	case l.Kind == "half":
		r.tookEffect(st)
	case l.Password != "":
		r.world.Type(st.program, l.Password)
	case l.Kind == "right":
		r.world.Type(st.program, r.passwordText(uint32(st.Phone), "right"))
	default:
		r.world.Type(st.program, r.passwordText(uint32(st.Phone), "wrong"))
	}
	return ""
}

func (r *run) actCommand(st *step, who uint32) string {
	c := st.Do
	switch c.Verb {
	case scenarios.VerbLogin:
		a := r.accounts[who]
		r.world.Open(who)
		r.world.Type(who, a.user)
		r.world.Type(who, a.password)
		return ""
	case scenarios.VerbBeacon:
		r.sendBeacons(who, c)
		return ""
	case scenarios.VerbType:
		for range c.Count {
			r.world.Type(who, c.Text)
		}
		r.tookEffect(st)
		return ""
	}
	stage := r.world.Stage(who)
	if stage != nodes.StageReady && stage != nodes.StageBusy {
		return fmt.Sprintf("%s is not at its prompt: it is %s", r.world.Name(who), stage)
	}
	if c.Verb == scenarios.VerbUpload {
		r.tookEffect(st) // the phone fixes at this moment what it uploads
	}
	for range c.Count {
		r.world.Type(who, string(c.Verb))
	}
	return ""
}

// actForge sends a beacon that is put together from the step's fields.
func (r *run) actForge(st *step, who uint32) {
	f := st.Forge
	var raw [protocol.BeaconSize]byte
	var b protocol.Beacon
	fields := [3]string{}
	if f.Copy >= 0 {
		b, _ = r.world.TempID(uint32(f.Copy))
		b.Encode(&raw)
		for i := range fields {
			fields[i] = string(protocol.Part(&raw, i))
		}
	} else {
		id := protocol.DrawTempID(&st.forge)
		fields[0] = id.String()
		fields[1] = r.wireTime(scenarios.WireTime{})
		fields[2] = r.wireTime(scenarios.WireTime{Offset: r.scenario.Server.TempIDLifetime})
	}
	if f.TempID != "" {
		fields[0] = f.TempID
	}
	if f.Start.Set {
		fields[1] = r.wireTime(f.Start)
	}
	if f.Expiry.Set {
		fields[2] = r.wireTime(f.Expiry)
	}
	parts := []string{fields[0], fields[1], fields[2], f.Version}
	for _, to := range f.To {
		r.announceForged(who, uint32(to), strings.Join(parts, ""))
		if f.Form == scenarios.FormSingle {
			r.world.SendDatagram(who, uint32(to), uint16(f.Port), []byte(strings.Join(parts, "")))
			continue
		}
		r.sendSpaced(who, uint32(to), f.Port, kept(parts, f.Omit), f.Gap)
	}
}

func (r *run) announceForged(who, to uint32, whole string) {
	var raw [protocol.BeaconSize]byte
	if copy(raw[:], whole) == len(raw) && len(whole) == len(raw) {
		r.world.AnnounceForged(who, to, &raw)
	}
}

func kept(parts []string, omit []int) []string {
	var left []string
	for i, p := range parts {
		gone := false
		for _, o := range omit {
			gone = gone || o == i+1
		}
		if !gone {
			left = append(left, p)
		}
	}
	return left
}

// sendSpaced sends datagrams one gap apart.
func (r *run) sendSpaced(who, to uint32, port int, texts []string, gap time.Duration) {
	for i, t := range texts {
		if i == 0 || gap == 0 {
			r.world.SendDatagram(who, to, uint16(port), []byte(t))
			continue
		}
		r.world.Call(r.world.Now()+time.Duration(i)*gap, func() {
			r.world.SendDatagram(who, to, uint16(port), []byte(t))
		})
	}
}

// wireTime is a time relative to now, cut to the second, or a text as it is.
func (r *run) wireTime(t scenarios.WireTime) string {
	if t.Text != "" {
		return t.Text
	}
	return r.world.Clock().Now().Add(t.Offset).Format(wireLayout)
}

const wireLayout = "02/01/2006 15:04:05"

func (r *run) actDatagrams(st *step, who uint32) {
	for _, to := range st.Datagrams.To {
		r.sendSpaced(who, uint32(to), st.Datagrams.Port, st.Datagrams.Send, st.Datagrams.Gap)
	}
}

// actTCP speaks to the server byte for byte.
func (r *run) actTCP(st *step, who uint32) string {
	t := st.TCP
	w := r.world
	if t.Connect {
		w.RawOpen(who)
	} else if !w.RawIsOpen(who) {
		return fmt.Sprintf("%s has no open connection for tcp: write connect: true first", w.Name(who))
	}
	for i, text := range t.Send {
		p := []byte(r.fill(who, text))
		st.toRead += len(p)
		last := i == len(t.Send)-1
		if i == 0 || t.Gap == 0 {
			w.RawSend(who, p)
			r.endTCP(st, who, last)
			continue
		}
		w.Call(w.Now()+time.Duration(i)*t.Gap, func() {
			if w.RawIsOpen(who) {
				w.RawSend(who, p)
				r.endTCP(st, who, last)
			}
		})
	}
	if len(t.Send) == 0 {
		r.endTCP(st, who, true)
		r.tookEffect(st)
	}
	return ""
}

func (r *run) endTCP(st *step, who uint32, last bool) {
	if last && (st.TCP.Close || st.TCP.Reset) {
		r.world.RawEnd(who, st.TCP.Reset)
	}
}

// fill puts a phone's own values into a text for the wire.
func (r *run) fill(who uint32, text string) string {
	a := r.accounts[who]
	id := ""
	if b, ok := r.world.TempID(who); ok {
		id = b.TempID.String()
	}
	return strings.NewReplacer("{user}", a.user, "{password}", a.password,
		"{wrong}", "not-"+a.password, "{tempid}", id).Replace(text)
}

// tookEffect fixes the moment of a step, and begins those that wait for it.
func (r *run) tookEffect(st *step) {
	if st.moment.known {
		return
	}
	now := r.world.Now()
	st.moment = moment{now, true}
	for _, w := range st.waits {
		w.lookAtEffect(r)
	}
	if st.As != "" {
		r.moments[st.As] = st.moment
		r.takeValues(st.As)
		for i := range r.steps {
			if next := &r.steps[i]; next.At.Moment == st.As && next.stage == waiting {
				r.schedule(next, now+next.At.Offset)
			}
		}
	}
	r.progress(st)
}

// progress settles a step when nothing of it is open.
func (r *run) progress(st *step) {
	if st.stage != began {
		return
	}
	for _, w := range st.waits {
		if !w.over {
			return
		}
	}
	if st.operation() != noOperation && !st.result.answered {
		return
	}
	if st.moment.known || st.result.lost || len(st.waits) > 0 && st.As == "" {
		r.settle(st)
	}
}

// settle ends a step: the one that stands after it without a time begins.
func (r *run) settle(st *step) {
	if st.stage == settled {
		return
	}
	for _, w := range st.waits {
		if !w.over {
			return
		}
	}
	st.stage = settled
	if next := st.index + 1; next < len(r.steps) && r.steps[next].At.AfterPrevious {
		r.schedule(&r.steps[next], r.world.Now())
	}
	r.stopWhenDone()
}

// stopWhenDone ends a run without a length when every step is settled, and
// what goes on beside the script is over.
func (r *run) stopWhenDone() {
	if r.length > 0 || r.world.Now() < r.atLeast {
		return
	}
	for i := range r.steps {
		if r.steps[i].stage != settled {
			return
		}
	}
	r.world.Stop()
}

// scriptDone: a phone's program is through with an operation.
func (r *run) scriptDone(phone uint32, e *nodes.PhoneEffect) {
	for i := range r.steps {
		st := &r.steps[i]
		if st.stage == waiting || st.program != phone || st.result.answered || st.operation() != e.Op {
			continue
		}
		st.result.answered = true
		st.result.delay = r.world.Now() - e.Began
		st.result.lost = e.Outcome == nodes.OutcomeNoAnswer || e.Outcome == nodes.OutcomeConnectionLost
		r.progress(st)
		break
	}
	if int(phone) >= len(r.accounts) && e.Op == nodes.OpLogin && e.Outcome == nodes.OutcomeOK {
		r.world.Call(r.world.Now(), func() { r.takeOver(phone) })
	}
}

const noOperation = nodes.Operation(255)

// operation is what the step has its phone's program do.
func (st *step) operation() nodes.Operation {
	switch {
	case st.Login != nil && st.Login.Kind != "half", st.Password != nil:
		return nodes.OpLogin
	case st.Do == nil:
		return noOperation
	}
	switch st.Do.Verb {
	case scenarios.VerbLogin:
		return nodes.OpLogin
	case scenarios.VerbDownload:
		return nodes.OpDownload
	case scenarios.VerbUpload:
		return nodes.OpUpload
	case scenarios.VerbLogout:
		return nodes.OpLogout
	}
	return noOperation
}

// Decided: the server decided something about a session of the phone.
func (r *run) Decided(phone uint32, raw bool, e *nodes.ServerEvent) {
	if len(r.steps) == 0 {
		return
	}
	for i := range r.steps {
		st := &r.steps[i]
		if st.stage != began || st.program != phone || raw != (st.TCP != nil) {
			continue
		}
		if e.Kind == nodes.EventUploadDone && !st.result.upload && (raw || st.operation() == nodes.OpUpload) {
			st.result.upload, st.result.entries, st.result.resolved = true, e.Entries, e.Resolved
			for _, w := range st.waits {
				w.uploaded(r)
			}
			r.progress(st)
		}
		if !raw && decides(e.Kind, st.operation()) {
			r.tookEffect(st)
		}
	}
}

func decides(k nodes.ServerEventKind, op nodes.Operation) bool {
	switch k {
	case nodes.EventLoggedIn, nodes.EventWrongPassword, nodes.EventBlockBegan, nodes.EventRefused:
		return op == nodes.OpLogin
	case nodes.EventIssued:
		return op == nodes.OpDownload
	case nodes.EventSessionEnded:
		return op == nodes.OpLogout
	}
	return false
}

// Read: the server has read bytes of the phone.
func (r *run) Read(phone uint32, raw bool, n int) {
	if !raw {
		return
	}
	for i := range r.steps {
		st := &r.steps[i]
		if st.stage != began || st.TCP == nil || st.Phone != int(phone) || st.toRead == 0 {
			continue
		}
		if st.toRead -= min(n, st.toRead); st.toRead == 0 {
			r.tookEffect(st)
		}
		return
	}
}

// Judged: a receiver gave its verdict. It is that of the sender's last step
// before the sending; when that is not known, of its first that waits for one.
func (r *run) Judged(phone, sender uint32, sent time.Duration, _ *nodes.PhoneEffect) {
	var found *step
	for i := range r.steps {
		st := &r.steps[i]
		if st.stage != began || st.moment.known || st.Phone != int(sender) || !st.reaches(int(phone)) {
			continue
		}
		if found == nil || st.at <= sent && st.at >= found.at {
			found = st
		}
	}
	if found != nil {
		r.tookEffect(found)
	}
}

// reaches says whether the step sends something to the phone.
func (st *step) reaches(phone int) bool {
	var to []int
	switch {
	case st.Do != nil && st.Do.Verb == scenarios.VerbBeacon:
		if st.Do.Contacts {
			return true
		}
		to = st.Do.To
	case st.Forge != nil:
		to = st.Forge.To
	case st.Datagrams != nil:
		to = st.Datagrams.To
	}
	for _, t := range to {
		if t == phone {
			return true
		}
	}
	return false
}
