package main

import (
	"context"
	"time"

	"bluetrace/cmd/server/authority"
)

// serverCommand is how a load run starts this program again, as its server. The
// help does not list it: for everybody else there is the command server.
const serverCommand = "load-server"

func (p *program) serve(ctx context.Context, arguments []string) status {
	return status(authority.Run(ctx, arguments, p.stdout, p.stderr, time.UTC))
}
