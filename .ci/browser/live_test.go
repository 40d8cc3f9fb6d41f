package browser

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var servedAt = regexp.MustCompile(`^the run as a page at (http://\S+/)$`)

// served starts sim with --metrics. It returns the address of its page, and the process.
func served(t *testing.T, arguments ...string) (address string, c *exec.Cmd) {
	t.Helper()
	c = exec.Command(os.Getenv("BROWSER_SIM"), append([]string{"run", "--metrics", "0", "--linger", "30s"}, arguments...)...)
	c.Dir = "../.."
	errs, err := c.StderrPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(errs)
	for lines.Scan() {
		if at := servedAt.FindStringSubmatch(lines.Text()); at != nil {
			address = at[1]
			break
		}
	}
	if address == "" {
		t.Fatalf("no address: %v", c.Wait())
	}
	go func() {
		for lines.Scan() { // so that it never waits
		}
	}()
	return address, c
}

const steadyLoad = `name: steady
phones: [{name: phone, count: 200, password_pause: 0s}]
load:
  executor: constant-arrival-rate
  rate: 50
  duration: 10s
  warm_up: 1s
  session: [login, Download_tempID, log out]
  generator: {lag: 1m, cpu: 100%}
thresholds:
  response_time: ["p(99)<60000"]
`

// TestLiveLoad: the page follows a load by itself, and in the end it is the page of the result.
func TestLiveLoad(t *testing.T) {
	t.Parallel()
	address, c := served(t, scenario(t, "steady", steadyLoad))
	b := open(t, address)
	b.is("document.title.startsWith('running')")
	b.await("document.querySelectorAll('#course svg.plot').length >= 3")
	before := value[string](b, "document.querySelector('#progress p').innerText")
	b.await("document.querySelector('#progress p').innerText !== " + quoted(before))
	b.await("document.querySelector('#checks tbody .good')")
	if out := os.Getenv("BROWSER_SHOTS"); out != "" {
		b.shot(out + "/live.png")
	}
	b.accessible()
	b.await("document.title.startsWith('passed')")
	b.is("document.body.innerText.includes('passed')")
	if err := c.Wait(); err != nil { // it does not wait for the metrics, which no one has read
		t.Error(err)
	}
	if out := os.Getenv("BROWSER_SHOTS"); out != "" {
		b.shot(out + "/live-end.png")
	}
}

// TestLiveWithoutAPlace: a page that no place is left for says so, and follows once there is one.
func TestLiveWithoutAPlace(t *testing.T) {
	t.Parallel()
	address, c := served(t, scenario(t, "steady", steadyLoad))
	var streams []io.Closer
	for range 8 {
		r, err := http.Get(address + "events")
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatal(r, err)
		}
		streams = append(streams, r.Body)
	}
	b := open(t, address)
	b.await("!document.querySelector('#full').hidden")
	b.is("document.querySelector('#lost').hidden")
	for _, s := range streams {
		_ = s.Close()
	}
	b.await("document.title.startsWith('passed')")
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = slices.DeleteFunc(b.messages, func(m string) bool { return strings.Contains(m, "status of 503") })
}

// TestLiveWithoutScript: the page has the state at which it was loaded, and a link that loads it again.
func TestLiveWithoutScript(t *testing.T) {
	t.Parallel()
	address, c := served(t, scenario(t, "steady", steadyLoad))
	b := open(t, address, call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	const progress = "(document.querySelector('#progress p') ?? {innerText: ''}).innerText" // empty while a page loads
	ready := chromedp.WaitReady(chromedp.CSS("#progress p"))                                // a page without scripts has no observers
	b.do(ready)
	before := value[string](b, progress)
	for v := before; v == before || v == ""; v = value[string](b, progress) { // until the timeout of the tab
		b.click("noscript a")
		b.do(ready)
	}
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	_ = c.Wait() // interrupted
}

const waiting = `name: waiting
phones: [{name: a}, {name: b}]
length: 8s
script:
  - {at: 1s, phone: a, login: right, expect: {reply: "Welcome to the BlueTrace Simulator!"}}
  - {at: 5s, phone: b, login: wrong, expect: {reply: "Welcome to the BlueTrace Simulator!"}}
`

// TestLiveScenario: the page of a scenario on real sockets names the step that is waited for and a failure, and becomes
// the page of the run.
func TestLiveScenario(t *testing.T) {
	t.Parallel()
	address, c := served(t, "--live", scenario(t, "waiting", waiting))
	b := open(t, address)
	b.await("document.querySelector('#progress').innerText.includes('line 6')")
	b.await("document.querySelector('#failures')")
	b.await("document.title.startsWith('failed')")
	b.await("document.querySelector('#failures') && document.querySelector('#scenario')")
	_ = c.Wait() // 99
	if code := c.ProcessState.ExitCode(); code != 99 {
		t.Errorf("exit status %d", code)
	}
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `\'`) + "'" }

// shot writes a picture of the window.
func (b *tab) shot(path string) {
	b.Helper()
	png, err := chromedp.Run(b.Context, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(path, png, 0o666)
	}
	if err != nil {
		b.Fatal(err)
	}
}
