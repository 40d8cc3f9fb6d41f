package load

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// cpuQuota returns the number of processors that the control groups of this process
// allow it, or 0 if they set no limit. The argument root is the root folder of the
// system. The limit of a group holds for all groups in it, so the least one counts.
func cpuQuota(root fs.FS) (least float64) {
	for line := range strings.Lines(fileText(root, "proc/self/cgroup")) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3) // number, controllers of version 1, path
		if len(part) < 3 || part[1] != "" && !slices.Contains(strings.Split(part[1], ","), "cpu") {
			continue
		}
		for _, mount := range []string{part[1], "cpu", "", "unified"} {
			for group := path.Clean("/" + part[2]); ; group = path.Dir(group) {
				n := limitOf(root, path.Join("sys/fs/cgroup", mount, group))
				if n > 0 && (least == 0 || n < least) {
					least = n
				}
				if group == "/" { // in a container it is the container's own group
					break
				}
			}
		}
	}
	return least
}

// limitOf returns the limit of one group in processors, or 0.
func limitOf(root fs.FS, group string) float64 {
	text := fileText(root, group+"/cpu.max") // of version 2
	if text == "" {
		text = fileText(root, group+"/cpu.cfs_quota_us") + " " + fileText(root, group+"/cpu.cfs_period_us")
	}
	var quota, period float64
	if n, _ := fmt.Sscan(text, &quota, &period); n < 2 || quota <= 0 || period <= 0 { // "max" is no number
		return 0
	}
	return quota / period
}

// fileText returns the text of a file; "" if it cannot be read.
func fileText(root fs.FS, name string) string {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return string(text)
}
