package virtual_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// TestCrashOfTheServer checks that a crash breaks the connections, that stored
// records survive, and that the server starts when the fault ends.
func TestCrashOfTheServer(t *testing.T) {
	c := delays10
	c.DiskDelay = virtual.Delay{Min: 100 * ms, Max: 100 * ms}
	r := newRig(t, c)
	r.loginOK(0)
	r.loginOK(1)
	r.Call(second, func() { r.Type(0, protocol.CommandDownload) })
	r.Call(2*second, func() { r.SendBeacons(0, []uint32{1}) })
	r.addFault(3*second, 4*second, world.Fault{Kind: fault.Crash, Of: server})
	r.Call(5*second, func() { r.RestartServer(second) }) // no effect while it is down
	r.Call(6*second, func() { r.loginOK(1) })            // refused
	r.Call(8*second, func() { r.loginOK(1) })
	r.Call(9*second, func() { r.Type(1, protocol.CommandUpload) })
	r.until(10 * second)
	wantLines(t, "notes", r.noted("server"), "3s server stopped", "7s server started")
	wantLines(t, "trace", r.traced(" server: is "), "3.000000000 server: is killed",
		"7.000000000 server: is started again")
	wantLines(t, "applied", r.effectLines(), "3s fault 1 crash -1>-1 #0 0")
	wantOutcomes(t, r.outcomes(1), outcome{1, nodes.OpLogin, nodes.OutcomeOK}, outcome{1, nodes.OpLogin,
		nodes.OutcomeConnectionLost},
		outcome{1, nodes.OpLogin, nodes.OutcomeOK}, outcome{1, nodes.OpUpload, nodes.OutcomeOK})
	if n := r.Totals().Uploads; n.Resolved != 1 {
		t.Errorf("uploads %+v, want the TempID resolved", n)
	}
	wantLines(t, "refused", r.traced("b: connection refused"), "6.020000000 b: connection refused")
}

// TestCrashInTheMiddleOfAStore checks that the server starts after a crash during a
// store, with every record that it has acknowledged.
func TestCrashInTheMiddleOfAStore(t *testing.T) {
	found := map[string]int{}
	for seed := range uint64(18) {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
			c := virtual.Config{Seed: seed + 1, DiskDelay: virtual.Delay{Min: 100 * ms, Max: 100 * ms}}
			r := newRig(t, c)
			r.loginOK(0)
			r.Call(100*ms, func() { r.login(2, "wrong") })
			r.Call(second, func() { r.Type(0, protocol.CommandDownload) })
			r.Call(2*second, func() { r.Type(0, protocol.CommandDownload) })
			r.Call(2*second+ms, func() { r.Type(2, "wrong") })
			unsynced := []string{"lost", "kept", "torn"}[seed%3]
			r.addFault(2*second+50*ms, second, world.Fault{Kind: fault.Crash, Of: server, Unsynced: unsynced})
			r.Call(5*second, func() { r.loginOK(1) })
			r.Call(6*second, func() { r.Type(1, protocol.CommandDownload) })
			r.until(10 * second)
			b, _ := r.TempID(0)
			r.Call(10*second, func() {
				r.RawOpen(1)
				r.RawSend(1, []byte("b"))
				r.Call(r.Now()+second, func() { r.RawSend(1, []byte("pw-b")) })
				r.Call(r.Now()+2*second, func() { r.RawSend(1, []byte("Upload_contact_log")) })
				r.Call(r.Now()+3*second, func() { r.RawSend(1, []byte("3")) })
				r.Call(r.Now()+4*second, func() {
					r.RawSend(1, []byte(b.TempID.String()+b.Start.String()+b.Expiry.String()))
				})
			})
			r.until(20 * second)
			if n := r.Totals().Uploads; n.Complete != 1 || n.Resolved != 1 {
				t.Errorf("seed %d, %s: uploads %+v, want the first TempID resolved", seed+1, unsynced, n)
			}
			for _, line := range r.traced("prints") {
				if strings.Contains(line, "torn") || strings.Contains(line, "ahead") {
					found["mended, "+unsynced]++
				}
			}
			found[fmt.Sprintf("%s, left: %t", unsynced, r.effects[0].amount > 0)]++
		})
	}
	if found["lost, left: true"] != 0 || found["kept, left: true"] == 0 || found["torn, left: true"] == 0 {
		t.Errorf("bytes left: %v", found)
	}
	t.Log(found)
}

