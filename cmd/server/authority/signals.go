package authority

import (
	"context"
	"os"
)

// UntilSignal is a context that ends with the first signal, so that everything
// is saved; the second one exits at once.
func UntilSignal(stop <-chan os.Signal, exit func(int)) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-stop
		cancel()
		<-stop
		exit(int(failed))
	}()
	return ctx
}
