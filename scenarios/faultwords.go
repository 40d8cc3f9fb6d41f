package scenarios

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// faultForm says which keys stand beside that of a kind.
type faultForm struct {
	kind FaultKind
	doc  string
	is   *shape
	keys []string
}

// faultKinds are the kinds in the order in which messages and the page list
// them. What all have is in everyFault.
func faultKinds() []faultForm {
	way := []string{"from", "to"}
	some := []string{"skip", "count"}
	with := func(keys ...[]string) (all []string) {
		for _, k := range keys {
			all = append(all, k...)
		}
		return all
	}
	chance := []string{"chance"}
	return []faultForm{
		{FaultLose, "The share of datagrams that is lost.", percentWord(), with(way, some)},
		{FaultDelay, "Datagrams, or what streams carry, come later by so much; of a slow disk, how much later it answers.", delayWord(), with(way, []string{"transport"}, chance, some)},
		{FaultDuplicate, "The share of datagrams that come twice.", percentWord(), with(way, some)},
		{FaultReorder, "The share of datagrams that come later, behind others.", percentWord(), with(way, []string{"by"}, some)},
		{FaultCorrupt, "The share of datagrams of which a byte is changed.", percentWord(), with(way, []string{"byte"}, some)},
		{FaultTruncate, "The share of datagrams that are cut short.", percentWord(), with(way, []string{"left"}, some)},
		{FaultCut, "Who is cut off, from everybody and the server.", nodesWord(), with([]string{"from", "one_way"}, chance)},
		{FaultSlow, "A link that carries so many bytes a second.", bytesOf("a number of bytes a second, 1 to 1000000000", 1_000_000_000), with(way, []string{"room", "transport"}, chance)},
		{FaultPieces, "What a stream carries comes in pieces of at most so many bytes.", bytesOf("a number of bytes, 1 to 1024", 1024), with([]string{"of"}, chance, some)},
		{FaultJoin, "A stream is read only so long after its first unread byte came.", someDelayWord(), with([]string{"of"}, chance, some)},
		{FaultReset, "Whose connections break; once, or each time that something is sent while `for` lasts.", nodesWord(), with(chance, some)},
		{FaultHalfClose, "Whose connections end in the one way: it sends no more.", nodesWord(), chance},
		{FaultStall, "Who does not read its connections.", nodesWord(), chance},
		{FaultRefuse, "Whose new connections are refused.", nodesWord(), with(chance, some)},
		{FaultTimeOut, "Whose new connections get no answer.", nodesWord(), with(chance, some)},
		{FaultCrash, "Who loses its memory, and starts again when `for` is over.", nodesWord(), with([]string{"unsynced"}, chance)},
		{FaultSwitchOff, "Which phone is switched off, its log on its disk.", phonesWord(), chance},
		{FaultPause, "Who does nothing; what comes to it waits.", nodesWord(), chance},
		{FaultLeave, "Which phone is out of everybody's reach.", phonesWord(), chance},
		{FaultDisk, "Whose disk.", nodesWord(), with([]string{"is", "delay"}, chance, some)},
		{FaultClock, "Whose clock.", nodesWord(), with([]string{"offset", "step", "drift"}, chance)},
	}
}

func kindsOfFaults() []string {
	var names []string
	for _, k := range faultKinds() {
		names = append(names, string(k.kind))
	}
	return names
}

// everyFault are the keys that stand beside every kind.
func everyFault() []string { return []string{"at", "for", "every", "until"} }