// TestServerThatCannotStart checks that a server that cannot start is started again
// every second.
func TestServerThatCannotStart(t *testing.T) {
	tried := 0
	for seed := range uint64(15) {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
			r := newRig(t, virtual.Config{Seed: seed + 1, DiskDelay: virtual.Delay{Min: 100 * ms, Max: 100 * ms}})
			r.loginOK(0)
			r.Call(second, func() { r.Type(0, protocol.CommandDownload) })
			r.Call(2*second, func() { r.Type(0, protocol.CommandDownload) })
			r.addFault(2*second+50*ms, second, world.Fault{Kind: fault.Crash, Of: server, Unsynced: "torn"})
			r.addFault(3*second, 2500*ms, world.Fault{Kind: fault.Disk, Disk: "failing", Of: server})
			r.Call(8*second, func() { r.loginOK(1) })
			r.until(10 * second)
			wantOutcomes(t, r.outcomes(1), outcome{1, nodes.OpLogin, nodes.OutcomeOK})
			refused := r.traced("does not start")
			if len(refused) == 0 {
				wantLines(t, "started", r.noted("server st"), "2.05s server stopped", "3.05s server started")
				return
			}
			tried++
			if len(refused) != 3 || !strings.HasPrefix(refused[2], "5.05") {
				t.Errorf("seed %d: %v", seed+1, refused)
			}
			wantLines(t, "started", r.noted("server st"), "2.05s server stopped", "6.05s server started")
		})
	}
	if tried == 0 {
		t.Error("none of 15 seeds had a server that could not start")
	}
}

// threeBeacons sends three beacons, which b receives at 1.01, 1.41 and 2.51 s.
func (r *rig) threeBeacons() {
	r.sendBeacon(second, 0, 1, 1)
	r.sendBeacon(1400*ms, 0, 1, 2)
	r.sendBeacon(2500*ms, 0, 1, 3)
}

// TestContactLogIsWrittenOnceASecond checks that a contact log is written at once if
// the last write is a second old, and else a second after it.
func TestContactLogIsWrittenOnceASecond(t *testing.T) {
	c := delays10
	c.Phones = withFolders(phonesNamed(protocol.Split, "a", "b", "c"))
	r := newRig(t, c)
	r.threeBeacons()
	r.until(300 * second)
	wantLines(t, "written", r.noted("wrote"), "1.01s phone 1 wrote 1", "2.01s phone 1 wrote 2", "3.01s phone 1 wrote 3",
		"3m1.01s phone 1 wrote 2", "3m2.01s phone 1 wrote 1", "3m3.01s phone 1 wrote 0")
}

// TestSwitchOff checks that a stored entry survives switching off and keeps its 3
// minutes by wall time.
func TestSwitchOff(t *testing.T) {
	c := delays10
	c.Phones = withFolders(phonesNamed(protocol.Split, "a", "b", "c"))
	r := newRig(t, c)
	r.loginOK(1)
	r.Call(2*second, func() { r.Type(1, protocol.CommandDownload) })
	r.threeBeacons()
	r.addFault(2600*ms, 10*second, world.Fault{Kind: fault.SwitchOff, Of: phones(1)})
	r.sendBeacon(2595*ms, 0, 1, 4) // arrives when it is off
	r.sendBeacon(5*second, 0, 1, 5)
	r.Call(5*second, func() {
		r.Type(1, protocol.CommandDownload)
		r.SendBeacons(1, []uint32{0})
		if _, has := r.TempID(1); has || r.Log(1).Len() != 0 || r.Stage(1) != nodes.StageOffline {
			t.Error("a phone that is off has a TempID, a log or a session")
		}
	})
	r.until(300 * second)
	wantLines(t, "notes", slices.Concat(r.noted("phone 1 st"), r.noted("lost on arrival")), "2.6s phone 1 stopped",
		"12.6s phone 1 started with 3", "2.605s lost on arrival", "5.01s lost on arrival")
	wantLines(t, "expiry", r.traced("that expire"), "181.010000000 b: log entries that expire: 1, left: 2",
		"181.410000000 b: log entries that expire: 1, left: 1", "182.510000000 b: log entries that expire: 1, left: 0")
	wantLines(t, "connection", r.traced("b: c1 is"), "2.600000000 b: c1 is closed by the phone")
	wantOutcomes(t, r.outcomes(1), outcome{1, nodes.OpLogin, nodes.OutcomeOK}, outcome{1, nodes.OpDownload,
		nodes.OutcomeOK})
	r.checkBalance()
}

