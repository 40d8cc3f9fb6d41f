package sim

import (
	"strings"
	"time"

	"bluetrace/protocol"
	"bluetrace/scenarios"
)

// actForge sends a beacon that is put together from the step's fields.
func (r *run) actForge(st *step, who uint32) {
	f := st.Forge
	var raw [protocol.BeaconSize]byte
	var b protocol.Beacon
	fields := [3]string{}
	if f.Copy >= 0 {
		b, _ = r.world.TempID(uint32(f.Copy))
		b.Encode(&raw)
		for i := range fields {
			fields[i] = string(protocol.Part(&raw, i))
		}
	} else {
		id := protocol.DrawTempID(&st.forge)
		fields[0] = id.String()
		fields[1] = r.wireTime(scenarios.WireTime{})
		fields[2] = r.wireTime(scenarios.WireTime{Offset: r.scenario.Server.TempIDLifetime})
	}
	if f.TempID != "" {
		fields[0] = f.TempID
	}
	if f.Start.Set {
		fields[1] = r.wireTime(f.Start)
	}
	if f.Expiry.Set {
		fields[2] = r.wireTime(f.Expiry)
	}
	parts := []string{fields[0], fields[1], fields[2], f.Version}
	for _, to := range f.To {
		r.announceForged(who, uint32(to), strings.Join(parts, ""))
		if f.Form == scenarios.FormSingle {
			r.world.SendDatagram(who, uint32(to), uint16(f.Port), []byte(strings.Join(parts, "")))
			continue
		}
		r.sendSpaced(who, uint32(to), f.Port, kept(parts, f.Omit), f.Gap)
	}
}

func (r *run) announceForged(who, to uint32, whole string) {
	var raw [protocol.BeaconSize]byte
	if copy(raw[:], whole) == len(raw) && len(whole) == len(raw) {
		r.world.AnnounceForged(who, to, &raw)
	}
}

func kept(parts []string, omit []int) []string {
	var left []string
	for i, p := range parts {
		gone := false
		for _, o := range omit {
			gone = gone || o == i+1
		}
		if !gone {
			left = append(left, p)
		}
	}
	return left
}

// sendSpaced sends datagrams one gap apart.
func (r *run) sendSpaced(who, to uint32, port int, texts []string, gap time.Duration) {
	for i, t := range texts {
		if i == 0 || gap == 0 {
			r.world.SendDatagram(who, to, uint16(port), []byte(t))
			continue
		}
		r.world.Call(r.world.Now()+time.Duration(i)*gap, func() {
			r.world.SendDatagram(who, to, uint16(port), []byte(t))
		})
	}
}

// wireTime is a time relative to now, cut to the second, or a text as it is.
func (r *run) wireTime(t scenarios.WireTime) string {
	if t.Text != "" {
		return t.Text
	}
	return r.world.Wall().Add(t.Offset).Format(wireLayout)
}

const wireLayout = "02/01/2006 15:04:05"

func (r *run) actDatagrams(st *step, who uint32) {
	for _, to := range st.Datagrams.To {
		r.sendSpaced(who, uint32(to), st.Datagrams.Port, st.Datagrams.Send, st.Datagrams.Gap)
	}
}
