package gateway

import (
	"net"
	"strings"
	"unicode/utf8"

	"tributary/internal/line"
	"tributary/pppoe"
)

// accessLineTags tells the AC which line this is (TR-101), where it is asked to.
func (s *session) accessLineTags() []pppoe.Tag {
	cfg := s.up.cfg
	if cfg.CircuitID == "" && cfg.RemoteID == "" {
		return nil
	}
	id := pppoe.AccessLine{
		CircuitID: expandID(cfg.CircuitID, s.g.hostname, s.info),
		RemoteID:  expandID(cfg.RemoteID, s.g.hostname, s.info),
		// TR-101: the session comes from another kind of line, through an
		// interworking function.
		IWF: true,
	}
	id.UpRate, id.DownRate = s.accessRates()
	tag, err := id.Tag()
	if err != nil {
		s.g.log.Warn("no access line identification is sent", "line", s.info.Name, "err", err)
		return nil
	}
	return []pppoe.Tag{tag}
}

// accessRates is how fast the line is, in kbit/s, as TR-101 says it: what the operator
// says of the group, else what the line says; 0 is not known. A serial line is no faster
// for its start and stop bits, but it is the line's rate that is asked for.
func (s *session) accessRates() (up, down uint32) {
	own := uint32(s.info.Speed / 1000)
	if own == 0 && s.info.Speed > 0 {
		own = 1
	}
	up, down = own, own
	if v := s.group.AccessSpeed.Up; v > 0 {
		up = uint32(v)
	}
	if v := s.group.AccessSpeed.Down; v > 0 {
		down = uint32(v)
	}
	return up, down
}

// expandID fills in the template of a TR-101 Agent-Circuit-ID or
// Agent-Remote-ID, cut to the 63 octets that TR-101 allows, at a whole rune.
func expandID(template, hostname string, info line.Info) string {
	s := strings.NewReplacer(
		"{hostname}", hostname,
		"{group}", info.Group,
		"{line}", strings.TrimPrefix(info.Name, info.Group+"/"),
		"{device}", deviceOf(info),
		"{remote}", info.Remote,
		"{caller}", callerOf(info),
		"{kind}", info.Kind,
	).Replace(template)
	if len(s) <= pppoe.MaxLineID {
		return s
	}
	n := pppoe.MaxLineID
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// deviceOf is the name of the device that the line is on, "" for a connection.
func deviceOf(info line.Info) string {
	if !strings.HasPrefix(info.Remote, "/") {
		return ""
	}
	return info.Remote[strings.LastIndexByte(info.Remote, '/')+1:]
}

// callerOf is who calls, without what differs from one call of his to the next.
func callerOf(info line.Info) string {
	if host, _, err := net.SplitHostPort(info.Remote); err == nil {
		return host
	}
	return info.Remote
}
