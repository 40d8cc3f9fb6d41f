// Package files keeps on a disk what must outlive a crash: the server's
// tempIDs.txt and attempts.txt, the accounts of credentials.txt, and a phone's
// contact log with the journal of its reception times (PROTOCOL.md sections 2
// and 3).
//
// It has no goroutines, sockets or clock. It works on an FS, of which there are
// two: Disk, a folder of the machine, and Memory, which keeps what was synced
// apart from what was not, so that a test or a virtual world can crash it
// between any two operations. After a failed fsync a file is never trusted
// again: it is written anew from the part that was durable before.
//
// tempIDs.txt.ahead is a log that is written in place: what it has, tempIDs.txt
// has too, but needs no sync of its own before the log is full.
package files
