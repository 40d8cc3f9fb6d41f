package authority

import (
	"crypto/rand"
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

// closeWithin is how long the end waits for a disk that does not answer: with
// what else there is to do, the program ends within a second.
const closeWithin = 600 * time.Millisecond

// authority is the server with its folder and its metrics.
type authority struct {
	clock    clock.Clock
	folder   *files.Server
	server   *socket.Server
	metrics  *metrics
	exporter *scraping.Server    // nil: metrics are off
	behind   *socket.WriteBehind // nil: what is answered is on the disk

	first []nodes.Credential // until the server has asked for them
}

// open takes the folder and reads what a former server stored. After an error,
// close closes what there is.
func (h *authority) open(a *arguments, l net.Listener, p *program) (err error) {
	h.clock = clock.New()
	if a.metrics != "" {
		h.metrics = newMetrics()
		if h.exporter, err = scraping.Listen(a.metrics, scraping.Handler(h.metrics.registry)); err != nil {
			return listenError("--metrics", a.metrics, err)
		}
	}
	if err := checkFolder(a.dir, p); err != nil {
		return err
	}
	zone := protocol.NewZone(p.zone)
	h.folder, err = files.OpenServer(files.Disk(a.dir),
		files.ServerOptions{Zone: zone, NoSync: a.noFsync, Entropy: rand.Reader})
	if errors.Is(err, files.ErrFolderInUse) {
		return fmt.Errorf("%w; name another folder with --dir", err)
	}
	if err != nil {
		return fmt.Errorf("%w; put that right, or name another folder with --dir", err)
	}
	if h.first, _, err = h.folder.Credentials(); err != nil {
		return err
	}
	settings := a.settings
	settings.Zone, settings.NameKey, settings.Entropy = zone, h.folder.NameKey(), &entropy{}
	config := socket.ServerConfig{
		Settings: settings, Listener: l, MaxSockets: a.sockets, CloseTimeout: closeWithin, Disk: h, Clock: h.clock,
		Origin: h.clock.Now(), Lock: &sync.Mutex{},
		Output: &output{to: p.stdout, complain: p.complain}, Credentials: h.credentials, Restore: h.restore,
	}
	if h.metrics != nil {
		config.Observer = h.metrics
	}
	if a.noFsync {
		h.behind = socket.NewWriteBehind(h)
		config.Disk, config.Inline = h.behind, true
	}
	if h.server, err = socket.NewServer(config); err != nil {
		return err
	}
	h.tell()
	return nil
}

// checkFolder looks whether a server can be there, before anything is written.
func checkFolder(dir string, p *program) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the folder %q does not exist; make it, or name another with --dir", dir)
	case err != nil:
		return fmt.Errorf("the folder %q cannot be used: %w; name another with --dir", dir, reason(err))
	case !info.IsDir():
		return fmt.Errorf("%q is no folder; name one with --dir", dir)
	}
	remarks, err := files.CheckCredentials(files.Disk(dir))
	if err == nil {
		return nil
	}
	for _, remark := range remarks {
		p.complain(errors.New(remark))
	}
	whole, absErr := filepath.Abs(dir)
	if absErr != nil {
		whole = dir
	}
	return fmt.Errorf("%w; it belongs in the folder %q, or name another with --dir", err, whole)
}

// reason is an error without the name of the file.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

func (h *authority) close() error {
	var errs []error
	if h.behind != nil {
		h.behind.Close()
	}
	if h.folder != nil {
		errs = append(errs, h.folder.Close())
	}
	if h.exporter != nil {
		errs = append(errs, h.exporter.Close())
	}
	return errors.Join(errs...)
}

// Store makes records durable, measured.
func (h *authority) Store(records []nodes.Record) (issues, attempts error) {
	began := h.clock.Now()
	issues, attempts = h.folder.Store(records)
	if h.metrics != nil {
		h.metrics.stored(len(records), h.clock.Since(began), errors.Join(issues, attempts))
	}
	h.tell()
	return issues, attempts
}

// restore hands over what is stored, counted.
func (h *authority) restore(take func(nodes.Record) error) error {
	return h.folder.Restore(h.clock.Now().UnixNano(), func(r nodes.Record) error {
		err := take(r)
		if err == nil && h.metrics != nil && r.Kind == nodes.RecordIssue {
			h.metrics.known.Inc()
		}
		return err
	})
}

func (h *authority) credentials() (list []nodes.Credential, changed bool) {
	if h.first != nil {
		list, h.first = h.first, nil
		return list, true
	}
	list, changed, err := h.folder.Credentials()
	h.tell()
	return list, changed && err == nil
}

// tell prints what the folder has to say.
func (h *authority) tell() {
	for _, note := range h.folder.Notes() {
		h.server.Print(note)
	}
}
