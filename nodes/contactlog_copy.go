package nodes

// CopyFrom makes l the same as from, for a host that saves a log while the phone
// goes on. It uses the memory that l has when that is enough.
func (l *ContactLog) CopyFrom(from *ContactLog) {
	ring := append(l.ring[:0], from.ring...)
	*l = *from
	l.ring = ring
}
