package nodes

import (
	"container/list"
	"net/netip"
	"time"

	"bluetrace/protocol"
)

// connStage is the state of one connection, and decides which message the server
// expects.
type connStage uint8

const (
	connClosed connStage = iota
	connAtUsername
	connAtPassword
	connAtCommand
	connAtCount
	connAtLines
)

// connection is the server's side of one session.
type connection struct {
	stage   connStage
	storing StoreID // the store that the next answer waits for, or 0
	source  *source // its address, counted until it is logged in
	// deadlines is the list in which the session waits for its deadline, or nil. place is its element
	// there, and due the elapsed time of the deadline.
	deadlines *list.List
	place     *list.Element
	due       time.Duration
	name      name
	reader    protocol.Reader
	upload    *incoming // set at connAtLines only
}

func (x *connection) loggedIn() bool { return x.stage >= connAtCommand }

// sessions holds the connections of a server in the order of their deadlines,
// and counts the sessions of each account.
type sessions struct {
	connections []connection // by Conn
	open        int          // connections in use
	// login and idle have the Conn of each session that is not logged in, and that is, in the order of
	// their deadlines. All deadlines of a list have the same time limit, so the one that was set last
	// is also the latest.
	login, idle list.List

	sources   map[netip.Addr]*source // of the sessions that are not logged in
	counts    map[int]int            // number of sources by their number of sessions, if that is not 0
	most      int                    // largest number of sessions of a source
	byAccount map[string]int         // logged-in sessions of each account that has any
	loggedIn  int                    // sum of byAccount
	evicted   int                    // sessions closed to make room since the server started
}

// source is an address with sessions that are not logged in.
type source struct {
	address  netip.Addr
	sessions int
}

// countSource counts a new session of an address. An IPv6 network of 64 bits, which is what
// one user gets, counts as one address.
func (s *sessions) countSource(c Conn, from netip.Addr) {
	if from = from.Unmap(); from.Is6() {
		if network, err := from.Prefix(64); err == nil {
			from = network.Addr()
		}
	}
	if s.sources == nil {
		s.sources, s.counts = map[netip.Addr]*source{}, map[int]int{}
	}
	x := s.sources[from]
	if x == nil {
		x = &source{address: from}
		s.sources[from] = x
	}
	s.connections[c].source = x
	s.changeCount(x, 1)
}

// uncountSource ends the counting of a session that logs in or ends.
func (s *sessions) uncountSource(c Conn) {
	x := s.connections[c].source
	if x == nil {
		return
	}
	s.connections[c].source = nil
	if s.changeCount(x, -1); x.sessions == 0 {
		delete(s.sources, x.address)
	}
}

// changeCount adds 1 or -1 to the number of sessions of a source.
func (s *sessions) changeCount(x *source, by int) {
	s.counts[x.sessions]--
	x.sessions += by
	s.counts[x.sessions]++
	for s.most = max(s.most, x.sessions); s.most > 0 && s.counts[s.most] == 0; {
		s.most--
	}
}

// isOpen reports whether the connection is in use.
func (s *sessions) isOpen(c Conn) bool {
	return int(c) < len(s.connections) && s.connections[c].stage != connClosed
}

// begin puts an unused connection into use, at connAtUsername. It returns false
// if the connection is in use.
func (s *sessions) begin(c Conn) bool {
	for int(c) >= len(s.connections) {
		s.connections = append(s.connections, connection{})
	}
	x := &s.connections[c]
	if x.stage != connClosed {
		return false
	}
	x.stage = connAtUsername
	s.open++
	return true
}

// end takes a connection out of use and frees its memory.
func (s *sessions) end(c Conn) {
	x := &s.connections[c]
	if x.loggedIn() {
		user := x.name.user
		if s.byAccount[user]--; s.byAccount[user] == 0 {
			delete(s.byAccount, user)
		}
		s.loggedIn--
	}
	s.uncountSource(c)
	s.stopWaiting(c)
	*x = connection{}
	s.open--
}

// countLogin counts a new logged-in session of an account.
func (s *sessions) countLogin(c Conn, user string) {
	s.uncountSource(c)
	if s.byAccount == nil {
		s.byAccount = map[string]int{}
	}
	s.byAccount[user]++
	s.loggedIn++
}

// wait sets the deadline of a connection to the elapsed time at, and moves the
// connection to the end of the list.
func (s *sessions) wait(c Conn, in *list.List, at time.Duration) {
	x := &s.connections[c]
	if x.deadlines != in {
		s.stopWaiting(c)
		x.deadlines, x.place = in, in.PushBack(c)
	}
	in.MoveToBack(x.place)
	x.due = at
}

// stopWaiting removes a connection from its list of deadlines, if it is in one.
func (s *sessions) stopWaiting(c Conn) {
	if x := &s.connections[c]; x.deadlines != nil {
		x.deadlines.Remove(x.place)
		x.deadlines = nil
	}
}

// nextDue returns the connection with the earliest deadline and that deadline, or false
// if there is none. Of two deadlines at the same time, that of the session that is not
// logged in comes first.
func (s *sessions) nextDue() (first Conn, due time.Duration, ok bool) {
	for _, in := range [...]*list.List{&s.login, &s.idle} {
		if e := in.Front(); e != nil {
			c := e.Value.(Conn)
			if at := s.connections[c].due; !ok || at < due {
				first, due, ok = c, at, true
			}
		}
	}
	return first, due, ok
}

// leastNeeded returns the session to close when there are too many. This is the oldest
// session that is not logged in of an address with the most such sessions. If all are
// logged in, it is the one that has been idle for longest among those of the account with
// the most sessions. leastNeeded returns false if no account has two sessions.
func (s *sessions) leastNeeded() (Conn, bool) {
	for e := s.login.Front(); e != nil; e = e.Next() {
		if c := e.Value.(Conn); s.connections[c].source.sessions == s.most {
			return c, true
		}
	}
	if len(s.byAccount) == s.loggedIn {
		return 0, false
	}
	least, count := Conn(0), 1
	for e := s.idle.Front(); e != nil; e = e.Next() {
		c := e.Value.(Conn)
		if n := s.byAccount[s.connections[c].name.user]; n > count {
			least, count = c, n
		}
	}
	return least, count > 1
}

// largestUpload returns the session whose upload in progress has the most bytes.
func (s *sessions) largestUpload() Conn {
	largest, size := Conn(0), -1
	for c := range s.connections {
		if u := s.connections[c].upload; u != nil && len(u.text) > size {
			largest, size = Conn(c), len(u.text)
		}
	}
	return largest
}

// Usage holds the amounts of a server's memory that could grow without a limit.
type Usage struct {
	Sessions           int // open connections
	WithDeadline       int // open connections with a deadline
	PendingStores      int // stores whose result has not been reported
	CountedUploadBytes int // the running total that MaxUploadBytes limits
	UploadBytes        int // the same total, added up from the uploads in progress
	UnknownNames       int // names without an account that have attempts or a block
	BlockedNames       int // of them, those with a block
}

// usage counts the connections. It takes time proportional to their number.
func (s *sessions) usage() Usage {
	u := Usage{Sessions: s.open, WithDeadline: s.login.Len() + s.idle.Len()}
	for c := range s.connections {
		if upload := s.connections[c].upload; upload != nil {
			u.UploadBytes += len(upload.text)
		}
	}
	return u
}
