//go:build !linux

package files

// SyncContent calls Sync.
func (f *diskRewritable) SyncContent() error { return f.Sync() }
