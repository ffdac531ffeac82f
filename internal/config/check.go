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
	d       *decoder
	uplinks map[string]*token.Position
	groups  map[string]*token.Position
	listens []listenAt
	paths   []pathAt
	refs    []reference
}

type listenAt struct {
	addr netip.AddrPort
	at   *token.Position
}

type pathAt struct {
	path string // or a pattern
	link bool   // of a pty; else a serial device
	at   *token.Position
}

type reference struct {
	uplink string
	at     ast.Node
}

func newSeen(d *decoder) *seen {
	return &seen{d: d, uplinks: map[string]*token.Position{}, groups: map[string]*token.Position{}}
}

func (s *seen) uplink(name string, n ast.Node) {
	if name == "" || n == nil {
		return
	}
	if was := s.uplinks[name]; was != nil {
		s.d.errorf(n, "uplink %q is there already, in line %d", name, was.Line)
		return
	}
	s.uplinks[name] = start(n)
}

func (s *seen) group(l *Lines, keys given) {
	if n := keys["name"]; n != nil && l.Name != "" {
		if was := s.groups[l.Name]; was != nil {
			s.d.errorf(n, "group %q is there already, in line %d", l.Name, was.Line)
		} else {
			s.groups[l.Name] = start(n)
		}
	}
	if n := keys["uplink"]; n != nil && l.Uplink != "" {
		s.refs = append(s.refs, reference{l.Uplink, n})
	}
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

// references finds uplinks that lines name and nobody describes. It runs last:
// lines may stand before uplinks in the file.
func (s *seen) references() {
	names := slices.Sorted(maps.Keys(s.uplinks))
	for _, r := range s.refs {
		if s.uplinks[r.uplink] == nil {
			s.d.errorf(r.at, "there is no uplink %q%s", r.uplink, suggest(r.uplink, names))
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
