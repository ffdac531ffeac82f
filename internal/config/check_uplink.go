package config

import "time"

// uplinkAt is an uplink and where its keys stand.
type uplinkAt struct {
	*Uplink
	keys given
}

// patience is how long a user's PPP waits for an answer: ten Configure-Requests,
// three seconds apart (RFC 1661 section 4.6).
const patience = 30 * time.Second

// turns warns of lines that would wait for their PADI's turn for longer than users
// do, if all came back at once. Those of patterns of devices count once.
func (s *seen) turns(u uplinkAt, cfg *Config) {
	addresses := 1
	switch {
	case u.PADIInterval == 0 || u.MAC == MACPerLine:
		return
	case u.MAC == MACPooled:
		addresses = u.MACPool
	}
	lines := 0
	for i := range cfg.Lines {
		if l := &cfg.Lines[i]; l.Uplink == u.Name {
			lines += l.most()
		}
	}
	wait := time.Duration((lines+addresses-1)/addresses) * u.PADIInterval
	if wait <= patience {
		return
	}
	s.d.warnf(u.keys["padi_interval"], "padi_interval: %d lines that come back at once wait up to %s for their turn, with %d %s to ask from: see mac",
		lines, short(wait.Round(time.Second)), addresses, plural(addresses, "address", "addresses"))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// most is how many lines the group has at most, as far as the file tells.
func (l *Lines) most() int {
	switch {
	case l.TCP != nil:
		return l.TCP.Max
	case l.Serial != nil:
		return len(l.Serial.Devices)
	case l.PTY != nil:
		return len(l.PTY.Links)
	}
	return 0
}