func faultShape() *shape {
	var fields []field
	var kinds []kindKey
	for _, k := range faultKinds() {
		fields = append(fields, field{name: string(k.kind), doc: k.doc, is: k.is})
		kinds = append(kinds, kindKey{string(k.kind), k.keys})
	}
	return &shape{def: "fault", doc: "a fault such as {lose: 30%, from: pupil, at: 10m, for: 5m}", mapping: &mapping{other: faultWords(), kinds: kinds, besideAll: everyFault(), fields: append(fields,
		field{name: "at", doc: "When it begins, from the start of the run; of a step's fault, from the step.", is: durationWord(), def: "0s"},
		field{name: "for", doc: "How long it is in force; without it: to the end of the run.", is: positiveWord()},
		field{name: "every", doc: "Again and again, so far apart.", is: positiveWord()},
		field{name: "until", doc: "From when on it does not begin again.", is: positiveWord()},
		field{name: "chance", doc: "That it happens: to one datagram, piece of a stream, connection or disk operation; of a kind that happens to nodes, to each of them.", is: percentWord(), def: "100%"},
		field{name: "skip", doc: "The first so many are spared, each time that it is in force.", is: whole("a whole number, 1 to 1000000000", 1, 1_000_000_000)},
		field{name: "count", doc: "It happens so many times at most, each time that it is in force.", is: whole("a whole number, 1 to 1000000000", 1, 1_000_000_000)},
		field{name: "from", doc: "Whose sends; of a cut, from whom.", is: nodesWord()},
		field{name: "to", doc: "To whom.", is: nodesWord()},
		field{name: "transport", doc: "udp: datagrams; tcp: streams.", is: oneOf("", "udp", "tcp"), def: "udp"},
		field{name: "by", doc: "How much later a reordered datagram comes.", is: someDelayWord()},
		field{name: "byte", doc: "Which byte is changed, from 1; drawn unless written.", is: bytesOf("the place of a byte, 1 to 65507", maxDatagram)},
		field{name: "left", doc: "How many bytes are left; drawn unless written.", is: whole("a number of bytes, 0 to 65506", 0, maxDatagram-1)},
		field{name: "one_way", doc: "out: only what it sends is lost; in: only what comes to it.", is: oneOf("", "out", "in")},
		field{name: "room", doc: "How many bytes wait; a datagram for which there is no room is lost. Without it: no limit.", is: bytesOf("a number of bytes, 1 to 1000000000", 1_000_000_000)},
		field{name: "of", doc: "Who sends what comes in pieces, or reads what is joined; everybody unless written.", is: nodesWord()},
		field{name: "unsynced", doc: "What becomes of what the disk was not told to sync.", is: oneOf("", "lost", "kept", "torn"), def: "lost"},
		field{name: "is", doc: "What the disk is.", is: alsoSaid(diskWords(), oneOf("", "full", "slow", "failing", "fsync"))},
		field{name: "offset", doc: "So much is the clock fast (or slow, below zero), from the start on.", is: signedWord()},
		field{name: "step", doc: "The clock is put forward by so much (or back, below zero).", is: steppedWord()},
		field{name: "drift", doc: "By how many ppm (parts per million) the clock runs too fast (or too slow, below zero), for the whole run.", is: driftWord()},
	)}}
}

// serverWord stands for the server where nodes are named.
const serverWord = "server"

// nodesWord names phones, the server, or both.
func nodesWord() *shape {
	s := orList("`server`, phones (a name, a group, a pattern such as pupil-*), or a list of these", phoneWord())
	s.def = "nodes"
	return s
}

func bytesOf(doc string, most uint64) *shape { return whole(doc, 1, most) }

// someDelayWord is a delay that can be above zero.
func someDelayWord() *shape {
	s := delayWord()
	s.def, s.doc = "", "a delay above zero such as 50ms, a range such as 5ms..50ms, or `exp 5ms`"
	s.scalar.parse = func(t string) (any, error) {
		d, err := parseDelay(t)
		if err == nil && d.Longest() == 0 {
			err = errors.New("it is zero")
		}
		return d, err
	}
	return s
}

func signedWord() *shape {
	return formed("signed", "a duration such as 2m or -1h", `^[+-]?`+unsignedPattern+`$`,
		func(t string) (any, error) { return boxed(parseDuration(t)) })
}

// steppedWord is a step of a clock.
func steppedWord() *shape {
	s := signedWord()
	s.def = ""
	s.scalar.parse = func(t string) (any, error) {
		d, err := parseDuration(t)
		if err == nil && d == 0 {
			err = errors.New("it is zero")
		}
		return d, err
	}
	return s
}

// maxDrift is how wrong a clock's pace may be, in ppm.
const maxDrift = 1000

func driftWord() *shape {
	doc := fmt.Sprintf("a number of ppm (parts per million), -%d to %d", maxDrift, maxDrift)
	return &shape{doc: doc, scalar: &scalar{accepts: acceptsReal, bounds: &bounds{-maxDrift, maxDrift}, parse: func(t string) (any, error) {
		n, err := strconv.ParseFloat(strings.TrimPrefix(t, "+"), 64)
		if err != nil || math.IsNaN(n) {
			return nil, errExpected
		}
		if math.Abs(n) > maxDrift {
			return nil, fmt.Errorf("that is %s s a day, and no clock is so far out", strconv.FormatFloat(math.Abs(n)*86400e-6, 'f', 0, 64))
		}
		return n, nil
	}}}
}

// happens says of a fault that is instant what happens.
func (f *Fault) happens() string {
	if f.Kind == FaultClock {
		return "`step` happens"
	}
	return "`" + string(f.Kind) + "` happens"
}
