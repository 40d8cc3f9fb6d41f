package sim

import "testing"

// TestBefore checks that a step takes place only if its time is before that of `before`.
func TestBefore(t *testing.T) {
	const script = head + `network: {tcp: {delay: 10ms}}
length: 1m
script:
  - {at: 1s, phone: a, login: right, as: in} # at 1.01s
`
	passes(t, script+`  - {at: in + 1s, phone: a, do: Download_tempID, before: 2.010000001s, as: issued}
  - {phone: a, do: log out, before: 2.030000001s, as: out}
expect: [issued.at == 2.02s, out.at == 2.04s]
`)
	passes(t, script+`  - {at: in + 1s, phone: a, do: Download_tempID, before: 2.01s, optional: true, as: late}
  - {phone: a, do: log out, before: 2.01s, optional: true}
  - {at: late + 1s, fault: {crash: server, for: 1s}, optional: true}
expect: [tempids.issued == 0, sessions.closed == 0, faults.applied == 0]
`)
	r := play(t, script+`  - {at: in + 1s, fault: {crash: server, for: 1s}, before: 2.01s}
`)
	for _, c := range r.Checks {
		if c.Name == "at: in + 1s, fault: {crash: server, for: 1s}, before: 2.01s" &&
			c.Found == "its time is 2.01s, and it must begin before 2.01s" {
			return
		}
	}
	t.Errorf("no failed check of the step among %+v", r.Checks)
}
