package reports

// Histograms are the times of a load, second by second.
type Histograms struct {
	Schema     int                   `json:"schema"` // stats.Schema
	Operations []OperationHistograms `json:"operations"`
}

// OperationHistograms has a text for each second in which an operation was due,
// from the first after the warm-up on. stats.EncodeSecond writes the texts.
type OperationHistograms struct {
	Name     string   `json:"name"`
	Response []string `json:"response"`
	Service  []string `json:"service"`
}
