package export_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/event"
)

const faulty = "testdata/faults.yaml"

// play runs a scenario.
func play(t *testing.T, path string, o sim.Options) *sim.Result {
	t.Helper()
	s, err := scenarios.Load(path, scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	result, err := sim.Run(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// captured is a packet that was read back.
type captured struct {
	gopacket.Packet
	at       time.Time
	node     string
	comments string
}

// read returns the packets of a file. It checks their checksums and the order of their times.
func read(t *testing.T, file []byte) (all []captured) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, info, options, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		on, err := r.Interface(info.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		if on.LinkType != layers.LinkTypeRaw || on.TimestampResolution != 9 {
			t.Fatalf("interface %+v", on)
		}
		p := gopacket.NewPacket(data, layers.LayerTypeIPv4, gopacket.Default)
		if failure := p.ErrorLayer(); failure != nil {
			t.Fatal(failure.Error())
		}
		if to, ok := p.TransportLayer().(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); !ok || to.SetNetworkLayerForChecksum(p.NetworkLayer()) != nil {
			t.Fatalf("no transport layer: %s", p)
		}
		if err, wrong := p.VerifyChecksums(); err != nil || len(wrong) > 0 {
			t.Fatalf("%v, wrong checksums %v\n%s", err, wrong, p)
		}
		if len(all) > 0 && info.Timestamp.Before(all[len(all)-1].at) {
			t.Errorf("%v is before the packet before it", info.Timestamp)
		}
		all = append(all, captured{p, info.Timestamp, on.Name, strings.Join(options.Comments, "\n")})
	}
}

// TestPackets: a file has each datagram and each segment once, and sequence numbers have no gaps.
func TestPackets(t *testing.T) {
	for _, path := range []string{"../../scenarios/classroom.yaml", faulty} {
		var file bytes.Buffer
		segments, connected, texts := 0, 0, 0
		count := func(n *int) func(*event.Event) { return func(*event.Event) { *n++ } }
		run := play(t, path, sim.Options{Pcap: &file, Subscribe: func(s *event.Stream) {
			s.On(event.SegmentSent, count(&segments))
			s.On(event.Connected, count(&connected))
		}}).Run
		again := bytes.Buffer{}
		if play(t, path, sim.Options{Pcap: &again}); !bytes.Equal(file.Bytes(), again.Bytes()) {
			t.Error("the second run has other packets")
		}
		var udp, tcp, lost, copies uint64
		next := map[string]uint32{} // by connection and side
		seen := map[string]bool{}
		for _, p := range read(t, file.Bytes()) {
			texts += strings.Count(p.comments, " -> ")
			if p.Layer(layers.LayerTypeUDP) != nil {
				udp++
				lost += uint64(strings.Count(p.comments+"\n", "lost\n") - strings.Count(p.comments+"\n", "is lost\n"))
				copies += uint64(strings.Count(p.comments, "a duplicate that"))
				continue
			}
			tcp++
			h := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
			flow := p.NetworkLayer().NetworkFlow().String() + h.TransportFlow().String()
			back := p.NetworkLayer().NetworkFlow().Reverse().String() + h.TransportFlow().Reverse().String()
			if expected, known := next[flow]; known == h.SYN || known && expected != h.Seq {
				t.Fatalf("%s: sequence number %d, want %d\n%s", path, h.Seq, expected, p)
			}
			if h.ACK && int32(h.Ack-next[back]) > 0 {
				t.Errorf("%s: %d is acknowledged, %d is sent", path, h.Ack, next[back])
			}
			next[flow] = h.Seq + uint32(len(h.Payload))
			if h.SYN || h.FIN {
				next[flow]++
			}
			for name, is := range map[string]bool{
				"SYN": h.SYN && !h.ACK, "SYN-ACK": h.SYN && h.ACK, "FIN": h.FIN, "RST": h.RST,
			} {
				seen[name] = seen[name] || is
			}
		}
		if udp != run.Datagrams.Sent || udp == 0 {
			t.Errorf("%s: %d datagrams, want %d", path, udp, run.Datagrams.Sent)
		}
		if n := int(tcp); n < segments || n > segments+connected || n == 0 {
			t.Errorf("%s: %d packets of TCP, %d segments and %d handshakes", path, n, segments, connected)
		}
		if lost > run.Datagrams.Lost || lost == 0 {
			t.Errorf("%s: %d lost, want at most %d", path, lost, run.Datagrams.Lost)
		}
		if path != faulty {
			continue
		}
		for _, name := range []string{"SYN", "SYN-ACK", "FIN", "RST"} {
			if !seen[name] {
				t.Errorf("no %s", name)
			}
		}
		for _, k := range run.Faults {
			if k.Kind == "duplicate" && k.Count != copies {
				t.Errorf("%d copies, want %d", copies, k.Count)
			}
		}
		if copies == 0 || texts == 0 {
			t.Errorf("%d copies, %d comments", copies, texts)
		}
	}
}

// TestView: the view of a node has all that it sends, and what arrives there, when it arrives.
func TestView(t *testing.T) {
	for _, view := range []string{"anna-2", "server"} {
		var file bytes.Buffer
		var sent, delivered, segments, handshakes, arrivals []time.Duration
		node, address := event.Server, "10.0.0.1"
		if view != "server" {
			node, address = 1, "10.0.0.3"
		}
		list := func(to *[]time.Duration, own event.Node) func(*event.Event) {
			return func(e *event.Event) {
				if e.Node == own && (e.Kind != event.DatagramLost || !e.InFlight) {
					*to = append(*to, e.At)
				}
			}
		}
		play(t, faulty, sim.Options{Pcap: &file, PcapAt: view, Subscribe: func(s *event.Stream) {
			s.On(event.DatagramSent, list(&sent, node))
			s.On(event.DatagramLost, list(&sent, node))
			s.On(event.DatagramDelivered, list(&delivered, node))
			s.On(event.SegmentSent, list(&segments, node))
			s.On(event.SegmentArrived, list(&arrivals, node))
			s.On(event.Connected, list(&handshakes, node))
		}})
		var out, in, outTCP, inTCP int
		var times []time.Duration
		all := read(t, file.Bytes())
		for _, p := range all {
			if p.node != view {
				t.Fatalf("a packet on the interface of %s", p.node)
			}
			own := p.NetworkLayer().NetworkFlow().Src().String() == address
			udp := p.Layer(layers.LayerTypeUDP) != nil
			switch {
			case udp && own:
				out++
			case udp:
				in++
				times = append(times, p.at.Sub(all[0].at))
				if strings.Contains(p.comments, "lost") {
					t.Errorf("a lost packet arrived: %s", p.comments)
				}
			case own:
				outTCP++
			default:
				inTCP++
			}
		}
		if out != len(sent) || in != len(delivered) || view == "anna-2" && in*out == 0 {
			t.Errorf("%s: %d and %d datagrams, want %d and %d", view, out, in, len(sent), len(delivered))
		}
		if outTCP < len(segments) || outTCP > len(segments)+len(handshakes) || inTCP < len(arrivals) {
			t.Errorf("%s: %d and %d segments, want %d and %d", view, outTCP, inTCP, len(segments), len(arrivals))
		}
		for i := range min(len(times), len(delivered)) {
			if d := (times[i] - times[0]) - (delivered[i] - delivered[0]); d != 0 {
				t.Fatalf("datagram %d arrives %v late", i, d)
			}
		}
	}
}

// TestLargeSegment: a send that does not fit into a packet has several, without a gap.
func TestLargeSegment(t *testing.T) {
	path := t.TempDir() + "/large.yaml"
	text := fmt.Sprintf("name: large\nlength: 1m\ninvariants: true\nphones: [{name: a}]\nscript:\n"+
		"  - {at: 1s, phone: a, tcp: {connect: true, send: [%q]}}\n", strings.Repeat("x", 3*math.MaxUint16))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	play(t, path, sim.Options{Pcap: &file})
	var sizes []int
	for _, p := range read(t, file.Bytes()) {
		if n := len(p.TransportLayer().LayerPayload()); n > 100 {
			sizes = append(sizes, n)
		}
	}
	if !slices.Equal(sizes, []int{65495, 65495, 65495, 120}) {
		t.Errorf("sizes %v", sizes)
	}
}
