package counts

import (
	"encoding/json"
	"reflect"
	"testing"
)

// TestEachFieldHasARow fills every field with a number of its own: the row named
// by its JSON path must have that number, and there is no other row.
func TestEachFieldHasARow(t *testing.T) {
	var c Counts
	n := uint64(0)
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		for j := range v.Field(i).NumField() {
			if count := v.Field(i).Field(j); count.CanUint() {
				n++
				count.SetUint(n)
			}
		}
	}
	text, err := json.Marshal(&c)
	if err != nil {
		t.Fatal(err)
	}
	var groups map[string]map[string]uint64
	if err := json.Unmarshal(text, &groups); err != nil {
		t.Fatal(err)
	}
	for group, fields := range groups {
		for field, want := range fields {
			if got, ok := c.Value(group + "." + field); !ok || got != want {
				t.Errorf("%s.%s is %d (%v), want %d", group, field, got, ok, want)
			}
		}
	}
	if len(Rows()) != int(n) {
		t.Errorf("%d rows for %d fields", len(Rows()), n)
	}
	if _, ok := c.Value("beacons.none"); ok {
		t.Error("a count that does not exist has a value")
	}
}
