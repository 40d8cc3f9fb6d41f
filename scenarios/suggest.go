package scenarios

// maxCandidates is how many are looked at for a likeness.
const maxCandidates = 1000

// nearest is the candidate that text was probably meant to be; false when none
// is near: at most a third of its characters may differ. Of two equally near
// the first wins.
func nearest(text string, candidates []string) (string, bool) {
	if len(text) > 64 {
		return "", false
	}
	best, bestAt := "", len(text)/3+1
	for _, c := range candidates[:min(len(candidates), maxCandidates)] {
		if d := distance(text, c); d < bestAt && c != "" {
			best, bestAt = c, d
		}
	}
	return best, best != ""
}

// distance counts the bytes to insert, delete, replace or swap with a
// neighbour that turn a into b. A capital is no difference.
func distance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if lower(a[i-1]) == lower(b[j-1]) {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
