package load

import (
	"testing"
	"testing/fstest"
)

func TestCPUQuota(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  float64
	}{
		"no control groups": {nil, 0},
		"version 2": {map[string]string{"proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/cpu.max": "22000 100000\n", "sys/fs/cgroup/a/cpu.max": "max 100000\n"}, 0.22},
		"version 2, a smaller limit above": {map[string]string{"proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n"}, 1.5},
		"version 2, a larger limit above": {map[string]string{"proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/cpu.max": "50000 100000\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n"}, 0.5},
		"version 2, without a limit": {map[string]string{"proc/self/cgroup": "0::/a\n",
			"sys/fs/cgroup/a/cpu.max": "max 100000\n"}, 0},
		"version 2, in a container": {map[string]string{"proc/self/cgroup": "0::/docker/123\n",
			"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5},
		"version 1": {map[string]string{"proc/self/cgroup": "7:cpuset:/\n4:cpu,cpuacct:/job\n1:name=systemd:/\n0::/\n",
			"sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us":  "22000\n",
			"sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpuset/cpu.cfs_quota_us":           "1\n",
			"sys/fs/cgroup/cpuset/cpu.cfs_period_us":          "100000\n"}, 0.22},
		"version 1, one controller": {map[string]string{"proc/self/cgroup": "4:cpu:/job\n",
			"sys/fs/cgroup/cpu/job/cpu.cfs_quota_us":  "-1\n",
			"sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":      "300000\n",
			"sys/fs/cgroup/cpu/cpu.cfs_period_us":     "100000\n"}, 3},
		"broken files": {map[string]string{"proc/self/cgroup": "x\n0::/../a\n::\n", "sys/fs/cgroup/cpu.max": "100\n",
			"sys/fs/cgroup/a/cpu.max": "1 0\n"}, 0},
	} {
		root := fstest.MapFS{}
		for path, text := range c.files {
			root[path] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := cpuQuota(root); got != c.want {
			t.Errorf("%s: %g processors, want %g", name, got, c.want)
		}
	}
}

// TestShareOfTheQuota: the share of the processors is that of those which the control
// group allows.
func TestShareOfTheQuota(t *testing.T) {
	u := Usage{User: 1_100_000_000}
	if p := processUse(u, 10_000_000_000, 0.22); p.CPUShare < .499 || p.CPUShare > .501 ||
		p.Processors() != "the 0.22 processors of its control group" {
		t.Errorf("%+v, of %s", p, p.Processors())
	}
	if p := processUse(u, 10_000_000_000, 1e6); p.CPUQuota != 0 || p.CPUShare >= .12 ||
		p.Processors() != "all processors" {
		t.Errorf("%+v, of %s", p, p.Processors())
	}
	if p := processUse(u, 10_000_000_000, 0); p.GCPauseSeconds != nil {
		t.Errorf("unknown pauses are %g", *p.GCPauseSeconds)
	}
}

// TestPausesBetweenUnknownOnes: the pauses between two times are known only if those of
// both are, so that none is negative.
func TestPausesBetweenUnknownOnes(t *testing.T) {
	known, unknown := Usage{GCPause: 1_800_000, HasGCPause: true}, Usage{}
	if u := known.since(Usage{GCPause: 800_000, HasGCPause: true}); !u.HasGCPause || u.GCPause != 1_000_000 {
		t.Errorf("%+v", u)
	}
	if known.since(unknown).HasGCPause || unknown.since(known).HasGCPause {
		t.Error("pauses are known of which one end is not")
	}
}
