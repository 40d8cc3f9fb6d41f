package sim

import (
	"slices"

	"bluetrace/nodes/files"
	"bluetrace/scenarios"
	"bluetrace/sim/virtual"
)

// everyFault calls f with each fault that the file or a step asks for.
func everyFault(s *scenarios.Scenario, f func(*scenarios.Fault)) {
	for i := range s.Faults {
		f(&s.Faults[i])
	}
	for i := range s.Script {
		if fault := s.Script[i].Fault; fault != nil {
			f(fault)
		}
	}
}

// takesMemory says whether a node to which the fault happens must have its files
// to go on with.
func takesMemory(f *scenarios.Fault) bool {
	switch f.Kind {
	case scenarios.FaultCrash, scenarios.FaultSwitchOff, scenarios.FaultDisk:
		return true
	}
	return false
}

// serverNeedsFolder says whether a fault may make the server read its files.
func serverNeedsFolder(s *scenarios.Scenario) bool {
	needs := false
	everyFault(s, func(f *scenarios.Fault) { needs = needs || takesMemory(f) && (f.Of.Any || f.Of.Server) })
	return needs
}

// lendFolders gives a folder to each phone that a fault may make read its log.
func lendFolders(s *scenarios.Scenario, phones []virtual.PhoneConfig) {
	var of []int
	everyFault(s, func(f *scenarios.Fault) {
		switch {
		case !takesMemory(f):
		case f.Of.Any:
			for i := range phones {
				of = append(of, i)
			}
		default:
			of = append(of, f.Of.Phones...)
		}
	})
	slices.Sort(of)
	for _, i := range slices.Compact(of) {
		phones[i].Folder = files.NewMemory()
	}
}