// TestEntryExpiresWhileItsPhoneIsOff checks the expiry of entries while the phone is
// off, with and without a step of its clock.
func TestEntryExpiresWhileItsPhoneIsOff(t *testing.T) {
	for step, started := range map[time.Duration]string{
		0:          "3m1.01s phone 1 started with 2",
		-time.Hour: "3m1.01s phone 1 started with 3",
		time.Hour:  "3m1.01s phone 1 started with 0",
	} {
		t.Run(step.String(), func(t *testing.T) {
			c := delays10
			c.Phones = withFolders(phonesNamed(protocol.Split, "a", "b", "c"))
			r := newRig(t, c)
			r.threeBeacons()
			r.addFault(100*second, 81010*ms, world.Fault{Kind: fault.SwitchOff, Of: phones(1)})
			if step != 0 {
				r.addFault(120*second, 0, world.Fault{Kind: fault.Clock, Of: phones(1), Step: step, Instant: true})
			}
			r.until(500 * second)
			wantLines(t, "started", r.noted("started"), started)
			if step < 0 { // a duration is never prolonged
				wantLines(t, "expiry", r.traced("that expire"), "361.010000000 b: log entries that expire: 3, left: 0")
			}
			if n := r.Log(1).Len(); n != 0 {
				t.Errorf("%d entries are left", n)
			}

		})
	}
}

// TestCrashOfAPhone checks that the entries on the disk survive a crash, that those
// of the last second may be lost, and that the operation under way has no answer.
func TestCrashOfAPhone(t *testing.T) {
	found := map[string]int{}
	for seed := range uint64(18) {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
			c := delays10
			c.Seed = seed + 1
			c.Phones = withFolders(phonesNamed(protocol.Split, "a", "b", "c"))
			r := newRig(t, c)
			r.loginOK(1)
			r.threeBeacons() // the third would be written at 3.01 s
			r.Call(2640*ms, func() { r.Type(1, protocol.CommandDownload) })
			unsynced := []string{"lost", "kept", "torn"}[seed%3]
			r.addFault(2650*ms, 10*second, world.Fault{Kind: fault.Crash, Of: phones(1), Unsynced: unsynced})
			r.Call(20*second, func() { r.loginOK(1) })
			r.until(300 * second)
			started := r.noted("started")[0]
			found[unsynced+": "+started[len("12.65s phone 1 started with "):]]++
			if !strings.HasPrefix(started, "12.65s phone 1 started with ") {
				t.Errorf("seed %d: %s", seed+1, started)
			}
			got := r.traced("that expire")
			if !strings.HasPrefix(got[0], "181.01") || !strings.HasPrefix(got[1], "181.41") || len(got) == 3 &&
				!strings.HasPrefix(got[2], "182.51") {
				t.Errorf("seed %d: expiry %v", seed+1, got)
			}
			wantOutcomes(t, r.outcomes(1), outcome{1, nodes.OpLogin, nodes.OutcomeOK},
				outcome{1, nodes.OpDownload, nodes.OutcomeConnectionLost}, outcome{1, nodes.OpLogin, nodes.OutcomeOK})
			wantLines(t, "connection", r.traced("b: c1 breaks"), "2.650000000 b: c1 breaks")
			if n := r.Totals().Sessions; n.Opened != 2 || n.Closed != 1 {
				t.Errorf("sessions %+v", n)
			}
		})
	}
	for _, k := range []string{"lost", "kept", "torn"} {
		if found[k+": 2"] == 0 {
			t.Errorf("%s: with how many entries phones came back: %v", k, found)
		}
	}
	if found["kept: 3"] == 0 || len(found) > 6 {
		t.Errorf("with how many entries phones came back: %v", found)
	}
}

