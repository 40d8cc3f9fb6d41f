// Package broker carries chunks, results and the states of workers over NATS with JetStream. It is the only package that
// knows this engine. It decides nothing: a message may be lost or delivered again.
package broker

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"

	"bluetrace/reports"
)

// Access is everything that a worker needs to reach the engine.
type Access struct {
	URL   string `json:"url"`           // nats://HOST:PORT, or tls://HOST:PORT
	Token string `json:"token"`         // empty if the engine asks for none
	Pin   string `json:"pin,omitempty"` // SHA-256 of the certificate, hexadecimal; empty: the system's roots decide
}

// Limits of the embedded engine.
const (
	maxPayload   = 32 << 20 // bytes of a message; a result has every failure of its chunk
	startTimeout = 30 * time.Second
)

// Server is an engine in this process.
type Server struct {
	nats *server.Server
	lock *flock.Flock // of the folder
}

// Serve starts an engine that listens on listen (HOST:PORT) and keeps its files in the folder. Beyond the loopback it
// speaks TLS with a certificate of its own, which the folder keeps. The folder also keeps the token. name is the host in
// the access; if it is empty, it is that of listen, or, if that stands for all addresses, that of the machine.
func Serve(listen, name, folder string) (*Server, Access, error) {
	host, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, Access{}, fmt.Errorf("invalid --listen %q: must be HOST:PORT", listen)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, Access{}, fmt.Errorf("invalid --listen %q: the port must be 0 to 65535", listen)
	}
	probe, err := net.Listen("tcp", listen) // the engine itself gives no reason
	if err == nil {
		err = probe.Close()
	}
	if err != nil {
		return nil, Access{}, fmt.Errorf("listening on %s: %w", listen, err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, Access{}, fmt.Errorf("making the folder of the engine: %w", err)
	}
	lock := flock.New(filepath.Join(folder, "lock"))
	if got, err := lock.TryLock(); err != nil {
		return nil, Access{}, fmt.Errorf("locking the folder of the engine: %w", err)
	} else if !got {
		return nil, Access{}, fmt.Errorf("another engine uses the folder %q: name another one with --dir", folder)
	}
	s, access, err := serve(host, name, folder, port)
	if err != nil {
		return nil, Access{}, errors.Join(err, lock.Unlock())
	}
	return &Server{s, lock}, access, nil
}

// serve starts an engine in a folder that no other one uses.
func serve(host, name, folder string, port uint64) (*server.Server, Access, error) {
	token, err := secret(filepath.Join(folder, "token"))
	if err != nil {
		return nil, Access{}, err
	}
	o := &server.Options{
		ServerName: "fleet", Host: host, Port: int(port), DontListen: false, Authorization: token,
		JetStream: true, StoreDir: folder, SyncAlways: true, MaxPayload: maxPayload,
		NoLog: true, NoSigs: true,
	}
	if port == 0 {
		o.Port = server.RANDOM_PORT
	}
	access := Access{URL: "nats://", Token: token}
	ip := net.ParseIP(host)
	if host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		if o.TLSConfig, access.Pin, err = certificate(folder, host); err != nil {
			return nil, Access{}, err
		}
		o.TLS, access.URL = true, "tls://"
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, Access{}, fmt.Errorf("making the engine: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(startTimeout) {
		s.Shutdown()
		return nil, Access{}, fmt.Errorf("the engine did not start in %v: the folder %q may be in use", startTimeout,
			folder)
	}
	_, actual, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		return nil, Access{}, fmt.Errorf("reading the address of the engine: %w", err)
	}
	if everywhere := host == "" || ip != nil && ip.IsUnspecified(); name == "" && everywhere {
		if name, err = os.Hostname(); err != nil {
			return nil, Access{}, fmt.Errorf("finding the name of this machine: %w", err)
		}
	}
	access.URL += net.JoinHostPort(cmp.Or(name, host), actual)
	return s, access, nil
}

// Close ends the engine. Its files stay.
func (s *Server) Close() {
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
	_ = s.lock.Unlock() // the end of the process does the same
}

// secret returns the token in a file, which it makes if there is none.
func secret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(text))) > 0 {
		return strings.TrimSpace(string(text)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	token := rand.Text()
	return token, writePrivate(path, []byte(token+"\n"))
}

// writePrivate writes a file that only its owner may read.
func writePrivate(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600) // WriteFile keeps the permissions
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("making a private file: %w", err)
	}
	return reports.WriteFile(path, func(w io.Writer) error { _, err := w.Write(text); return err })
}

// certificate returns the settings of TLS with the certificate of a folder, which it makes if there is none, and the
// hash of the certificate.
func certificate(folder, host string) (*tls.Config, string, error) {
	path := filepath.Join(folder, "certificate.pem")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = newCertificate(host); err == nil {
			err = writePrivate(path, text)
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("preparing the certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, "", fmt.Errorf("reading %q: %w", path, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}, pinOf(pair.Certificate[0]), nil
}

// newCertificate makes a certificate and its key, as PEM.
func newCertificate(host string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fleet"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().AddDate(10, 0, 0), DNSNames: []string{host},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), nil
}

func pinOf(certificate []byte) string {
	sum := sha256.Sum256(certificate)
	return hex.EncodeToString(sum[:])
}

// pinned returns the settings of a client that accepts one certificate only.
func pinned(pin string) *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, // VerifyConnection decides
		MinVersion:         tls.VersionTLS13,
		VerifyConnection: func(s tls.ConnectionState) error {
			if got := pinOf(s.PeerCertificates[0].Raw); got != pin {
				return fmt.Errorf("the engine has the certificate %s, not the pinned one", got)
			}
			return nil
		},
	}
}

// WriteAccess writes an access to a file that only its owner may read.
func WriteAccess(path string, a Access) error {
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encoding the access: %w", err)
	}
	return writePrivate(path, append(text, '\n'))
}
