package load

import (
	"container/heap"
	"sync"
	"time"
)

// schedule wakes goroutines at their times, in the order of these.
type schedule struct {
	mu    sync.Mutex
	queue wakes
	over  bool
}

// wake is somebody who waits; the channel has room for one.
type wake struct {
	at time.Duration
	up chan<- struct{}
}

// wait returns when due has been called with at; false: the schedule was closed.
func (s *schedule) wait(at time.Duration, up chan struct{}) bool {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return false
	}
	heap.Push(&s.queue, wake{at, up})
	s.mu.Unlock()
	<-up
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.over
}

// due wakes those whose time is not after now; next is the time of the first of
// the others.
func (s *schedule) due(now time.Duration) (next time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 && s.queue[0].at <= now {
		heap.Pop(&s.queue).(wake).up <- struct{}{}
	}
	if len(s.queue) == 0 {
		return 0, false
	}
	return s.queue[0].at, true
}

// close wakes everybody, and lets nobody wait any more.
func (s *schedule) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for _, w := range s.queue {
		w.up <- struct{}{}
	}
	s.queue = nil
}

type wakes []wake

func (w wakes) Len() int           { return len(w) }
func (w wakes) Less(i, j int) bool { return w[i].at < w[j].at }
func (w wakes) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }
func (w *wakes) Push(x any)        { *w = append(*w, x.(wake)) }
func (w *wakes) Pop() any {
	last := (*w)[len(*w)-1]
	*w = (*w)[:len(*w)-1]
	return last
}
