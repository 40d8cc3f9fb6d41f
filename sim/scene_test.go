package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// TestSceneHasTheFiguresOfTheRun checks that a scene changes no run, and that its last sample has the counts.
func TestSceneHasTheFiguresOfTheRun(t *testing.T) {
	var digest string
	for _, withScene := range []bool{false, true} {
		s, err := scenarios.Load("../scenarios/classroom.yaml", scenarios.Options{})
		if err != nil {
			t.Fatal(err)
		}
		result, err := Run(t.Context(), s, Options{Scene: withScene})
		if err != nil {
			t.Fatal(err)
		}
		r := &result.Run
		if !withScene {
			digest = r.Digest
			continue
		}
		if last := r.Scene.Samples[len(r.Scene.Samples)-1]; r.Digest != digest || last.Counts != r.Counts ||
			last.At != result.Ended {
			t.Errorf("digest %s, want %s; the last sample is %+v, want %+v", r.Digest, digest, last, r.Counts)
		}
		if len(r.Scene.Moments) != 1 || r.Scene.Moments[0].Of != "upload" || len(r.Scene.Moments[0].Events) < 40 {
			t.Errorf("the moments are %+v", r.Scene.Moments)
		}
	}
}

// altered is a run in which each datagram of anna to ben has a fault of its own, and carl forges a beacon.
const altered = `name: altered
phones: [{name: anna, beacon: single}, {name: ben}, {name: carl, account: none, beacon: single}]
network: {udp: {delay: 1ms}}
faults:
  - {duplicate: 100%, at: 10s, for: 1s}
  - {corrupt: 100%, byte: 3, at: 20s, for: 1s}
  - {truncate: 100%, left: 5, at: 30s, for: 1s}
  - {delay: 2s, transport: udp, at: 40s, for: 1s}
script:
  - {at: 1s, phone: anna, login: right}
  - {at: 2s, phone: anna, do: Download_tempID}
  - {at: 10s, phone: anna, do: Beacon, to: ben, as: doubled}
  - {at: 20s, phone: anna, do: Beacon, to: ben}
  - {at: 30s, phone: anna, do: Beacon, to: ben}
  - {at: 40s, phone: anna, do: Beacon, to: ben}
  - {at: 50s, phone: anna, do: Beacon, to: ben, as: last}
  - {at: 60s, phone: carl, forge: {to: ben}}
length: 70s
`

// TestSceneTellsAlteredDatagrams checks the effect of each kind of fault on a datagram, and the contact graphs.
func TestSceneTellsAlteredDatagrams(t *testing.T) {
	result, err := Run(t.Context(), parse(t, altered), Options{Scene: true})
	if err != nil {
		t.Fatal(err)
	}
	scene := result.Run.Scene
	var got []string
	for _, e := range scene.Moments[1].Events {
		if e.Kind == reports.DatagramSent {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%v %s", e.At, e.Altered)))
		}
	}
	want := []string{"10s", "10s duplicate", "20s corrupted", "30s truncated", "40s delayed", "50s", "1m0s"}
	if !slices.Equal(got, want) {
		t.Errorf("the datagrams are %q, want %q", got, want)
	}
	for _, c := range []struct {
		graph *reports.Contacts
		want  string
	}{
		{scene.Moments[0].Contacts, "ben 1 of anna"},
		{scene.Moments[1].Contacts, "ben 4 of anna"},
		{scene.Contacts, "ben 4 of anna, ben 1 of carl"},
	} {
		var list []string
		for _, h := range c.graph.Heard {
			list = append(list, fmt.Sprintf("%s %d of %s", c.graph.Phones[h.To], h.Entries, c.graph.Phones[h.From]))
		}
		if got := strings.Join(list, ", "); got != c.want || c.graph.Unknown != 0 || c.graph.All != 3 {
			t.Errorf("at %v there are %q, want %q: %+v", c.graph.At, got, c.want, c.graph)
		}
	}
}
