package config

import (
	"maps"
	"net/netip"
	"path"
	"slices"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// seen is what a file has used so far, with places: the checks between entries.
type seen struct {
	d        *decoder
	names    map[kind]map[string]*token.Position
	listens  []listenAt
	paths    []pathAt
	refs     []reference
	uplinks  []uplinkAt
	sessions []sessionAt
	pools    []poolAt
	shared   []sharedAt
}

// kind is what a name is the name of.
type kind string

const (
	kindUplink  kind = "uplink"
	kindGroup   kind = "group"
	kindSession kind = "session"
	kindPool    kind = "pool"
)

type listenAt struct {
	addr netip.AddrPort
	at   *token.Position
}

type pathAt struct {
	path string // or a pattern
	link bool   // of a pty; else a serial device
	at   *token.Position
}

// reference is a name in place of what it is the name of.
type reference struct {
	kind kind
	name string
	at   ast.Node
}

func newSeen(d *decoder) *seen {
	s := &seen{d: d, names: map[kind]map[string]*token.Position{}}
	for _, k := range []kind{kindUplink, kindGroup, kindSession, kindPool} {
		s.names[k] = map[string]*token.Position{}
	}
	return s
}

// name finds two things of one kind with one name.
func (s *seen) name(k kind, name string, n ast.Node) {
	if name == "" || n == nil {
		return
	}
	if was := s.names[k][name]; was != nil {
		s.d.errorf(n, "%s %q is there already, in line %d", k, name, was.Line)
		return
	}
	s.names[k][name] = start(n)
}

// refer notes that a value is the name of something.
func (s *seen) refer(k kind, name string, n ast.Node) {
	if name != "" && n != nil {
		s.refs = append(s.refs, reference{k, name, n})
	}
}

func (s *seen) group(l *Lines, keys given) {
	if l.Name == SessionGroup {
		s.d.errorf(keys["name"], "a group of lines cannot be called %q: its lines would be called as the sessions that users share, %s/NAME", l.Name, l.Name)
	}
	s.name(kindGroup, l.Name, keys["name"])
	s.refer(kindUplink, l.Uplink, keys["uplink"])
	s.lineNames(l, keys)
}

// lineNames finds two places of one group whose lines would have one name: a
// line is called by the last part of its path.
func (s *seen) lineNames(l *Lines, keys given) {
	var paths []string
	var n ast.Node
	switch {
	case l.Serial != nil:
		paths, n = l.Serial.Devices, keys["serial"]
	case l.PTY != nil:
		paths, n = l.PTY.Links, keys["pty"]
	}
	byBase := map[string]string{}
	for _, p := range paths {
		base := path.Base(p)
		if was, ok := byBase[base]; ok && was != p {
			s.d.errorf(n, "%s and %s would both be line %s/%s: put one in a group of its own", was, p, l.Name, base)
		}
		byBase[base] = p
	}
}

// references finds names of what nobody describes. It runs last: in the file,
// lines may stand before uplinks.
func (s *seen) references(cfg *Config) {
	for _, r := range s.refs {
		if r.kind == kindUplink && len(cfg.Uplinks) == 0 {
			continue // that is the complaint already
		}
		if names := s.names[r.kind]; names[r.name] == nil {
			s.d.errorf(r.at, "there is no %s %q%s", r.kind, r.name, suggest(r.name, slices.Sorted(maps.Keys(names))))
		}
	}
}

// listen finds two listeners that would be in each other's way.
func (s *seen) listen(addr netip.AddrPort, n ast.Node) {
	for _, other := range s.listens {
		if addr.Port() != 0 && addr.Port() == other.addr.Port() && overlap(addr.Addr(), other.addr.Addr()) {
			s.d.errorf(n, "listen: port %d of this address is taken in line %d", addr.Port(), other.at.Line)
			return
		}
	}
	s.listens = append(s.listens, listenAt{addr, start(n)})
}

// overlap reports whether a listener on a and one on b meet. The invalid
// address and :: are every address, of both families; 0.0.0.0 is every IPv4 one.
func overlap(a, b netip.Addr) bool {
	a, b = a.Unmap(), b.Unmap()
	every := func(x netip.Addr) bool { return !x.IsValid() || x == netip.IPv6Unspecified() }
	switch {
	case a == b, every(a), every(b):
		return true
	case a.Is4() && b.Is4():
		return a.IsUnspecified() || b.IsUnspecified()
	}
	return false
}

func (s *seen) device(p string, n ast.Node) { s.path(pathAt{p, false, start(n)}, n) }
func (s *seen) link(p string, n ast.Node)   { s.path(pathAt{p, true, start(n)}, n) }

// path finds a device or link that two groups, or one twice, would take.
func (s *seen) path(p pathAt, n ast.Node) {
	for _, other := range s.paths {
		if p.path == other.path || matches(p, other) || matches(other, p) {
			s.d.errorf(n, "%.80q is taken by %.80q in line %d", p.path, other.path, other.at.Line)
			return
		}
	}
	s.paths = append(s.paths, p)
}

// matches reports whether serial pattern a may find b.
func matches(a, b pathAt) bool {
	if a.link {
		return false
	}
	ok, err := path.Match(a.path, b.path)
	return ok && err == nil
}
