package gateway

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// service is the Service-Name that a line's sessions ask for, once its user's realm is
// known.
type service struct {
	name  string
	known bool
	moved bool // a session has ended for it, which happens once in a call
}

// serviceName is what is asked for: a session that users share may want another
// service than the other lines of its uplink, and so may a group, or a user.
func (s *session) serviceName() string {
	if s.trunk != nil {
		if s.trunk.cfg.ServiceName != "" {
			return s.trunk.cfg.ServiceName
		}
		return s.up.cfg.ServiceName
	}
	if !s.service.known && len(s.group.ServicesByRealm) > 0 {
		s.service.name, s.service.known = s.g.services.of(s.info.Name)
	}
	switch {
	case s.service.known:
		return s.service.name
	case s.group.ServiceName != "":
		return s.group.ServiceName
	}
	return s.up.cfg.ServiceName
}

// otherService looks whether the user, who is about to give his name to the AC, is of
// a realm with another service than this session's. Then the session goes, and the
// line waits for the right one. It is to be asked before the name is sent.
func (s *session) otherService(now time.Time) bool {
	if len(s.group.ServicesByRealm) == 0 || s.service.moved || s.lineGone {
		return false
	}
	user := s.snoop.State().User
	at := strings.LastIndexByte(user, '@')
	if at < 0 {
		return false
	}
	realm := strings.ToLower(user[at+1:])
	want, ok := s.group.ServicesByRealm[realm]
	if !ok || want == s.serviceName() {
		return false
	}
	s.service = service{name: want, known: true, moved: true}
	if s.info.Kind != "tcp" { // the next to call by a connection may be anybody
		s.g.services.remember(s.info.Name, want)
	}
	s.reopen(now, fmt.Sprintf("users of %s have service %q", realm, want))
	return true
}

// services is the service of the last user of each device: he calls again, as a rule.
type services struct {
	mu     sync.Mutex
	byLine map[string]string
}

func (v *services) of(line string) (name string, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	name, ok = v.byLine[line]
	return name, ok
}

// remember is bounded by the devices that there are.
func (v *services) remember(line, name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.byLine == nil {
		v.byLine = make(map[string]string)
	}
	v.byLine[line] = name
}
