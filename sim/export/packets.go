package export

import (
	"encoding/binary"
	"io"
	"slices"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// Packets writes the datagrams and the segments of a run in virtual time as IPv4 packets of a pcapng file. Each is
// written once, when it is sent, on the interface of its sender. In the view of one node it is written on the interface
// of that node, when the node sends it or when it arrives there.
type Packets struct {
	run     Run
	address func(event.Node) protocol.Address
	view    *event.Node // nil for all nodes

	file     *pcapgo.NgWriter
	buffer   gopacket.SerializeBuffer
	err      error
	noted    event.Event // the last effect of a fault; only At, Node and Peer are set
	notes    []string    // effects at that time on that path
	conns    map[uint64]*connection
	inFlight map[uint64][]packet // datagrams to the node of the view, by number
}

// packet is a packet that has not arrived at the node of the view.
type packet struct {
	data     []byte
	comments []string
}

// connection is a TCP connection in which a side can still send, or a segment is in flight.
type connection struct {
	phone  event.Node
	port   uint16
	phones side
	server side
}

// side is the state of one side of a connection.
type side struct {
	next     uint32 // sequence number of the next byte that it sends
	received uint32 // acknowledgement number; valid if hasPeer is set
	hasPeer  bool   // the peer's first segment has arrived
	finished bool   // it has sent FIN or RST
	inFlight []segment
	ack      []packet // the acknowledgement that ends the handshake, if the peer sees it with the next segment
}

// segment is a segment in flight.
type segment struct {
	next    uint32 // sequence number of the byte after it
	packets []packet
}

const (
	firstPort, ports = 32768, 28232 // of connections, like those of Linux
	maxSegment       = 65535 - 20 - 20
	windowScale      = 14
)

// NewPackets returns a writer of packets to w. address returns the address of a node. view is the node whose view is
// written; nil for all nodes.
func NewPackets(
	run Run, address func(event.Node) protocol.Address, view *event.Node, w io.Writer,
) (*Packets, error) {
	p := &Packets{
		run: run, address: address, view: view, buffer: gopacket.NewSerializeBuffer(),
		conns: map[uint64]*connection{}, inFlight: map[uint64][]packet{},
	}
	names := append(slices.Clone(run.Names), run.name(event.Server))
	if view != nil {
		names = []string{run.name(*view)}
	}
	var err error
	for i, name := range names {
		description := pcapgo.NgInterface{Name: name, LinkType: layers.LinkTypeRaw}
		if i > 0 {
			_, err = p.file.AddInterface(description)
		} else {
			info := pcapgo.NgSectionInfo{Application: "bluetrace sim run"}
			p.file, err = pcapgo.NewNgWriterInterface(w, description, pcapgo.NgWriterOptions{SectionInfo: info})
		}
		if err != nil {
			return nil, err
		}
	}
	if err := p.file.Flush(); err != nil {
		return nil, err
	}
	_, err = w.Write(p.nameBlock())
	return p, err
}

// nameBlock returns a pcapng Name Resolution Block with the address and name of each node.
func (p *Packets) nameBlock() []byte {
	const nameResolution, ipv4Record = 4, 1
	block := binary.LittleEndian.AppendUint32(nil, nameResolution)
	block = append(block, 0, 0, 0, 0) // the length
	for i := range len(p.run.Names) + 1 {
		node := event.Node(i)
		if i == len(p.run.Names) {
			node = event.Server
		}
		ip, name := p.ip(node), p.run.name(node)
		block = binary.LittleEndian.AppendUint16(block, ipv4Record)
		block = binary.LittleEndian.AppendUint16(block, uint16(len(ip)+len(name)+1))
		block = append(append(append(block, ip...), name...), 0)
		for len(block)%4 > 0 {
			block = append(block, 0)
		}
	}
	block = append(block, 0, 0, 0, 0) // the end of the records
	length := uint32(len(block) + 4)
	binary.LittleEndian.PutUint32(block[4:], length)
	return binary.LittleEndian.AppendUint32(block, length)
}

// Subscribe writes the packets of the stream from now on.
func (p *Packets) Subscribe(s *event.Stream) {
	s.On(event.FaultApplied, p.note)
	s.On(event.DatagramSent, p.datagramSent)
	s.On(event.DatagramLost, p.datagramLost)
	s.On(event.DatagramDelivered, p.datagramDelivered)
	s.On(event.SegmentSent, p.segmentSent)
	s.On(event.SegmentArrived, p.segmentArrived)
	s.On(event.Connected, p.connected)
}

// Close writes the rest of the packets. Its error is the first one of writing.
func (p *Packets) Close() error {
	if err := p.file.Flush(); p.err == nil {
		p.err = err
	}
	return p.err
}

// note keeps the effect of a fault, for the packet that it affects: the next one on its path in this instant.
func (p *Packets) note(e *event.Event) {
	if !p.isNoted(e) {
		p.noted.At, p.noted.Node, p.noted.Peer = e.At, e.Node, e.Peer
		p.notes = nil
	}
	p.notes = append(p.notes, e.Text)
}

func (p *Packets) isNoted(e *event.Event) bool {
	return p.noted.At == e.At && p.noted.Node == e.Node && p.noted.Peer == e.Peer
}

// takeNotes returns the effects of faults on the packet of e.
func (p *Packets) takeNotes(e *event.Event) (notes []string) {
	if p.isNoted(e) {
		notes = p.notes
	}
	p.notes = nil
	return notes
}

func (p *Packets) datagramSent(e *event.Event) {
	comments := p.takeNotes(e)
	if e.Copy {
		comments = append(comments, "a duplicate that the network made")
	}
	to := p.address(e.Peer)
	sent := packet{p.datagram(e, &to), comments}
	p.write(e.At, e.Node, sent)
	if p.isView(e.Peer) {
		p.inFlight[e.Number] = []packet{sent.clone()}
	}
}

func (p *Packets) datagramLost(e *event.Event) {
	if e.InFlight {
		delete(p.inFlight, e.Number)
		return
	}
	comments := append(p.takeNotes(e), "lost")
	p.write(e.At, e.Node, packet{p.datagram(e, &e.To), comments})
}

func (p *Packets) datagramDelivered(e *event.Event) {
	if p.isView(e.Node) {
		p.write(e.At, e.Node, p.inFlight[e.Number]...)
		delete(p.inFlight, e.Number)
	}
}

// datagram returns the packet of a datagram. It is valid until the next one.
func (p *Packets) datagram(e *event.Event, to *protocol.Address) []byte {
	udp := layers.UDP{SrcPort: layers.UDPPort(e.Port), DstPort: layers.UDPPort(to.Port)}
	ip := p.header(layers.IPProtocolUDP, p.ip(e.Node), ipv4(*to))
	_ = udp.SetNetworkLayerForChecksum(ip) // an IPv4 header is always one
	return p.serialize(ip, &udp, gopacket.Payload(e.Bytes))
}

// segmentSent writes a segment, in several packets if it is too large for one.
func (p *Packets) segmentSent(e *event.Event) {
	c := p.conns[e.Conn]
	if c == nil {
		if e.Node == event.Server || e.Flags&event.Syn == 0 {
			return
		}
		c = &connection{phone: e.Node, port: uint16(firstPort + (e.Conn-1)%ports)}
		c.phones.next = uint32(e.Conn) << 16 // the initial sequence numbers differ
		c.server.next = ^c.phones.next
		p.conns[e.Conn] = c
	}
	from, _ := c.sides(e.Node)
	sent := segment{packets: from.ack}
	from.ack = nil
	comments, data := p.takeNotes(e), e.Bytes
	for {
		part := data[:min(len(data), maxSegment)]
		data = data[len(part):]
		tcp := layers.TCP{PSH: len(part) > 0 && len(data) == 0}
		if len(data) == 0 {
			from.setFlags(&tcp, e.Flags)
		}
		written := packet{p.segment(e.Node, c, &tcp, part), comments}
		p.write(e.At, e.Node, written)
		if p.isView(e.Peer) {
			sent.packets = append(sent.packets, written.clone())
		}
		from.next += uint32(len(part))
		if tcp.SYN || tcp.FIN {
			from.next++
		}
		if len(data) == 0 {
			break
		}
	}
	sent.next = from.next
	from.inFlight = append(from.inFlight, sent)
	if e.Node == event.Server && !from.hasPeer {
		c.phones.finished = true // the connection is refused
	}
}

// setFlags sets the flags of a packet. A side that has sent FIN sends no second one.
func (s *side) setFlags(tcp *layers.TCP, flags event.SegmentFlags) {
	tcp.SYN, tcp.RST = flags&event.Syn != 0, flags&event.Reset != 0
	tcp.FIN = flags&event.Fin != 0 && !tcp.RST && !s.finished
	s.finished = s.finished || tcp.FIN || tcp.RST
	if tcp.SYN {
		largest := binary.BigEndian.AppendUint16(nil, maxSegment)
		tcp.Options = []layers.TCPOption{
			{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: largest},
			{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{windowScale}},
		}
	}
}

// segmentArrived updates the acknowledgement number of the receiver.
func (p *Packets) segmentArrived(e *event.Event) {
	c := p.conns[e.Conn]
	if c == nil {
		return
	}
	to, from := c.sides(e.Node)
	arrived := from.inFlight[0]
	from.inFlight = from.inFlight[1:]
	to.received, to.hasPeer = arrived.next, true
	if p.isView(e.Node) {
		p.write(e.At, e.Node, arrived.packets...)
	}
	if to.finished && from.finished && len(to.inFlight)+len(from.inFlight) == 0 {
		delete(p.conns, e.Conn)
	}
}

// connected writes the acknowledgement that ends the handshake. It is no segment of the run: the server's view has it
// with the next one.
func (p *Packets) connected(e *event.Event) {
	c := p.conns[e.Conn]
	if c == nil || c.phones.finished {
		return
	}
	ack := packet{data: p.segment(e.Node, c, &layers.TCP{}, nil)}
	p.write(e.At, e.Node, ack)
	if p.isView(event.Server) {
		c.phones.ack = []packet{ack.clone()}
	}
}

// sides returns the side of a node, and that of its peer.
func (c *connection) sides(node event.Node) (own, peer *side) {
	if node == event.Server {
		return &c.server, &c.phones
	}
	return &c.phones, &c.server
}

// segment completes a TCP header and returns its packet, which is valid until the next one.
func (p *Packets) segment(node event.Node, c *connection, tcp *layers.TCP, data []byte) []byte {
	server := p.address(event.Server)
	from, to := c.phone, event.Server
	tcp.SrcPort, tcp.DstPort = layers.TCPPort(c.port), layers.TCPPort(server.Port)
	if node == event.Server {
		from, to = to, from
		tcp.SrcPort, tcp.DstPort = tcp.DstPort, tcp.SrcPort
	}
	own, _ := c.sides(node)
	tcp.Seq, tcp.Window = own.next, 65535
	if own.hasPeer {
		tcp.ACK, tcp.Ack = true, own.received
	}
	ip := p.header(layers.IPProtocolTCP, p.ip(from), p.ip(to))
	_ = tcp.SetNetworkLayerForChecksum(ip) // an IPv4 header is always one
	return p.serialize(ip, tcp, gopacket.Payload(data))
}

func (p *Packets) header(protocol layers.IPProtocol, from, to []byte) *layers.IPv4 {
	return &layers.IPv4{
		Version: 4, TTL: 64, Flags: layers.IPv4DontFragment, Protocol: protocol, SrcIP: from, DstIP: to,
	}
}

func (p *Packets) ip(node event.Node) []byte { return ipv4(p.address(node)) }

// ipv4 returns the four bytes of an IPv4 address.
func ipv4(a protocol.Address) []byte { return a.IP[12:] }

func (p *Packets) serialize(parts ...gopacket.SerializableLayer) []byte {
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(p.buffer, options, parts...); err != nil && p.err == nil {
		p.err = err
	}
	return p.buffer.Bytes()
}

func (p packet) clone() packet { return packet{slices.Clone(p.data), p.comments} }

func (p *Packets) isView(node event.Node) bool { return p.view != nil && *p.view == node }

// write writes packets on the interface of a node, unless another node's view is written.
func (p *Packets) write(at time.Duration, node event.Node, packets ...packet) {
	if p.view != nil && !p.isView(node) {
		return
	}
	on := 0
	if p.view == nil {
		on = int(min(node, event.Node(len(p.run.Names))))
	}
	for _, written := range packets {
		if p.err != nil {
			return
		}
		p.err = p.file.WritePacketWithOptions(gopacket.CaptureInfo{
			Timestamp: p.run.Start.Add(at), InterfaceIndex: on,
			CaptureLength: len(written.data), Length: len(written.data),
		}, written.data, pcapgo.NgPacketOptions{Comments: written.comments})
	}
}
