package nodes

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"bluetrace/protocol"
)

func beaconNumber(i int) *protocol.Beacon {
	return &protocol.Beacon{
		TempID: protocol.TempID([]byte("1" + strconv.Itoa(1_000_000_000_000_000_000+i))),
		Start:  protocol.LocalTime(1_596_128_292 + i),
		Expiry: protocol.LocalTime(1_596_129_192 + i),
	}
}

// The ring behaves like a plain slice.
func TestContactLogIsAQueue(t *testing.T) {
	const retention = 50
	var log ContactLog
	var plain []Contact
	src := rand.New(rand.NewPCG(3, 4))
	for now := time.Duration(0); now < 5000; now++ {
		want := 0
		for len(plain) > 0 && plain[0].Received+retention <= now {
			plain = plain[1:]
			want++
		}
		equal(t, "expired", log.expire(now, retention), want)
		for range src.IntN(int(now%200)/20 + 1) {
			b := beaconNumber(src.IntN(1000))
			log.push(b, now)
			plain = append(plain, Contact{Beacon: *b, Received: now})
		}
		if log.Len() != len(plain) {
			t.Fatalf("at %d: %d entries, want %d", now, log.Len(), len(plain))
		}
		for i := range plain {
			if log.At(i) != plain[i] {
				t.Fatalf("at %d, entry %d: %v, want %v", now, i, log.At(i), plain[i])
			}
		}
	}
}

func TestContactLogMemory(t *testing.T) {
	equal(t, "bytes of an entry", unsafe.Sizeof(logEntry{}), 32)
	var log ContactLog
	for i := range 10_000 {
		log.push(beaconNumber(i), 0)
		if i > 100 && cap(log.ring)*32 > log.Len()*64 {
			t.Fatalf("%d entries hold %d bytes, above 64 each", log.Len(), cap(log.ring)*32)
		}
	}
	equal(t, "all go at once", log.expire(10, 10), 10_000)
	equal(t, "an empty log that was large holds", cap(log.ring), 0)
}

func TestContactLogKeepsEveryTime(t *testing.T) {
	for _, text := range []string{"01/01/0000 00:00:00", "31/12/1969 23:59:59", "29/02/2020 12:34:56",
		"31/12/9999 23:59:59"} {
		when, err := protocol.ParseTime([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, text, unpackTime(packTime(when)), when)
	}
}

func TestContactLogText(t *testing.T) {
	var log ContactLog
	equal(t, "empty", string(log.AppendText(nil)), "")
	log.push(beaconNumber(1), 5)
	log.push(beaconNumber(2), 5)
	equal(t, "two", string(log.AppendText(nil)), "11000000000000000001\n30/07/2020 16:58:13\n30/07/2020 17:13:13\n"+
		"11000000000000000002\n30/07/2020 16:58:14\n30/07/2020 17:13:14\n")
	defer func() { equal(t, "panic", recover(), any("contact log: entry 2 of 2")) }()
	log.At(2)
}

// A copy does not change with the original, and is used instead of it.
func TestContactLogCopy(t *testing.T) {
	var log, saved ContactLog
	for i := range 100 {
		log.push(beaconNumber(i), time.Duration(i))
	}
	log.expire(40, 10)
	saved.CopyFrom(&log)
	before := log.entries()
	equal(t, "entries", len(before), 69)
	log.expire(1000, 1)
	for i := range 200 {
		log.push(beaconNumber(1000+i), 1000)
	}
	equal(t, "the copy", slices.Equal(saved.entries(), before), true)
	equal(t, "its oldest entry leaves in time", saved.expire(41, 10), 1)
	saved.push(beaconNumber(7), 50)
	equal(t, "its newest entry", saved.At(68), Contact{Beacon: *beaconNumber(7), Received: 50})
	memory := &saved.ring[0]
	saved.CopyFrom(&ContactLog{})
	equal(t, "the copy of an empty log", saved.Len(), 0)
	_, any := saved.Oldest()
	equal(t, "has an oldest entry", any, false)
	log = ContactLog{}
	log.push(beaconNumber(8), 60)
	saved.CopyFrom(&log)
	equal(t, "the next copy", saved.At(0), Contact{Beacon: *beaconNumber(8), Received: 60})
	equal(t, "in the same memory", &saved.ring[0] == memory, true)
}
