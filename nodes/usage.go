package nodes

// Usage is what a server holds that could grow.
type Usage struct {
	Sessions           int // connections that it has not closed
	WithDeadline       int // of them those that some time limit will close
	PendingStores      int // that it awaits
	CountedUploadBytes int // bytes that it counts for uploads under way
	UploadBytes        int // bytes that these have
	UnknownNames       int // names without an account, with attempts
}

// Usage counts what the server holds; it takes time for each connection.
func (s *Server) Usage() Usage {
	u := Usage{
		Sessions: s.sessions, PendingStores: len(s.pending), CountedUploadBytes: s.uploading,
		UnknownNames: max(len(s.accounts.unknown.index), len(s.accounts.unknown.order)),
	}
	for c := range s.connections {
		if upload := s.connections[c].upload; upload != nil {
			u.UploadBytes += len(upload.text)
		}
	}
	for _, list := range []*deadlines{&s.login, &s.idle} {
		for c := list.first; c != 0; c = s.connections[c-1].place.next {
			u.WithDeadline++
		}
	}
	return u
}
