// Package files stores the state that must survive a crash: the server's tempIDs.txt
// and attempts.txt, the accounts of credentials.txt, and a phone's contact log with the
// journal of its reception times (PROTOCOL.md sections 2 and 3).
//
// The package has no goroutine, socket or clock. It works on an FS. Disk is a folder of
// the operating system. Memory is a folder in memory that records which changes were
// synced, so that a test or a virtual world can crash it between any two operations.
//
// After a failed fsync a file is not trusted any more. It is rewritten from the part
// that was durable before. tempIDs.txt.ahead is a write-ahead log of tempIDs.txt. With
// it, tempIDs.txt needs a sync of its own only when the log is full.
package files
