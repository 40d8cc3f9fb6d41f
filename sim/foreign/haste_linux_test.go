package foreign

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
)

// needs skips a test out loud.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	if library, err := FindFaketime(); err != nil {
		t.Skipf("SKIPPED: hastened time: %v; install the package faketime", err)
	} else {
		t.Logf("libfaketime is %s", library)
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("SKIPPED: hastened time of %s: %v; install it", p, err)
		}
	}
}

// compiled compiles a C program that prints its time, waits so many seconds and prints its time again, twice.
func compiled(t *testing.T) string {
	t.Helper()
	const source = `#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>
static void show(void) {
	struct timeval t;
	gettimeofday(&t, NULL);
	printf("%ld.%06ld\n", (long)t.tv_sec, (long)t.tv_usec);
	fflush(stdout);
}
int main(int argc, char **argv) {
	show(); sleep(atoi(argv[1])); show();
	show(); poll(NULL, 0, 1000 * atoi(argv[1])); show();
	return 0;
}
`
	file := filepath.Join(t.TempDir(), "waits")
	if err := os.WriteFile(file+".c", []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-o", file, file+".c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

func TestHastenC(t *testing.T) {
	needs(t, "gcc")
	program := compiled(t)
	eachIsolation(t, func(t *testing.T) {
		before := sharedMemory()
		c := Config{Command: program + " {wait}", Clock: clock.New(), Folder: t.TempDir(), Hasten: 20}
		if err := CalibrateWith(t.Context(), c, 2); err != nil {
			t.Error(err)
		}
		c.Command = "echo its last line"
		err := CalibrateWith(t.Context(), c, 2)
		want := "not hastened: the program that tries it has ended: exit status 0; last lines: its last line"
		if err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
		if left := sharedMemory(); !slices.Equal(left, before) {
			t.Errorf("left behind: %q", left)
		}
	})
}

func sharedMemory() []string {
	found, _ := filepath.Glob("/dev/shm/*faketime*")
	return found
}

// TestEpoch: programs that start at different times have the same clock, and so have the programs that a shell starts.
func TestEpoch(t *testing.T) {
	needs(t)
	now := time.Now()
	p, lines := run(t, Config{Hasten: 20, Epoch: now.Add(-time.Hour), Command: "date +%s; sleep 60; sh -c 'date +%s'"})
	var printed [2]int64
	for i := range printed {
		var err error
		if printed[i], err = strconv.ParseInt(await(t, p, lines), 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	ahead := time.Unix(printed[0], 0).Sub(now)
	if ahead < 19*time.Hour-time.Second || ahead > 20*time.Hour { // whole seconds are printed
		t.Errorf("%v ahead", ahead)
	}
	if passed := printed[1] - printed[0]; passed < 60 {
		t.Errorf("%d s passed", passed)
	}
}

func TestHastenJava(t *testing.T) {
	needs(t, "java", "javac")
	if err := Calibrate(t.Context(), Config{Command: "java Server 13000", Clock: clock.New(), Hasten: 20}); err != nil {
		t.Error(err)
	}
}

// TestHastenPython: version 0.9.10 makes waits of Python longer. Others are right, or it is noticed.
func TestHastenPython(t *testing.T) {
	needs(t, "python3", "faketime")
	err := Calibrate(t.Context(), Config{Command: "python3 server.py 13000", Clock: clock.New(), Hasten: 20})
	t.Log(err)
	version, _ := exec.Command("faketime", "--version").CombinedOutput()
	switch {
	case strings.Contains(string(version), "0.9.10"):
		if err == nil || !strings.HasPrefix(err.Error(), "not hastened: wait 3 of 4 takes longer") {
			t.Errorf("%v with %s", err, version)
		}
	case err != nil && !strings.HasPrefix(err.Error(), "not hastened: "):
		t.Error(err)
	}
}

func TestUnknownRuntime(t *testing.T) {
	err := Calibrate(t.Context(), Config{Command: "./server 13000", Clock: clock.New(), Hasten: 20})
	if want := `not hastened: the runtime of "./server 13000" is not known; known are python and java`; err == nil ||
		err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func TestCheckHaste(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		printed, real time.Duration
		want          string
	}{
		{10 * s, s / 2, ""},
		{60 * s, 3 * s, ""}, // a busy machine
		{10 * s, 10 * s, "not hastened: a wait of 10s takes 10s at x20"},
		{200 * s, 10 * s, "not hastened: a wait of 10s takes 10s at x20"},
		{s / 2, s / 2, "not hastened: a wait of 10s ends after 500ms of its clock"},
		{10 * s, 4 * s, "not hastened: its clock runs 10s in 4s, not 20 times as fast"},
	} {
		got := ""
		if err := CheckHaste(20, c.printed, c.real, 10*s); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%v in %v: %q\nwant %q", c.printed, c.real, got, c.want)
		}
	}
}
