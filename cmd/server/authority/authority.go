package authority

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/cmd/internal/scraping"
	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/nodes/socket"
	"bluetrace/protocol"
)

// closeWithin is the time for which the server waits at its end for a disk that does not
// answer. It is short, so that the whole program ends within a second.
const closeWithin = 600 * time.Millisecond

// authority is the server with its folder and its metrics. It implements socket.Disk.
type authority struct {
	clock    clock.Clock
	folder   *files.Server
	server   *socket.Server
	metrics  *metrics
	exporter *scraping.Server    // nil without --metrics
	behind   *socket.WriteBehind // nil without --no-fsync
}

// open opens the folder and restores the state that an earlier server stored. Also after
// an error the caller must call close, which closes the parts that are open.
func (h *authority) open(a *arguments, l net.Listener, p *program) (err error) {
	h.clock = p.clock
	if a.metrics != "" {
		h.metrics = newMetrics()
		if h.exporter, err = scraping.Listen(a.metrics, scraping.Handler(h.metrics.registry), nil); err != nil {
			return listenError("--metrics", a.metrics, err)
		}
	}
	if err := checkFolder(a.dir, p); err != nil {
		return err
	}
	zone := protocol.NewZone(p.zone)
	h.folder, err = files.OpenServer(files.Disk(a.dir),
		files.ServerOptions{
			Zone: zone, NoSync: a.noFsync, Entropy: rand.Reader, MaxBlocked: a.settings.MaxBlockedNames(),
		})
	if errors.Is(err, files.ErrFolderInUse) {
		return fmt.Errorf("%w; name another folder with --dir", err)
	}
	if err != nil {
		return fmt.Errorf("%w; mend it, or name another folder with --dir", err)
	}
	if _, _, err = h.folder.Credentials(); err != nil {
		return err
	}
	settings := a.settings
	settings.Zone, settings.NameKey, settings.Entropy = zone, h.folder.NameKey(), entropy{}
	config := socket.ServerConfig{
		Settings: settings, Listener: l, MaxSockets: a.sockets, CloseTimeout: closeWithin, Disk: h, Clock: h.clock,
		Origin: h.clock.Now(), Lock: &sync.Mutex{},
		Output: &output{to: p.stdout, complain: p.complain}, Credentials: h.credentials, Restore: h.restore,
	}
	if h.metrics != nil {
		config.Observer = h.metrics
	}
	if a.noFsync {
		h.behind = socket.NewWriteBehind(h, func(line string) { h.server.Print(line) })
		config.Disk, config.Inline = h.behind, true
	}
	if h.server, err = socket.NewServer(config); err != nil {
		return err
	}
	h.printNotes()
	return nil
}

// checkFolder checks that a server can use the folder, before anything is written.
func checkFolder(dir string, p *program) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the folder %q does not exist; make it, or name another with --dir", dir)
	case err != nil:
		return fmt.Errorf("the folder %q cannot be used: %w; name another with --dir", dir, files.WithoutPath(err))
	case !info.IsDir():
		return fmt.Errorf("%q is not a folder; name one with --dir", dir)
	}
	remarks, err := files.CheckCredentials(files.Disk(dir))
	if err == nil {
		return nil
	}
	for _, remark := range remarks {
		p.complain(errors.New(remark.Text))
	}
	whole, absErr := filepath.Abs(dir)
	if absErr != nil {
		whole = dir
	}
	return fmt.Errorf("%w; it belongs in the folder %q, or name another with --dir", err, whole)
}

// close closes everything that open opened. An error can mean that records are lost.
func (h *authority) close() error {
	var errs []error
	if h.behind != nil {
		err := h.behind.Close(closeWithin)
		if errors.Is(err, socket.ErrUnsaved) {
			return err // the end of the process closes the blocked files
		}
		errs = append(errs, err)
	}
	if h.folder != nil {
		errs = append(errs, h.folder.Close())
	}
	if h.exporter != nil {
		errs = append(errs, h.exporter.Close())
	}
	return errors.Join(errs...)
}

// Store implements socket.Disk. It stores records in the folder, and measures the time.
func (h *authority) Store(records []nodes.Record) (issues, attempts error) {
	started := h.clock.Now()
	issues, attempts = h.folder.Store(records)
	if h.metrics != nil {
		h.metrics.stored(len(records), h.clock.Since(started), errors.Join(issues, attempts))
	}
	h.printNotes()
	return issues, attempts
}

// restore passes each stored record to add, and counts the TempIDs.
func (h *authority) restore(add func(nodes.Record) error) error {
	return h.folder.Restore(h.clock.Now().UnixNano(), func(r nodes.Record) error {
		err := add(r)
		if err == nil && h.metrics != nil && r.Kind == nodes.RecordIssue {
			h.metrics.known.Inc()
		}
		return err
	})
}

// credentials returns the current accounts. changed reports whether they differ from
// those of the last call.
func (h *authority) credentials() (list []nodes.Credential, changed bool) {
	list, changed, err := h.folder.Credentials()
	h.printNotes()
	return list, changed && err == nil
}

// printNotes prints the notes of the folder, such as skipped lines of a file.
func (h *authority) printNotes() {
	for _, note := range h.folder.Notes() {
		h.server.Print(note.Text)
	}
}

// entropy is a rand.Source of the system's cryptographic randomness.
type entropy struct{}

// Uint64 implements rand.Source.
func (entropy) Uint64() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: the runtime ends the program if the system has no randomness
	return binary.LittleEndian.Uint64(b[:])
}
