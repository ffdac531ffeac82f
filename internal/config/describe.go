package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// String says in words what a gateway with this configuration does: what
// tributary check prints. It has several lines, each with its end.
func (c *Config) String() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
	for i := range c.Uplinks {
		describe(w, "uplink "+c.Uplinks[i].Name, c.Uplinks[i].sentences())
	}
	for i := range c.Lines {
		describe(w, "lines "+c.Lines[i].Name, c.Lines[i].sentences())
	}
	for i := range c.Sessions {
		describe(w, "session "+c.Sessions[i].Name, c.Sessions[i].sentences())
	}
	for i := range c.Pools {
		describe(w, "pool "+c.Pools[i].Name, c.Pools[i].sentences())
	}
	describe(w, "control", []string{"commands reach it at " + c.Control.Socket})
	describe(w, "log", []string{fmt.Sprintf("%s and above, as %s, to standard error", c.Log.Level, c.Log.Format)})
	state := []string{c.StateDir + ": open sessions, ended at the next start if this one crashes"}
	if len(c.Pools) > 0 {
		state = append(state, "and which user had which address, to be given the same one again")
	}
	describe(w, "state", state)
	w.Flush() // to a strings.Builder: it cannot fail
	return out.String()
}

func describe(w *tabwriter.Writer, what string, sentences []string) {
	for _, s := range sentences {
		fmt.Fprintf(w, "%s\t%s\n", what, s)
		what = ""
	}
}

// list is items with sep between them.
func list[T any](items []T, sep string) string {
	words := make([]string, len(items))
	for i, item := range items {
		words[i] = fmt.Sprint(item)
	}
	return strings.Join(words, sep)
}

func (u *Uplink) sentences() []string {
	where := "interface " + u.Interface
	switch len(u.VLANs) {
	case 1:
		where += fmt.Sprintf(", VLAN %d", u.VLANs[0])
	case 2:
		where += fmt.Sprintf(", VLAN %d inside VLAN %d", u.VLANs[1], u.VLANs[0])
	}
	switch u.MAC {
	case MACPerLine:
		where += ", each line with its own MAC address"
	case MACPooled:
		where += fmt.Sprintf(", lines spread over %d MAC addresses", u.MACPool)
	default:
		where += ", with its MAC address"
	}
	service := "any service"
	if u.ServiceName != "" {
		service = fmt.Sprintf("service %q", u.ServiceName)
	}
	s := []string{
		where,
		fmt.Sprintf("asks for %s of %s, collects offers for %s, gives up after %s", service, u.acWords(), u.OfferWait, short(u.Discovery.Timeout)),
		u.healthWords(),
		u.limits() + fmt.Sprintf(", PPP payloads of at most %d octets", u.MaxPayload),
	}
	if u.CircuitID != "" || u.RemoteID != "" {
		s = append(s, fmt.Sprintf("tells the ISP circuit id %q, remote id %q", u.CircuitID, u.RemoteID))
	}
	if u.Echo.Interval > 0 {
		s = append(s, fmt.Sprintf("asks a silent access concentrator after %s, and ends the session after %d without an answer", short(u.Echo.Interval), u.Echo.Failures))
	}
	return s
}

// limits is what holds the uplink's lines back when many look for a session.
func (u *Uplink) limits() string {
	s := fmt.Sprintf("at most %d PADIs a second", u.PADIRate)
	if u.PADIInterval > 0 {
		s += fmt.Sprintf(" and one in %s from one address", short(u.PADIInterval))
	}
	if u.MaxDiscovering > 0 {
		s += fmt.Sprintf(", %d searches at once", u.MaxDiscovering)
	}
	return s
}

func (l *Lines) sentences() []string {
	var s []string
	switch {
	case l.TCP != nil:
		from := "anyone"
		if len(l.TCP.Allow) > 0 {
			from = list(l.TCP.Allow, ", ")
		}
		s = append(s, fmt.Sprintf("listens on TCP %s for at most %d connections from %s", l.TCP.Listen, l.TCP.Max, from))
	case l.Serial != nil:
		carrier := "up while there is carrier"
		if !l.Serial.Carrier {
			carrier = "carrier ignored"
		}
		s = append(s, fmt.Sprintf("serial %s at %d bit/s, flow control %s, %s", strings.Join(l.Serial.Devices, " "), l.Serial.Speed, l.Serial.Flow, carrier))
	case l.PTY != nil:
		s = append(s, fmt.Sprintf("pseudo-terminals %s, permissions %04o", strings.Join(l.PTY.Links, " "), l.PTY.Mode))
	}
	if l.Shared != nil {
		s = append(s, l.Shared.sentences()...)
	} else {
		s = append(s, l.relaySentences()...)
	}
	return append(s, fmt.Sprintf("at most %d frames wait for a line, and fewer when they keep waiting longer than %s", l.Queue.Frames, l.Queue.Delay))
}

func (l *Lines) relaySentences() []string {
	when := "its first frame"
	if l.Open == OpenConnect {
		when = "connect"
	}
	s := []string{fmt.Sprintf("each line has a PPPoE session of its own on uplink %s, opened at %s", l.Uplink, when)}
	if l.FirstFrameTimeout > 0 {
		s = append(s, fmt.Sprintf("a line without a frame for %s is closed", short(l.FirstFrameTimeout)))
	}
	if l.ServiceName != "" {
		s = append(s, fmt.Sprintf("asks for service %q", l.ServiceName))
	}
	for _, realm := range slices.Sorted(maps.Keys(l.ServicesByRealm)) {
		s = append(s, fmt.Sprintf("users of realm %s: service %q", realm, l.ServicesByRealm[realm]))
	}
	if sp := l.AccessSpeed; sp != (Speed{}) {
		s = append(s, fmt.Sprintf("the ISP is told that lines have %d kbit/s up, %d down (0: what the line says)", sp.Up, sp.Down))
	}
	if l.OnSessionLoss == LossRedial {
		s = append(s, fmt.Sprintf("a line whose session falls is held for %s while it is dialled again, %s after it fell and up to %s apart",
			short(l.Redial.Timeout), short(l.Redial.Min), short(l.Redial.Max)))
	}
	if l.ClampMSS {
		s = append(s, "the MSS of TCP connections is lowered to what the session carries")
	}
	return s
}
