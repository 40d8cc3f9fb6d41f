// Package browser tests the pages of runs in Chromium.
package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is the parent of all tabs.
var browser context.Context

func TestMain(m *testing.M) {
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.NoSandbox,
		chromedp.Flag("allow-file-access-from-files", false))
	if path, err := exec.LookPath("chromium"); err == nil {
		options = append(options, chromedp.ExecPath(path))
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	var cancel context.CancelFunc
	browser, cancel = chromedp.NewContext(allocator)
	if err := chromedp.Do(browser); err != nil {
		fmt.Fprintln(os.Stderr, "starting chromium:", err)
		os.Exit(1)
	}
	status := m.Run()
	cancel()
	end()
	os.Exit(status)
}

// tab is a page in the browser.
type tab struct {
	*testing.T
	context.Context

	mu       sync.Mutex
	messages []string // of the console, and errors
	requests []string
	allowed  string // the beginning of requests that may be made
}

// Sizes of a window: a phone and a desk.
var widths = []int64{360, 1280}

// open opens an address in a new tab. At the end of the test nothing may have been logged, and only requests that begin
// with the address may have been made.
func open(t *testing.T, address string, before ...step) *tab {
	t.Helper()
	b := &tab{T: t, allowed: address}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithListener(b.listen))
	t.Cleanup(cancel)
	var stop context.CancelFunc
	b.Context, stop = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(stop)
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.messages) > 0 {
			t.Errorf("%s: %q", address, b.messages)
		}
		for _, url := range b.requests {
			if !strings.HasPrefix(url, b.allowed) {
				t.Errorf("%s: a request to %s", address, url)
			}
		}
	})
	b.do(call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}))
	b.do(before...)
	b.size(1280)
	b.do(chromedp.Navigate(address))
	return b
}

// listen notes messages and requests.
func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		b.messages = append(b.messages, fmt.Sprint("console: ", e.Type))
	case *runtime.EventExceptionThrown:
		b.messages = append(b.messages, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		b.messages = append(b.messages, e.Entry.Text+" "+e.Entry.URL)
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	}
}

type step = chromedp.Action[chromedp.Void]

// call returns a command of the protocol as a step.
func call[P, R any](command cdp.Command[P, R], parameters P) step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, parameters)
		return err
	})
}

func (b *tab) do(steps ...step) {
	b.Helper()
	if err := chromedp.Do(b.Context, steps...); err != nil {
		b.Fatal(err)
	}
}

func (b *tab) size(width int64) {
	b.Helper()
	b.do(call(emulation.SetDeviceMetricsOverride,
		emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 800, DeviceScaleFactor: 1}))
}

func (b *tab) click(selector string) {
	b.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// run runs JavaScript.
func (b *tab) run(script string) {
	b.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](script + ";0"))
}

// value evaluates a JavaScript expression, which may be a promise.
func value[V any](b *tab, expression string) V {
	b.Helper()
	v, err := chromedp.Run(b.Context, chromedp.Evaluate[V](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatalf("%s: %v", expression, err)
	}
	return v
}

// is checks that an expression is true.
func (b *tab) is(expression string) {
	b.Helper()
	if !value[bool](b, "!!("+expression+")") {
		b.Errorf("not so: %s", expression)
	}
}

// await waits until an expression is true. It is evaluated again after each change of the document, and in the next
// document if the page is left.
func (b *tab) await(expression string) {
	b.Helper()
	const wait = `new Promise(done => {
		const look = () => { try { return !!(%s) } catch { return false } };
		if (look()) return done(true);
		new MutationObserver((_, o) => { if (look()) { o.disconnect(); done(true); } }).observe(document,
			{subtree: true, childList: true, attributes: true, characterData: true});
	})`
	for b.Context.Err() == nil {
		v, err := chromedp.Run(b.Context, chromedp.Evaluate[bool](fmt.Sprintf(wait, expression), chromedp.EvalAwaitPromise))
		if err == nil && v {
			return
		}
	}
	b.Fatalf("never so: %s", expression)
}

// violation is a finding of axe-core.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML, FailureSummary string }
}

// accessible checks the page with axe-core, light and dark, at each width, and that the page does not scroll sideways.
func (b *tab) accessible() {
	b.Helper()
	axe := ""
	if path := os.Getenv("BROWSER_AXE"); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		axe = string(text)
		b.run(axe)
	}
	for i, width := range widths {
		b.size(width)
		b.is("document.documentElement.scrollWidth <= innerWidth")
		if axe == "" {
			continue
		}
		scheme := []string{"dark", "light"}[i%2]
		b.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}))
		only := ""
		if i > 0 { // the other rules do not depend on colours and sizes
			only = ", runOnly: ['color-contrast', 'scrollable-region-focusable', 'link-in-text-block']"
		}
		for _, v := range value[[]violation](b, "axe.run({resultTypes: ['violations']"+only+"}).then(r => r.violations)") {
			message := fmt.Sprintf("%s at width %d, %s: %s (%s), %d times", v.ID, width, scheme, v.Help, v.Impact, len(v.Nodes))
			for _, n := range v.Nodes[:min(3, len(v.Nodes))] {
				message += fmt.Sprintf("\n  %.300s\n    %s", n.HTML, n.FailureSummary)
			}
			if v.Impact == "serious" || v.Impact == "critical" {
				b.Error(message)
			} else {
				b.Log(message)
			}
		}
	}
}

// reachable checks that the Tab key reaches everything that the pointer can use, in the order of the page.
func (b *tab) reachable() {
	b.Helper()
	b.size(1280)
	const usable = `Array.from(document.querySelectorAll('a[href], button, input, summary, [tabindex="0"]'))
		.filter(e => e.checkVisibility())`
	want := value[int](b, usable+".length")
	b.run("document.activeElement.blur(); window.reached = new Set(); scrollTo(0, 0);" +
		"document.addEventListener('focusin', e => reached.add(e.target))")
	b.do(slices.Repeat([]step{chromedp.KeyEvent("\t")}, want+5)...)
	missed := value[[]string](b, usable+".filter(e => !window.reached.has(e)).map(e => e.outerHTML.slice(0, 200))")
	if len(missed) > 0 || want < 2 {
		b.Errorf("the Tab key misses %d of %d: %q", len(missed), want, missed[:min(3, len(missed))])
	}
}

// simulate runs sim with --out, and returns the folder. The status must be one of those of a run that took place.
func simulate(t *testing.T, arguments ...string) string {
	t.Helper()
	folder := t.TempDir()
	c := exec.Command(os.Getenv("BROWSER_SIM"), append([]string{"run", "--quiet", "--out", folder}, arguments...)...)
	c.Dir = "../.."
	if out, err := c.CombinedOutput(); err != nil && c.ProcessState.ExitCode() != 99 {
		t.Fatalf("%v: %s", err, out)
	}
	return folder
}

// scenario writes a scenario to a file.
func scenario(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".yaml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// readJSON reads the JSON form of a run.
func readJSON(t *testing.T, folder, name string) (r run) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name+".json"))
	if err == nil {
		err = errors.Join(json.Unmarshal(text, &r), json.Unmarshal(text, &r.counts))
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}