// TestCrashOfAPhoneWithoutAFolder checks that a phone without a disk loses its log
// in a crash.
func TestCrashOfAPhoneWithoutAFolder(t *testing.T) {
	r := newRig(t, delays10)
	r.threeBeacons()
	r.addFault(5*second, second, world.Fault{Kind: fault.Crash, Of: phones(1)})
	r.addFault(5500*ms, second, world.Fault{Kind: fault.Pause, Of: phones(1)}) // it starts behind the pause
	r.sendBeacon(7*second, 0, 1, 9)
	r.until(10 * second)
	wantLines(t, "notes", r.noted("phone"), "5s phone 1 stopped", "6.5s phone 1 started with 0")
	if n := r.Log(1).Len(); n != 1 {
		t.Errorf("%d entries, want the one that came after it", n)
	}
}

// TestTwoCrashesOverlap checks that a node is down until both of its crashes are
// over.
func TestTwoCrashesOverlap(t *testing.T) {
	r := newRig(t, delays10)
	both := world.Nodes{Phones: []uint32{1}, Server: true}
	r.addFault(second, 3*second, world.Fault{Kind: fault.Crash, Of: both})
	r.addFault(2*second, 4*second, world.Fault{Kind: fault.Crash, Of: both})
	r.Call(500*ms, func() { r.RestartServer(5 * second) })
	r.until(10 * second)
	wantLines(t, "notes", r.noted("st"), "500ms server stopped", "1s phone 1 stopped", "6s phone 1 started with 0",
		"6s server started")
}

// TestPhonesDiskFaults checks that a phone prints the first failed save of its log,
// and the first successful one after it.
func TestPhonesDiskFaults(t *testing.T) {
	for _, disk := range []string{"full", "failing", "fsync"} {
		t.Run(disk, func(t *testing.T) {
			c := delays10
			c.Phones = withFolders(phonesNamed(protocol.Split, "a", "b", "c"))
			r := newRig(t, c)
			r.addFault(2*second, 5*second, world.Fault{Kind: fault.Disk, Disk: disk, Of: phones(1)})
			r.threeBeacons()
			r.until(20 * second)
			got := r.traced("b: prints")
			if len(got) < 2 || !strings.HasPrefix(got[0], "2.010000000 b: prints \"the contact log is not saved: ") ||
				got[len(got)-1] != `7.010000000 b: prints "the contact log is saved again"` {
				t.Errorf("%s: the phone prints\n%s", disk, strings.Join(got, "\n"))
			}
			wantLines(t, disk, r.noted("wrote"), "1.01s phone 1 wrote 1", "7.01s phone 1 wrote 3")
			for _, a := range r.effects {
				if a.kind != string(fault.Disk) || a.node != 1 || a.at < 2010*ms || a.at > 6010*ms {
					t.Errorf("%s: applied %+v", disk, a)
				}
			}
			if len(r.effects) < 5 {
				t.Errorf("%s: applied %v", disk, r.effectLines())
			}

		})
	}
}

// TestPhonesSlowDisk checks that a slow write stores the log as it was when the
// write began.
func TestPhonesSlowDisk(t *testing.T) {
	c := delays10
	c.Phones = withFolders(phonesNamed(protocol.Split, "a", "b", "c"))
	r := newRig(t, c)
	r.addFault(0, 5*second, world.Fault{Kind: fault.Disk, Disk: "slow", Of: phones(1), Min: 1200 * ms, Max: 1200 * ms})
	r.threeBeacons()
	r.until(20 * second)
	wantLines(t, "written", r.noted("wrote"), "2.21s phone 1 wrote 1", "3.41s phone 1 wrote 2", "4.61s phone 1 wrote 3")
	wantLines(t, "applied", r.effectLines(), "1.01s fault 1 disk 1>-1 #0 1200000000",
		"2.21s fault 1 disk 1>-1 #0 1200000000", "3.41s fault 1 disk 1>-1 #0 1200000000")
}

