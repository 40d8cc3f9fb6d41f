package reports

import "testing"

// BenchmarkEncodeSecond: a second of 1,000 samples in 500 cells.
func BenchmarkEncodeSecond(b *testing.B) {
	samples := map[int64]uint64{}
	for i := range int64(1000) {
		samples[100_000+i*i*3]++
	}
	size := 0
	for b.Loop() {
		text, err := EncodeSecond(samples)
		if err != nil {
			b.Fatal(err)
		}
		size = len(text)
	}
	b.ReportMetric(float64(size), "bytes")
}
