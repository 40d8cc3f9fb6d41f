package compare

import "testing"

// TestNumbersAreRounded checks the digits of numbers and changes in the text.
func TestNumbersAreRounded(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 300: "300", 0.5: "0.5", 1.0 / 3: "0.333333", 12.345678901234: "12.345679", 1e12 + 1: "1000000000001",
	} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
		if got := formatChange(v, Plain); got != "+"+want {
			t.Errorf("change of %v: %s, want +%s", v, got, want)
		}
	}
	if got := formatChange(-2.0/3, Plain); got != "-0.666667" {
		t.Errorf("a fall: %s", got)
	}
}

// TestADifferenceBelowTheShownDigits checks that rounding hides no difference.
func TestADifferenceBelowTheShownDigits(t *testing.T) {
	var e Exact
	e.addDifferences([]value{{"x", number(1), 1}}, []value{{"x", number(1 + 1e-9), 1 + 1e-9}})
	if len(e.Differences) != 1 {
		t.Errorf("%v, want one", e.Differences)
	}
}