// TestServersDiskFaults checks that the server does not issue a TempID that cannot
// be saved, and answers a wrong password all the same, which it saves again and again
// until the disk takes it.
func TestServersDiskFaults(t *testing.T) {
	for _, disk := range []string{"failing", "fsync", "full"} {
		t.Run(disk, func(t *testing.T) {
			r := newRig(t, delays10)
			r.loginOK(0)
			r.addFault(second, 20*second, world.Fault{Kind: fault.Disk, Disk: disk, Of: server})
			r.Call(2*second, func() { r.Type(0, protocol.CommandDownload) })
			r.Call(3*second, func() { r.login(1, "wrong") })
			r.Call(29*second, func() { r.loginOK(0) }) // on the first connection it would owe the answer
			r.Call(30*second, func() { r.Type(0, protocol.CommandDownload) })
			r.until(40 * second)
			stored := r.noted("stored")
			if len(stored) != 21 || stored[19] != "21.08s stored 1: <nil>" || stored[20] != "30.01s stored 1: <nil>" {
				t.Errorf("%s: %v", disk, stored)
				return
			}
			for i, s := range stored[1:19] {
				if !strings.HasPrefix(s, fmt.Sprintf("%d.08s stored 1: ", 3+i)) || strings.HasSuffix(s, "<nil>") {
					t.Errorf("%s: %s", disk, s)
				}
			}
			wantOutcomes(t, r.outcomes(0), outcome{0, nodes.OpLogin, nodes.OutcomeOK}, outcome{0, nodes.OpDownload,
				nodes.OutcomeNoAnswer},
				outcome{0, nodes.OpLogin, nodes.OutcomeOK}, outcome{0, nodes.OpDownload, nodes.OutcomeOK})
			wantOutcomes(t, r.outcomes(1), outcome{1, nodes.OpLogin, nodes.OutcomeWrongPassword})
			wantLines(t, disk, r.traced("is on disk"), "21.080000000 server: store 20 is on disk, records: 1",
				"30.010000000 server: store 21 is on disk, records: 1")
			wantLines(t, disk, r.traced("saved now"),
				`21.080000000 server: prints "the attempts that could not be saved are saved now"`)

		})
	}
}

// TestServersSlowDisk checks that a slow disk delays Stored and keeps the order.
func TestServersSlowDisk(t *testing.T) {
	c := delays10
	c.DiskDelay = delay10
	r := newRig(t, c)
	r.loginOK(0)
	r.loginOK(1)
	r.addFault(second, 2*second, world.Fault{Kind: fault.Disk, Disk: "slow", Of: server, Min: 3 * second,
		Max: 3 * second, Count: 1})
	r.Call(2*second, func() { r.Type(0, protocol.CommandDownload) })
	r.Call(2500*ms, func() { r.Type(1, protocol.CommandDownload) })
	r.until(10 * second)
	wantLines(t, "stores", r.noted("store"), "2.01s store of 1", "2.51s store of 1", "5.02s stored 1: <nil>",
		"5.02s stored 1: <nil>")
	wantLines(t, "applied", r.effectLines(), "2.01s fault 1 disk -1>-1 #0 3000000000")
}

// TestFaultHasNoEffectAfterItsEnd checks that no fault has an effect after its end.
func TestFaultHasNoEffectAfterItsEnd(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
			r, ends := runManyFaults(t, seed+1)
			last := map[uint64]time.Duration{}
			for _, e := range r.effects {
				last[e.fault] = e.at
			}
			for number, at := range last {
				if end, ok := ends[number]; ok && at > end {
					t.Errorf("seed %d: fault %d ends at %v and has an effect at %v", seed+1, number, end, at)
				}
			}
			if len(last) < 20 {
				t.Errorf("seed %d: only %d faults had an effect", seed+1, len(last))
			}
			for _, c := range r.notes {
				if strings.Contains(c, "after its end") {
					t.Errorf("seed %d: %s", seed+1, c)
				}
			}

		})
	}
}
