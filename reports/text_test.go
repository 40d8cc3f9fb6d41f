package reports

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"bluetrace/reports/counts"
)

func textOf(t *testing.T, r *Run, o TextOptions) string {
	t.Helper()
	var b strings.Builder
	if err := Text(&b, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextOfAPassedRun(t *testing.T) {
	want := `PASSED  classroom: 3 checks held
  A lesson.

  expectations: 1 of 1 held
    ok  beacons.valid > 1000

  thresholds: 1 of 1 held
    ok  beacon_delay: p(95)<6

  invariants: 1 of 1 held (1,234,567 evaluations)
    ok  no login succeeds during a block

  beacons     sent 14,100  delivered 14,000  valid 13,999  invalid 1  kept 13,998  expired 13,001
  datagrams   sent 56,400  delivered 55,800  lost 598  in flight 2
  sessions    opened 26  closed 3
  logins      welcomed 25  wrong 4  blocked 5  refused 6
  tempids     issued 104
  uploads     complete 8  broken 9  entries 72  resolved 71

  delay, ms         samples      mean       p50       p90       p95       p99       max
  beacon                  4     2.500     2.001     4.002     4.002     4.002     4.002
  tempid                  1     20.00     20.00     20.00     20.00     20.00     20.00

  throughput  5.185 beacons delivered per virtual second, 280,000 per wall second
  time        2700 s (45m0s) virtual in 50.00 ms wall (54,000x real time)
  events      1,234,567, 24,691,340 per wall second; 27 phones, 20.0 MiB at most

  seed        7
  digest      00c0ffee00c0ffee
  repeat      sim run --seed 7 scenarios/classroom.yaml
`
	if diff := cmp.Diff(want, textOf(t, passedRun(t), TextOptions{})); diff != "" {
		t.Error(diff)
	}
}

func TestTextOfAFailedRun(t *testing.T) {
	want := `FAILED  blocking: 1 of 3 checks failed, 1 undecided

  failed  expectation scenarios/blocking.yaml:18:5
    {at: blocked + 59.999999999s, phone: owner, login: right}
    expected  reply "Your account is blocked"
    found     reply "Welcome"
    at        61.999999999 s (1m1.999999999s) of virtual time
    last events
      1m1.9s owner sends password
      1m1.99s server says Welcome

  repeat      sim run --seed 1 scenarios/blocking.yaml

  expectations: 0 of 2 held, 1 undecided
    ?   {at: blocked + 60s, phone: owner, login: right}

  invariants: 1 of 1 held (90 evaluations)
    ok  a block lasts exactly block_duration

  time        62.05 s (1m2.05s) virtual in 2.000 ms wall (31,025x real time)
  events      90, 45,000 per wall second; 2 phones

  seed        1
  digest      0000000000000001

  notes       the trace has 2 odd lines
`
	if diff := cmp.Diff(want, textOf(t, failedRun(), TextOptions{})); diff != "" {
		t.Error(diff)
	}
}

func TestQuietTextIsTheVerdictAndWhatFailed(t *testing.T) {
	if got, want := textOf(t, passedRun(t), TextOptions{Quiet: true}),
		"PASSED  classroom: 3 checks held  digest 00c0ffee00c0ffee\n"; got != want {
		t.Errorf("passed: %q, want %q", got, want)
	}
	full := textOf(t, failedRun(), TextOptions{})
	end := strings.Index(full, "\n  expectations")
	want := strings.Replace(full[:end], "1 undecided\n", "1 undecided  digest 0000000000000001\n", 1)
	if diff := cmp.Diff(want, textOf(t, failedRun(), TextOptions{Quiet: true})); diff != "" {
		t.Errorf("failed:\n%s", diff)
	}
}

func TestVerdictOfAnInterruptedRunSaysWhatIsUndecided(t *testing.T) {
	r := passedRun(t)
	r.Verdict = Interrupted
	r.Checks[1].Verdict = Unknown
	got := textOf(t, r, TextOptions{Quiet: true})
	if want := "INTERRUPTED  classroom: 2 of 3 checks held, 1 undecided  digest 00c0ffee00c0ffee\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestUnexercisedChecksAreNotOK compares the text of checks that held with that of checks that nothing exercised.
func TestUnexercisedChecksAreNotOK(t *testing.T) {
	r := passedRun(t)
	r.Checks = append(r.Checks, Check{Kind: InvariantCheck, Name: "every TempID is issued once", Verdict: Passed})
	got := textOf(t, r, TextOptions{})
	for _, want := range []string{
		"PASSED  classroom: 3 checks held, 1 not exercised\n",
		"  invariants: 1 of 2 held, 1 not exercised (1,234,567 evaluations)\n" +
			"    ok  no login succeeds during a block\n" +
			"    --  every TempID is issued once (not exercised)\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	var document strings.Builder
	if err := JSON(&document, []*Run{r}); err != nil || strings.Count(document.String(),
		`"verdict": "not exercised"`) != 1 {
		t.Errorf("%v: %s", err, document.String())
	}
	_, suites := junitOf(t, r)
	if skipped := suites.Suites[0].Cases[3].Skipped; suites.Skipped != 1 || skipped == nil ||
		skipped.Message != "not exercised: nothing that this check is about happened" {
		t.Errorf("JUnit: %d skipped, %+v", suites.Skipped, suites.Suites[0].Cases[3])
	}
}

func TestFailureThatFoundNothingSaysSo(t *testing.T) {
	r := &Run{Scenario: "s", Verdict: Failed, Checks: []Check{
		{Kind: InvariantCheck, Name: "all is well", Verdict: Failed, Evaluations: 1, Expected: "a reply"},
	}}
	got := textOf(t, r, TextOptions{})
	want := `FAILED  s: 1 of 1 check failed

  failed  invariant
    all is well
    expected  a reply
    found     nothing

  repeat      

  invariants: 0 of 1 held (1 evaluation)
`
	if !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s", got)
	}
	if text, _ := junitOf(t, r); !strings.Contains(text, `message="expected a reply, found nothing"`) ||
		!strings.Contains(text, "\nfound: nothing\n") {
		t.Errorf("JUnit:\n%s", text)
	}
}

func TestColourOnlyWhenAsked(t *testing.T) {
	plain := textOf(t, failedRun(), TextOptions{})
	if strings.ContainsRune(plain, 0x1b) {
		t.Error("an escape character without colour")
	}
	coloured := textOf(t, failedRun(), TextOptions{Color: true})
	if !strings.HasPrefix(coloured, "\x1b[1;31mFAILED\x1b[0m  blocking") {
		t.Errorf("begins with %.40q", coloured)
	}
	if stripped := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(coloured, ""); stripped != plain {
		t.Errorf("without its colours the text differs:\n%s", cmp.Diff(plain, stripped))
	}
}

func TestTextKeepsToItsWidth(t *testing.T) {
	r := passedRun(t)
	big := uint64(18_446_744_073_709_551_615)
	r.Beacons = counts.Beacons{Sent: big, Delivered: big, Valid: big, Invalid: big, Kept: big, Expired: big}
	r.Datagrams = counts.Datagrams{Sent: big, Delivered: big, Lost: big, InFlight: big}
	r.About = strings.Repeat("words ", 50)
	r.Checks[0].Name = strings.Repeat("x", 300)
	r.Events, r.VirtualSeconds, r.WallSeconds = big, 1e9, 1e-9
	for line := range strings.Lines(textOf(t, r, TextOptions{})) {
		if n := utf8.RuneCountInString(line) - 1; n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestOnlySomeOfManyHeldChecksAreListed(t *testing.T) {
	r := passedRun(t)
	for range 25 {
		r.Checks = append(r.Checks, Check{Kind: ExpectationCheck, Name: "again", Verdict: Passed})
	}
	got := textOf(t, r, TextOptions{})
	if n := strings.Count(got, "    ok  again\n"); n != 19 {
		t.Errorf("%d listed, want 19 (with the first: 20)", n)
	}
	if !strings.Contains(got, "    and 6 more\n") {
		t.Errorf("the rest is not counted:\n%s", got)
	}
}

func hostileRun() *Run {
	at := 1.0
	return &Run{
		Scenario: hostile, File: hostile, About: hostile, World: hostile, Digest: hostile, Verdict: Failed,
		Repeat: hostile,
		Notes:  []string{hostile},
		Checks: []Check{
			{Kind: ExpectationCheck, Name: hostile, Place: hostile + ":3:4", Verdict: Failed, Expected: hostile,
				Found: hostile, AtSeconds: &at, LastEvents: []string{hostile}},
			{Kind: ThresholdCheck, Name: hostile, Place: hostile, Verdict: Passed, Found: hostile},
			{Kind: InvariantCheck, Name: hostile, Verdict: Unknown},
		},
	}
}

func TestNothingUnprintableReachesTheTerminal(t *testing.T) {
	var machine strings.Builder
	if err := JSON(&machine, []*Run{hostileRun()}); err != nil {
		t.Fatal(err)
	}
	if err := JUnit(&machine, []*Run{hostileRun(), {Verdict: NotRun, Scenario: hostile, Error: hostile}}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{textOf(t, hostileRun(), TextOptions{}), machine.String()} {
		for _, r := range text {
			if r != '\n' && !strconv.IsPrint(r) && r != '\ufffd' {
				t.Errorf("%U in the text", r)
			}
		}
	}
	for line := range strings.Lines(textOf(t, hostileRun(), TextOptions{})) {
		if strings.HasPrefix(line, "\x07") || strings.HasPrefix(line, "]]>") {
			t.Errorf("a line was faked: %q", line)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestWritersErrorsAreReturned(t *testing.T) {
	broken := errors.New("broken")
	w := failing{broken}
	for name, err := range map[string]error{
		"text":  Text(w, passedRun(t), TextOptions{}),
		"json":  JSON(w, []*Run{passedRun(t)}),
		"junit": JUnit(w, []*Run{passedRun(t)}),
	} {
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{FormatCount(0), "0"}, {FormatCount(999), "999"}, {FormatCount(1000), "1,000"},
		{FormatCount(1234567), "1,234,567"},
		{FormatDigits(0), "0"}, {FormatDigits(0.0125), "0.013"}, {FormatDigits(9.9994), "9.999"},
		{FormatDigits(12.345), "12.35"},
		{FormatDigits(123.45), "123.5"}, {FormatDigits(999.5), "1,000"}, {FormatDigits(1e18), "1e+18"}, {FormatDigits(-1), "0"},
		{FormatTime(0), "0 s"}, {FormatTime(59.999999999), "59.999999999 s"}, {FormatTime(179.999999999),
			"179.999999999 s (2m59.999999999s)"},
		{FormatLength(0), "0.000 s"}, {FormatLength(59.9994), "59.999 s"}, {FormatLength(2700.2), "45m0s"},
		{FormatLength(86399), "23h59m59s"}, {FormatLength(15726301), "182 d 25m1s"},
		{wallTime(0.0002), "0.200 ms"}, {wallTime(1.5), "1.500 s"},
		{Plural(1, "check", "checks"), "1 check"}, {Plural(2000, "check", "checks"), "2,000 checks"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
