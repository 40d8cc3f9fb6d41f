package protocol

import "net/netip"

// Address is where a datagram came from or goes to, without a pointer in it. An
// IPv4 address is kept in its IPv6-mapped form, so that both ways in which a
// socket may report it are one address. The zone of a link-local IPv6 address is
// not kept.
type Address struct {
	IP   [16]byte
	Port uint16
}

// AddressOf never fails; the zero AddrPort becomes [::]:0.
func AddressOf(a netip.AddrPort) Address {
	return Address{IP: a.Addr().As16(), Port: a.Port()}
}

// AddrPort is the inverse of AddressOf, with mapped addresses as plain IPv4.
func (a Address) AddrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.IP).Unmap(), a.Port)
}

func (a Address) String() string { return a.AddrPort().String() }
