package load

import (
	"container/heap"
	"sync"
	"time"
)

// alarm rings once at a time. Its time belongs to the schedule while it is set.
type alarm struct {
	at   time.Duration
	ring func(now time.Duration)
}

// schedule rings alarms at their times, in the order of these.
type schedule struct {
	mu    sync.Mutex
	queue alarms
	over  bool
}

// set has an alarm ring when due is called with at or later. One that is set
// must ring before it is set again. After close nothing rings.
func (s *schedule) set(a *alarm, at time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		a.at = at
		heap.Push(&s.queue, a)
	}
}

// due rings the alarms whose time is not after now; next is the time of the
// first of the others.
func (s *schedule) due(now time.Duration) (next time.Duration, ok bool) {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 || s.queue[0].at > now {
			break
		}
		a := heap.Pop(&s.queue).(*alarm)
		s.mu.Unlock()
		a.ring(now)
	}
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return 0, false
	}
	return s.queue[0].at, true
}

// clear forgets all alarms.
func (s *schedule) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = nil
}

// close forgets all alarms, and takes no more.
func (s *schedule) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.queue = nil
}

// alarms is a heap by time.
type alarms []*alarm

func (w alarms) Len() int           { return len(w) }
func (w alarms) Less(i, j int) bool { return w[i].at < w[j].at }
func (w alarms) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }
func (w *alarms) Push(x any)        { *w = append(*w, x.(*alarm)) }
func (w *alarms) Pop() any {
	last := (*w)[len(*w)-1]
	(*w)[len(*w)-1] = nil
	*w = (*w)[:len(*w)-1]
	return last
}
