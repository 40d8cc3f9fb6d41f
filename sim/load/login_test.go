package load

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bluetrace/scenarios"
)

// TestAFailedLoginBeforeAMix checks that the error names the account, the server, the operation and its end.
func TestAFailedLoginBeforeAMix(t *testing.T) {
	for _, c := range []struct {
		change func(*fake)
		want   string
	}{
		{func(f *fake) { f.silent = true }, "login: no answer within "},
		{func(f *fake) { f.refuses = func(time.Duration) bool { return true } }, "connect: connection refused since "},
		{func(f *fake) { f.breaks = func(string, time.Duration) bool { return true } },
			"login: the connection ended without an answer; check that this server runs"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			c.change(f)
			traffic := mixed(scenarios.VerbDownload, 10, 10)
			l := faked(f, 1, traffic)
			l.Server = "192.0.2.1:80"
			_, err := Run(t.Context(), l)
			if err == nil || !strings.Contains(err.Error(), "at the server 192.0.2.1:80, before the load: "+c.want) {
				t.Errorf("%v\nwant %s", err, c.want)
			}
			f.running.Wait()
		})
	}
}

// TestAnInterruptedLogin checks the error of a load that is interrupted while a phone logs in.
func TestAnInterruptedLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.silent = true
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel) // virtual time of synctest
		_, err := Run(ctx, faked(f, 1, mixed(scenarios.VerbDownload, 10, 10)))
		const want = "interrupted by a signal while the phones logged in, before the load"
		if !errors.Is(err, context.Canceled) || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
		f.running.Wait()
	})
}
