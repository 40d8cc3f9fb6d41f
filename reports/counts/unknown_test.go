package counts

import (
	"encoding/json"
	"testing"
)

// TestUnknownCountIsMissing: a count that only a remote server knows does not stand as 0.
func TestUnknownCountIsMissing(t *testing.T) {
	for unknown, want := range map[bool]string{
		false: `{"complete":1,"broken":2,"entries":3,"resolved":0}`,
		true:  `{"complete":1,"broken":2,"entries":3}`,
	} {
		c := Counts{Uploads: Uploads{Complete: 1, Broken: 2, Entries: 3, ResolvedUnknown: unknown}}
		got, err := json.Marshal(c.Uploads)
		if err != nil || string(got) != want {
			t.Errorf("unknown %v: %s, %v; want %s", unknown, got, err, want)
		}
		for _, row := range Rows() {
			if known := row.IsKnown(&c); known != (row.Name != "uploads.resolved" || !unknown) {
				t.Errorf("unknown %v: %s is known: %v", unknown, row.Name, known)
			}
		}
	}
}
