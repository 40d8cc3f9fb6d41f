package socket

import (
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"golang.org/x/net/ipv4"

	"bluetrace/nodes"
)

// BenchmarkReceive measures the beacons that a phone receives over one UDP socket,
// judges and keeps in memory, without loss. The yardstick, in turns with it, is a
// loop that only reads the same datagrams in batches. Both senders write in
// batches, and never have more datagrams in flight than the receive buffer holds.
// The metric "ratio" is the phone's rate in datagrams divided by the loop's.
func BenchmarkReceive(b *testing.B) {
	now := time.Now().UTC()
	const layout = "02/01/2006 15:04:05"
	whole := someTempID + now.Format(layout) + now.Add(15*time.Minute).Format(layout) + "1"
	for _, form := range []struct {
		name  string
		parts []string
	}{{"single", []string{whole}}, {"split", split(whole)}} {
		b.Run(form.name, func(b *testing.B) { benchmarkReceive(b, form.parts) })
	}
}

// turnOf is the number of beacons between two turns of the yardstick.
const turnOf = 50_000

func benchmarkReceive(b *testing.B, parts []string) {
	var kept atomic.Int64
	p, bare := startReceiver(b, &kept), newBareLoop(b)
	toPhone, toBare := newFlood(b, p.Address(), parts), newFlood(b, bare.address(), parts)
	var phoneTime, bareTime time.Duration
	b.ResetTimer()
	for done := 0; done < b.N; done += turnOf {
		n := min(turnOf, b.N-done)
		began := time.Now()
		toPhone.send(n, func() int64 { return kept.Load() * int64(len(parts)) })
		phoneTime += time.Since(began)
		b.StopTimer()
		began = time.Now()
		toBare.send(n, bare.got.Load)
		bareTime += time.Since(began)
		b.StartTimer()
	}
	b.StopTimer()
	expect(b, "beacons kept", kept.Load(), int64(b.N))
	b.ReportMetric(float64(b.N)/phoneTime.Seconds(), "beacons/s")
	b.ReportMetric(float64(b.N*len(parts))/bareTime.Seconds(), "bare-datagrams/s")
	b.ReportMetric(bareTime.Seconds()/phoneTime.Seconds(), "ratio")
}

// startReceiver starts a phone that counts the entries of its log.
func startReceiver(b *testing.B, kept *atomic.Int64) *Phone {
	settings := nodes.DefaultPhoneSettings()
	p, err := NewPhone(PhoneConfig{Settings: &settings, UDP: loopbackUDP(b), Clock: clock.New(), Origin: time.Now(),
		Lock: &sync.Mutex{}, Observer: &keptCounter{kept: kept}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close() })
	return p
}

type keptCounter struct {
	phoneWatch
	kept *atomic.Int64
}

func (k *keptCounter) Effect(nodes.Now, *nodes.PhoneEffect)       { /* nobody looks */ }
func (k *keptCounter) Datagram(nodes.Now, netip.AddrPort, []byte) { /* nobody looks */ }
func (k *keptCounter) Stepped(_ nodes.Now, log *nodes.ContactLog) { k.kept.Store(int64(log.Len())) }
func (k *keptCounter) Connected(nodes.Now, netip.AddrPort)        { /* never */ }

// bareLoop reads batches and counts the datagrams.
type bareLoop struct {
	conn *net.UDPConn
	got  atomic.Int64
}

func newBareLoop(b *testing.B) *bareLoop {
	l := &bareLoop{conn: loopbackUDP(b)}
	if err := l.conn.SetReadBuffer(receiveBuffer); err != nil {
		b.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		messages, c := messagesOf(make([]string, batchSize)), ipv4.NewPacketConn(l.conn)
		for {
			n, err := c.ReadBatch(messages, 0)
			if err != nil {
				return
			}
			l.got.Add(int64(n))
		}
	}()
	b.Cleanup(func() {
		l.conn.Close()
		<-ended
	})
	return l
}

func (l *bareLoop) address() netip.AddrPort { return l.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// messagesOf returns one message for each text, with a large buffer for an empty
// one.
func messagesOf(texts []string) []ipv4.Message {
	messages := make([]ipv4.Message, len(texts))
	for i := range messages {
		body := []byte(texts[i])
		if len(body) == 0 {
			body = make([]byte, MaxDatagram)
		}
		messages[i].Buffers = [][]byte{body}
	}
	return messages
}

// flood sends the same beacon repeatedly.
type flood struct {
	conn     *ipv4.PacketConn
	messages []ipv4.Message
	parts    int
	sent     int64
}

func newFlood(b *testing.B, to netip.AddrPort, parts []string) *flood {
	u := loopbackUDP(b)
	b.Cleanup(func() { u.Close() })
	var texts []string
	for range batchSize / len(parts) {
		texts = append(texts, parts...)
	}
	f := &flood{conn: ipv4.NewPacketConn(u), messages: messagesOf(texts), parts: len(parts)}
	for i := range f.messages {
		f.messages[i].Addr = net.UDPAddrFromAddrPort(to)
	}
	return f
}

// send sends n beacons and waits until all have arrived.
func (f *flood) send(n int, arrived func() int64) {
	const underWay = 2048 // datagrams; the usual receive buffer of 208 KiB holds fewer, ours more
	end := f.sent + int64(n*f.parts)
	for f.sent < end {
		for f.sent-arrived() > underWay {
			runtime.Gosched()
		}
		wrote, err := f.conn.WriteBatch(f.messages[:min(int64(len(f.messages)), end-f.sent)], 0)
		if err != nil {
			panic(err)
		}
		f.sent += int64(wrote)
	}
	for arrived() < end {
		runtime.Gosched()
	}
}
