package scenarios

import "testing"

func TestSumIsOfTextAndVariables(t *testing.T) {
	sum := func(text, value string) string {
		t.Helper()
		s, err := Parse("f.yaml", []byte(text), Options{Vars: map[string]string{"N": value}})
		if err != nil {
			t.Fatal(err)
		}
		return s.Hash
	}
	text := "name: x\nlength: 1s\nphones: [{name: a, count: \"${N}\"}]\nexpect: [events > 0]\n"
	first := sum(text, "1")
	if len(first) != 32 || sum(text, "1") != first {
		t.Errorf("the sum of one scenario is %q, then %q", first, sum(text, "1"))
	}
	if sum(text, "2") == first || sum(text+"# a word\n", "1") == first {
		t.Error("another text or another value has the same sum")
	}
}
