package load

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// cpuQuota returns the number of processors that the control groups of this process
// allow it, or 0 if they set no limit. The argument root is the root folder of the
// system. The limit of a group holds for all groups in it, so the least one counts.
func cpuQuota(root fs.FS) (least float64) {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3) // number, controllers, path
		if len(part) < 3 {
			continue
		}
		limit, mounts := limitV1, []string{"sys/fs/cgroup/" + part[1], "sys/fs/cgroup/cpu"}
		if part[1] == "" {
			limit, mounts = limitV2, []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"}
		} else if !strings.Contains(","+part[1]+",", ",cpu,") {
			continue
		}
		for _, mount := range mounts {
			for group := path.Clean("/" + part[2]); ; group = path.Dir(group) {
				if n := limit(root, path.Join(mount, group)); n > 0 && (least == 0 || n < least) {
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

// limitV1 returns the limit of one group of version 1 in processors, or 0.
func limitV1(root fs.FS, group string) float64 {
	return quotient(numbers(root, group+"/cpu.cfs_quota_us"), numbers(root, group+"/cpu.cfs_period_us"))
}

// limitV2 returns the limit of one group of version 2 in processors, or 0.
func limitV2(root fs.FS, group string) float64 {
	n := numbers(root, group+"/cpu.max")
	if len(n) < 2 {
		return 0
	}
	return quotient(n[:1], n[1:])
}

// numbers returns the numbers of a file up to a word that is none, such as max.
func numbers(root fs.FS, name string) (list []float64) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	for _, word := range strings.Fields(string(text)) {
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			break
		}
		list = append(list, n)
	}
	return list
}

// quotient divides two numbers; 0 if one is missing or not positive.
func quotient(quota, period []float64) float64 {
	if len(quota) == 0 || len(period) == 0 || quota[0] <= 0 || period[0] <= 0 {
		return 0
	}
	return quota[0] / period[0]
}
