package dialect_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
	"bluetrace/protocol/dialect"
	"bluetrace/scenarios"
)

// talk is a conversation of a phone and a server that speak the seed, over two translators. The network delivers the
// bytes of the peers in random pieces.
type talk struct {
	t        *testing.T
	d        *dialect.Dialect
	random   *rand.Rand
	now      dialect.Now
	phone    *dialect.PhoneSide
	server   *dialect.ServerSide
	issued   *dialect.Issued
	up       [][]byte // writes on the way to the server
	down     []byte   // bytes on the way to the phone
	wire     []string
	answers  []string // that the phone gets
	tried    []string // outcomes at the phone
	wrong    int      // of the server
	requests []string // that the server gets
	lines    int
	atLines  bool
	user     string
	ended    bool
}

func newTalk(t *testing.T, d *dialect.Dialect, seed uint64) *talk {
	k := &talk{
		t: t, d: d, random: rand.New(rand.NewPCG(seed, 1)), issued: dialect.NewIssued(),
		now: dialect.Now{Wall: time.Date(2020, 7, 30, 16, 58, 12, 0, time.UTC)},
	}
	k.dial()
	return k
}

func (k *talk) dial() {
	k.up, k.down, k.user = nil, nil, ""
	k.server = dialect.NewServerSide(k.d, k.issued)
	var out dialect.Outbox
	k.server.Open(k.now, &out)
	k.carryServer(&out)
}

// says gives the phone's translator a write of the phone, and runs the conversation until nothing is on its way.
func (k *talk) says(text string) {
	var out dialect.Outbox
	k.phone.Own(k.now, []byte(text), &out)
	k.carryPhone(&out)
	k.run()
}

func (k *talk) run() {
	for range 100_000 {
		var out dialect.Outbox
		switch {
		case len(k.up) > 0 && (len(k.down) == 0 || k.random.IntN(2) == 0):
			b := k.up[0]
			k.up = k.up[1:]
			if kind := k.d.Client.Kind; kind != dialect.Raw && kind != dialect.Bar {
				n := 1 + k.random.IntN(len(b))
				if n < len(b) {
					k.up = slices.Insert(k.up, 0, b[n:])
				}
				b = b[:n]
			}
			k.server.Peer(k.now, b, &out)
			k.carryServer(&out)
		case len(k.down) > 0:
			n := 1 + k.random.IntN(len(k.down))
			b := k.down[:n]
			k.down = k.down[n:]
			k.phone.Peer(k.now, b, &out)
			k.carryPhone(&out)
		default:
			p, okP := k.phone.NextWake()
			s, okS := k.server.NextWake()
			if !okP && !okS {
				return
			}
			at := max(p, s)
			if okP && okS {
				at = min(p, s)
			} else if okP {
				at = p
			} else {
				at = s
			}
			k.now.Wall = k.now.Wall.Add(max(0, at-k.now.Elapsed))
			k.now.Elapsed = max(at, k.now.Elapsed)
			if okP && p <= k.now.Elapsed {
				k.phone.Wake(k.now, &out)
				k.carryPhone(&out)
			} else {
				k.server.Wake(k.now, &out)
				k.carryServer(&out)
			}
		}
	}
	k.t.Fatalf("the conversation does not end: %q", k.wire)
}

func (k *talk) carryPhone(out *dialect.Outbox) {
	for _, e := range out.Effects {
		switch e.Kind {
		case dialect.ToPeer:
			k.wire = append(k.wire, "> "+string(e.Bytes))
			k.up = append(k.up, e.Bytes)
		case dialect.ToOwn:
			k.answers = append(k.answers, string(e.Bytes))
		case dialect.Redial:
			k.dial()
		case dialect.EndOwn:
			k.ended = true
		case dialect.Attempted:
			k.tried = append(k.tried, e.Outcome.String())
		case dialect.Misunderstood:
			k.t.Fatalf("the phone's side: %s\n%s", e.Text, strings.Join(k.wire, "\n"))
		}
	}
}

