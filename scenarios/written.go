package scenarios

// written notes where the keys stand that not every world can honour: `start`,
// `zone`, and all of `server` and `network`, by their path such as
// network.tcp.delay.
func (b *builder) written(v *value) {
	b.s.Written = map[string]Pos{}
	for _, e := range v.keys {
		switch e.key {
		case "start", "zone", "server", "network":
			b.noteWritten(e.key, e)
		}
	}
}

func (b *builder) noteWritten(path string, e entry) {
	b.s.Written[path] = e.pos
	if e.val == nil {
		return
	}
	for _, inner := range e.val.keys {
		b.noteWritten(path+"."+inner.key, inner)
	}
}
