package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"bluetrace/nodes/socket"
)

// dialLimit bounds how long a server may take to accept a connection.
const dialLimit = 10 * time.Second

// listen takes the UDP port.
func listen(at netip.AddrPort) (*net.UDPConn, error) {
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the UDP port %d is in use: choose another client_udp_port", at.Port())
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%v is no address of this machine: choose another --host", at.Addr())
	case err != nil:
		return nil,
			fmt.Errorf("taking the UDP port %d: %s; choose another client_udp_port", at.Port(), socket.Reason(err))
	}
	return udp, nil
}

// connect makes the first connection: without one there is nothing to do.
func connect(ctx context.Context, address string) (net.Conn, error) {
	conn, err := dial(ctx, address)
	if _, unknown := errors.AsType[*net.DNSError](err); unknown {
		host, _, _ := net.SplitHostPort(address)
		return nil, fmt.Errorf("no machine is known by the name %q: give the server's IP address", host)
	}
	if err != nil {
		return nil,
			fmt.Errorf("cannot connect to the server at %s: %s; is it running there?", address, socket.Reason(err))
	}
	return conn, nil
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialLimit}
	return d.DialContext(ctx, "tcp", address)
}

// closeQuietly closes what nothing is expected of any more.
func closeQuietly(c io.Closer) { _ = c.Close() }
