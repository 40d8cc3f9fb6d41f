package compare

import (
	"fmt"

	"bluetrace/reports"
	"bluetrace/reports/counts"
)

// Result is what a comparison needs of one run's JSON (docs/RESULTS.md).
type Result struct {
	path   string // of the file that it was read from
	number int    // of the objects in that file, from 1; 0: it is the only one

	Format         int             `json:"format"`
	Scenario       string          `json:"scenario"`
	World          string          `json:"world"`
	Seed           uint64          `json:"seed"`
	Digest         string          `json:"digest"`
	Verdict        reports.Verdict `json:"verdict"`
	VirtualSeconds float64         `json:"virtual_seconds"`
	Events         uint64          `json:"events"`
	Phones         int             `json:"phones"`

	counts.Counts

	Operations []delayed       `json:"operations"`
	Checks     []reports.Check `json:"checks"`
	Load       *loaded         `json:"load"`
}

// delayed is an operation of a run without a load.
type delayed struct {
	Name    string         `json:"name"`
	Count   int64          `json:"count"`
	DelayMs reports.Delays `json:"delay_ms"`
}

// loaded is the part of a load.
type loaded struct {
	Executor      string              `json:"executor"`
	Server        string              `json:"server"`
	WarmUpSeconds float64             `json:"warm_up_seconds"`
	Seconds       float64             `json:"seconds"`
	Arrivals      reports.Arrivals    `json:"arrivals"`
	All           outcomes            `json:"all"`
	Beacons       reports.LoadBeacons `json:"beacons"`
	ServerUse     *reports.ProcessUse `json:"server_use"`
	Conditions    *reports.Conditions `json:"conditions"`
	Histograms    *reports.Histograms `json:"histograms"`
}

// outcomes of operations.
type outcomes struct {
	OK      uint64 `json:"ok"`
	Failed  uint64 `json:"failed"`
	Unknown uint64 `json:"unknown"`
}

func (o outcomes) count() uint64 { return o.OK + o.Failed + o.Unknown }

func (r *Result) place() string {
	if r.number == 0 {
		return r.path
	}
	return fmt.Sprintf("%s, object %d", r.path, r.number)
}

// check refuses what is no result, or one that no run can have.
func (r *Result) check() error {
	if err := reports.CheckFormat(r.Format); err != nil {
		return err
	}
	switch {
	case r.Scenario == "" || r.World == "":
		return fmt.Errorf("this is no result of a run: it has no `scenario` or no `world`")
	case r.Load == nil || r.Load.Histograms == nil:
		return nil
	}
	const (
		mostOperations = 100
		mostSeconds    = 100_000
	)
	all := r.Load.Histograms.Operations
	if len(all) > mostOperations {
		return fmt.Errorf("`load.histograms` has %d operations; the most are %d", len(all), mostOperations)
	}
	seen := map[string]bool{}
	for _, o := range all {
		switch {
		case o.Name == "" || seen[o.Name]:
			return fmt.Errorf("`load.histograms` has the operation %q twice, or without a name", o.Name)
		case len(o.Response) != len(o.Service):
			return fmt.Errorf("%s has %d seconds of response times and %d of service times", o.Name, len(o.Response), len(o.Service))
		case len(o.Response) > mostSeconds:
			return fmt.Errorf("%s has %d seconds; the most are %d", o.Name, len(o.Response), mostSeconds)
		}
		seen[o.Name] = true
	}
	return nil
}
