//go:build !linux

package files

// SyncContent calls Sync.
func (f *diskFile) SyncContent() error { return f.Sync() }
