//go:build !linux

package files

// SyncContent is Sync.
func (f *diskRewritable) SyncContent() error { return f.Sync() }
