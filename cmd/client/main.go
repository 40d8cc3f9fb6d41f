// Command client is one user's phone: it logs in to a BlueTrace server, sends
// beacons to other phones and receives theirs, and keeps those that are valid in
// its contact log.
package main

import (
	"os"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/protocol"
)

func main() {
	p := program{
		stdin:   os.Stdin,
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		console: openConsole,
		signals: stopSignals(),
		clock:   clock.New(),
		zone:    protocol.NewZone(time.Local),
		exit:    os.Exit,
	}
	os.Exit(int(p.command(os.Args[1:])))
}
