package dialect_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"bluetrace/protocol/dialect"
	"bluetrace/scenarios"
)

// TestRehearseEachDialect: in each dialect that is part of the program, a phone and a server get what they would get
// without translators, whole or in pieces of any length.
func TestRehearseEachDialect(t *testing.T) {
	for _, name := range scenarios.DialectNames() {
		t.Run(name, func(t *testing.T) {
			d, err := scenarios.LoadDialect(name)
			if err != nil {
				t.Fatal(err)
			}
			for seed := range uint64(100) {
				pieces := func(int) int { return 1 } // as Java's writeBytes
				switch random := rand.New(rand.NewPCG(seed, 1)); seed {
				case 0:
					pieces = nil
				case 1:
				default:
					pieces = func(n int) int { return 1 + random.IntN(n) }
				}
				wire, err := dialect.Rehearse(&d.Dialect, pieces)
				if err != nil {
					for _, m := range wire {
						t.Logf("from the phone: %v %q", m.FromPhone, m.Bytes)
					}
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		})
	}
}

// TestEntriesOfAnyText: an upload whose entries may be any text, and whose end is not marked, does not hang.
func TestEntriesOfAnyText(t *testing.T) {
	d, err := scenarios.ParseDialect("d.yaml", []byte("name: x\nlogin: [send: '{user}', pause: 1s, send: '{password}']\n"+
		"again: [send: '{password}']\noutcomes: {welcome: y, wrong: n}\nupload: [send: up, each: [send: '{*}']]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dialect.Rehearse(&d.Dialect, nil); err == nil || !strings.Contains(err.Error(), "without the upload of") {
		t.Error(err)
	}
}

// TestFlood: a server that sends without end, and no message, is not understood. Its bytes are not kept.
func TestFlood(t *testing.T) {
	d, err := scenarios.LoadDialect("lines")
	if err != nil {
		t.Fatal(err)
	}
	p := dialect.NewPhoneSide(&d.Dialect)
	var out dialect.Outbox
	p.Own(dialect.Now{}, []byte("user"), &out)
	p.Own(dialect.Now{}, []byte("password"), &out)
	for range 5 {
		p.Peer(dialect.Now{}, make([]byte, 1<<20), &out)
	}
	if n := len(out.Effects); n != 3 || out.Effects[1].Text != "more than 4 MiB without the end of a message" ||
		out.Effects[2].Kind != dialect.EndOwn {
		t.Errorf("%+v", out.Effects)
	}
}
