package learn_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/benbjohnson/clock"

	"bluetrace/scenarios"
	"bluetrace/sim/learn"
)

// config returns the programs of TestMain.
func config(t *testing.T, server string) learn.Config {
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	return learn.Config{
		ServerCommand: "'" + self + "' " + server + " {port}", ClientCommand: "'" + self + "' phone {port} {udp}",
		Folder: t.TempDir(), Seed: 1, Clock: clock.New(),
	}
}

// TestLearn: the wire, the beacon, the typed lines and a missing file of two programs are learned.
func TestLearn(t *testing.T) {
	t.Parallel()
	result, err := learn.Learn(t.Context(), config(t, "server"))
	if err != nil {
		t.Fatal(err)
	}
	if !result.HasLogin {
		t.Fatal(result.Notes)
	}
	text, err := scenarios.DialectYAML(result.Dialect, "")
	if err != nil {
		t.Fatal(err)
	}
	const want = `name: learned
client: lines
server: lines
login: [{send: 'AUTH {user} {password}'}]
again: [{send: 'AUTH {user} {password}'}]
outcomes:
  welcome: 'welcome {user}'
  wrong: ['wrong, 2 left', 'wrong, {*} left']
  now_blocked: blocked now
  blocked: blocked
download: [{send: ID}, {recv: '{user}/{tempid}/{start}/{expiry}'}]
upload: [{send: 'LOG {n}'}, {each: [{send: '+ {tempid} {start} {expiry}'}]}, {send: END}, {recv: thanks}]
logout: [{send: BYE}]
beacon: [{send: 'HELLO?'}, {recv: GO}, {send: '{tempid}|{start}|{expiry}'}]
typed: {login: [Login, "{user}", "{password}"], logout: log out}
files: state.txt
times: '%Y-%m-%dT%H:%M:%S'
`
	if string(text) != want {
		t.Errorf("%s\nwant\n%s", text, want)
	}
	if notes := []string{"the server takes no credentials.txt with line feeds, and none after the last line; " +
		"it takes one with CR LF, and none after the last line"}; !slices.Equal(result.Notes, notes) {
		t.Errorf("notes %q", result.Notes)
	}
}

// TestLearnMute: a server that greets and answers nothing is not learned, and the first note has its greeting.
func TestLearnMute(t *testing.T) {
	t.Parallel()
	result, err := learn.Learn(t.Context(), config(t, "mute"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `no answer to the right password was seen: the server spoke first: "HELLO", the phone sent ` +
		`"AUTH +61471549384 ffhzwx2860"`
	if result.HasLogin || result.Notes[0] != want {
		t.Errorf("%+v\n%q, want %q", result.Dialect, result.Notes, want)
	}
}

// TestLearnNoServer: a server that ends is an error with its status.
func TestLearnNoServer(t *testing.T) {
	t.Parallel()
	c := config(t, "server")
	c.ServerCommand = "echo sorry; exit 3"
	if _, err := learn.Learn(t.Context(), c); err == nil ||
		!slices.Contains([]string{"exit status 3; last lines: sorry"}, err.Error()[max(0, len(err.Error())-32):]) {
		t.Errorf("%v", err)
	}
}
