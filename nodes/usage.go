package nodes

// Usage is what a server holds that could grow.
type Usage struct {
	Sessions  int // connections that it has not closed
	Timed     int // of them those that some time limit will close
	Stores    int // that it awaits
	Uploading int // bytes that it counts for uploads under way
	Uploads   int // bytes that these have
	Unknown   int // names without an account, with attempts
}

// Usage counts what the server holds; it takes time for each connection.
func (s *Server) Usage() Usage {
	u := Usage{
		Sessions: s.sessions, Stores: len(s.pending), Uploading: s.uploading,
		Unknown: max(len(s.accounts.unknown.index), len(s.accounts.unknown.order)),
	}
	for c := range s.connections {
		if upload := s.connections[c].upload; upload != nil {
			u.Uploads += len(upload.text)
		}
	}
	for _, list := range []*deadlines{&s.login, &s.idle} {
		for c := list.first; c != 0; c = s.connections[c-1].place.next {
			u.Timed++
		}
	}
	return u
}
