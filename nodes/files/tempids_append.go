package files

import "errors"

// append adds a batch to a trusted file. It is durable then, in the ahead log or
// in the file itself. When it fails, the batch may be on the disk all the same,
// until the next one is.
func (t *tempIDs) append(p []byte) error {
	if t.noSync {
		err := t.ledger.append(p)
		t.synced = t.good
		return err
	}
	if err := t.write(p); err != nil {
		return err
	}
	size := t.good + int64(len(p))
	if !t.ahead.keep(t.good, p) {
		return t.settle(size)
	}
	t.good, t.unsynced = size, append(t.unsynced, p...)
	return nil
}

// settle makes the file durable up to size, its end.
func (t *tempIDs) settle(size int64) error {
	t.trusted = false
	if err := t.f.Sync(); err != nil {
		// As in a ledger. The log still has what was unsynced before.
		return errors.Join(err, t.f.Truncate(t.synced))
	}
	t.good, t.synced, t.unsynced, t.trusted = size, size, t.unsynced[:0], true
	t.ahead.restart()
	return nil
}

// finish closes the file, and leaves no log if it is not needed.
func (t *tempIDs) finish() error {
	var err error
	if t.trusted && len(t.unsynced) > 0 {
		err = t.settle(t.good)
	}
	t.ahead.abandon()
	if t.trusted {
		err = errors.Join(err, t.ahead.drop())
	}
	return errors.Join(err, t.close())
}