func (k *talk) carryServer(out *dialect.Outbox) {
	for _, e := range out.Effects {
		switch e.Kind {
		case dialect.ToPeer:
			k.wire = append(k.wire, "< "+string(e.Bytes))
			k.down = append(k.down, e.Bytes...)
		case dialect.ToOwn:
			if a := k.answer(string(e.Bytes)); a != "" {
				var next dialect.Outbox
				k.server.Own(k.now, []byte(a), &next)
				k.carryServer(&next)
			}
		case dialect.Misunderstood:
			k.t.Fatalf("the server's side: %s\n%s", e.Text, strings.Join(k.wire, "\n"))
		}
	}
}

// answer is the server: one account, of which the password is "right".
func (k *talk) answer(request string) string {
	k.requests = append(k.requests, request)
	switch {
	case k.user == "":
		k.user = request
		return ""
	case request == "wrong":
		k.wrong++
		if k.wrong == 3 {
			return protocol.NowBlocked
		}
		return protocol.TryAgain
	case k.wrong >= 3:
		return protocol.IsBlocked
	case request == "right":
		k.wrong = 0
		return protocol.Welcome
	case request == protocol.CommandDownload:
		return fmt.Sprintf("1234567890123456%04d", len(k.requests))
	case request == protocol.CommandUpload:
		return protocol.Ack
	case request == protocol.CommandLogout:
		return ""
	}
	return protocol.Ack
}

// TestConversations has a phone and a server of the seed speak through each dialect: both get what they would get
// without translators.
func TestConversations(t *testing.T) {
	lines := []string{
		"12345678901234567890", "30/07/2020 16:50:00", "30/07/2020 17:05:00",
		"22345678901234567890", "30/07/2020 16:51:01", "30/07/2020 17:06:01",
	}
	for _, name := range scenarios.DialectNames() {
		d, err := scenarios.LoadDialect(name)
		if err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(200) {
			k := newTalk(t, &d.Dialect, seed)
			k.phone = dialect.NewPhoneSide(k.d)
			for _, text := range []string{"user", "wrong", "wrong", "right", protocol.CommandDownload, protocol.CommandUpload, "6"} {
				k.says(text)
			}
			for _, line := range lines {
				k.says(line)
			}
			k.says(protocol.CommandUpload)
			k.says("0")
			k.says(protocol.CommandDownload)
			k.says(protocol.CommandLogout)
			want := []string{"wrong", "wrong", "welcome"}
			if !slices.Equal(k.tried, want) {
				t.Fatalf("%s, seed %d: outcomes %q, want %q\n%s", name, seed, k.tried, want, strings.Join(k.wire, "\n"))
			}
			got := strings.Join(k.requests, "|")
			for _, part := range []string{
				"right|Download_tempID|Upload_contact_log|" + strconv.Itoa(len(lines)) + "|" + strings.Join(lines, "|"),
				"|log out",
			} {
				if !strings.Contains(got, part) {
					t.Fatalf("%s, seed %d: the server gets %q, not %q\n%s", name, seed, got, part, strings.Join(k.wire, "\n"))
				}
			}
			if a := k.answers[3]; !strings.HasPrefix(a, "1234567890123456") {
				t.Fatalf("%s: the answers %q", name, k.answers)
			}
			if n := len(k.answers); n != 3+1+8+2+1 {
				t.Fatalf("%s, seed %d: %d answers: %q\n%s", name, seed, n, k.answers, strings.Join(k.wire, "\n"))
			}
			// A block, and an attempt during it.
			k = newTalk(t, &d.Dialect, seed)
			k.phone = dialect.NewPhoneSide(k.d)
			for _, text := range []string{"user", "wrong", "wrong", "wrong"} {
				k.says(text)
			}
			k.dial()
			k.phone = dialect.NewPhoneSide(k.d)
			k.says("user")
			k.says("right")
			if want := []string{"wrong", "wrong", "now blocked", "blocked"}; !slices.Equal(k.tried, want) {
				t.Fatalf("%s, seed %d: outcomes %q, want %q\n%s", name, seed, k.tried, want, strings.Join(k.wire, "\n"))
			}
		}
	}
}
