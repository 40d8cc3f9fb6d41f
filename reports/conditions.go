package reports

// Conditions are what two loads must share for their figures to be comparable.
type Conditions struct {
	// ScenarioSum is a hash of the scenario's text and of the values of its
	// ${NAME}, in hexadecimal digits.
	ScenarioSum string  `json:"scenario_sum"`
	StartRate   float64 `json:"start_rate"` // arrivals per second, before the first stage
	Stages      []Stage `json:"stages"`
	Machine     Machine `json:"machine"` // that of the generator
	Build       Build   `json:"build"`   // of sim, and so of the run's own server
}

// Stage changes the rate evenly to Rate, in arrivals per second.
type Stage struct {
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"rate"`
}

// Machine is one that a load ran on.
type Machine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPU  string `json:"cpu"` // its model; empty: not known
	CPUs int    `json:"cpus"`
	// Host is a hash of its name: enough to tell two machines apart, and no more.
	Host string `json:"host"`
}

// Build is a program.
type Build struct {
	Go       string `json:"go"`       // version of the compiler
	Revision string `json:"revision"` // of the source, with + when it was changed; empty: not known
}
