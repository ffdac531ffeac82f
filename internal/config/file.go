package config

import (
	"maps"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// config decodes the whole file.
func (d *decoder) config(cfg *Config, root *ast.MappingNode) {
	seen := newSeen(d)
	d.mapping(root, "the configuration", map[string]value{
		"uplinks": func(n ast.Node) {
			if d.list(n, "uplinks", func(_ int, n ast.Node) {
				u := NewUplink("", "")
				keys := d.uplink(&u, n)
				seen.name(kindUplink, u.Name, keys["name"])
				seen.uplinks = append(seen.uplinks, uplinkAt{&u, keys})
				cfg.Uplinks = append(cfg.Uplinks, u)
			}) {
				d.errorf(n, "uplinks needs at least one uplink")
			}
		},
		"lines": func(n ast.Node) {
			if d.list(n, "lines", func(_ int, n ast.Node) {
				l := NewLines("", "")
				keys := d.lines(&l, n, seen)
				seen.group(&l, keys)
				cfg.Lines = append(cfg.Lines, l)
			}) {
				d.errorf(n, "lines needs at least one group of lines")
			}
		},
		"sessions": func(n ast.Node) {
			d.list(n, "sessions", func(_ int, n ast.Node) {
				s := NewSession("", "")
				keys := d.session(&s, n)
				seen.session(&s, n, keys)
				cfg.Sessions = append(cfg.Sessions, s)
			})
		},
		"pools": func(n ast.Node) {
			d.list(n, "pools", func(_ int, n ast.Node) {
				p := NewPool("", netip.Prefix{})
				keys := d.pool(&p, n)
				seen.pool(&p, n, keys)
				cfg.Pools = append(cfg.Pools, p)
			})
		},
		"control": func(n ast.Node) { d.control(&cfg.Control, n) },
		"log":     func(n ast.Node) { d.log(&cfg.Log, n) },
		"state_dir": func(n ast.Node) {
			d.text(&cfg.StateDir, "state_dir", maxPath)(n)
			if cfg.StateDir == "" {
				d.errorf(n, "state_dir is a directory: after a crash, the gateway finds there which sessions to end")
			}
		},
	}, "uplinks", "lines")
	seen.references(cfg)
	seen.between(cfg)
}

// maxServiceName bounds a Service-Name. RFC 2516 section 5.1: a PADI "MUST NOT exceed
// 1484 octets so as to leave sufficient room for a relay agent to add a
// Relay-Session-Id TAG."
const maxServiceName = 1024

// uplink decodes one entry of uplinks.
func (d *decoder) uplink(u *Uplink, n ast.Node) given {
	return d.mapping(n, "an uplink", map[string]value{
		"name":      d.name(&u.Name, "name"),
		"interface": d.networkInterface(&u.Interface),
		"vlans": func(n ast.Node) {
			d.list(n, "vlans", func(i int, n ast.Node) {
				if i == 2 {
					d.errorf(n, "vlans has at most two VLANs: the outer, then the inner")
				} else if v, ok := d.number(n, "a VLAN", 1, 4094); ok && i < 2 {
					u.VLANs = append(u.VLANs, uint16(v))
				}
			})
		},
		"service_name": d.text(&u.ServiceName, "service_name", maxServiceName),
		"access_concentrators": func(n ast.Node) {
			d.list(n, "access_concentrators", func(_ int, n ast.Node) {
				u.AccessConcentrators = append(u.AccessConcentrators, d.ac(n, len(u.AccessConcentrators)+1))
			})
		},
		"health":          func(n ast.Node) { d.health(&u.Health, n) },
		"offer_wait":      d.duration(&u.OfferWait, "offer_wait", 0, 10*time.Second, true),
		"mac":             func(n ast.Node) { d.macMode(u, n) },
		"padi_rate":       d.integer(&u.PADIRate, "padi_rate", 1, 1_000_000),
		"padi_interval":   d.duration(&u.PADIInterval, "padi_interval", time.Millisecond, time.Minute, true),
		"max_discovering": d.integer(&u.MaxDiscovering, "max_discovering", 0, 1_000_000),
		"max_payload":     d.integer(&u.MaxPayload, "max_payload", 1492, 1500),
		"circuit_id":      d.template(&u.CircuitID, "circuit_id"),
		"remote_id":       d.template(&u.RemoteID, "remote_id"),
		"discovery": func(n ast.Node) {
			d.mapping(n, "discovery", map[string]value{
				"timeout": d.duration(&u.Discovery.Timeout, "timeout", time.Second, time.Hour, false),
			})
		},
		"echo": func(n ast.Node) {
			d.mapping(n, "echo", map[string]value{
				"interval": d.duration(&u.Echo.Interval, "interval", time.Second, time.Hour, true),
				"failures": d.integer(&u.Echo.Failures, "failures", 1, 100),
			})
		},
	}, "name", "interface")
}

// maxMACPool is how many addresses one uplink may have. More would spread lines no
// better: an access concentrator that bears 4,096 stations bears per-line.
const maxMACPool = 4096

// macMode decodes mac: interface, per-line or {pool: N}.
func (d *decoder) macMode(u *Uplink, n ast.Node) {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
	default:
		word(d, &u.MAC, "mac", MACInterface, MACPerLine)(n)
		return
	}
	d.mapping(n, "mac", map[string]value{
		"pool": func(n ast.Node) {
			d.integer(&u.MACPool, "pool", 1, maxMACPool)(n)
			u.MAC = MACPooled
		},
	}, "pool")
}

// lines decodes one entry of lines.
func (d *decoder) lines(l *Lines, n ast.Node, seen *seen) given {
	var mode Mode
	var onLoss ast.Node // its words are those of the mode
	relay := *l
	shared := &sharedDecoder{decoder: d, Shared: NewShared("", "")}
	want := map[string]value{
		"name":            d.name(&l.Name, "name"),
		"tcp":             func(n ast.Node) { l.TCP = d.tcp(n, seen) },
		"serial":          func(n ast.Node) { l.Serial = d.serial(n, seen) },
		"pty":             func(n ast.Node) { l.PTY = d.pty(n, seen) },
		"mode":            word(d, &mode, "mode", ModeRelay, ModeShared),
		"on_session_loss": func(n ast.Node) { onLoss = n },
		"queue": func(n ast.Node) {
			d.mapping(n, "queue", map[string]value{
				"frames": d.integer(&l.Queue.Frames, "frames", 1, 65536),
				"delay":  d.duration(&l.Queue.Delay, "delay", time.Millisecond, time.Minute, false),
			})
		},
	}
	ofRelay, ofShared := d.relayKeys(&relay), shared.keys()
	maps.Copy(want, ofRelay)
	maps.Copy(want, ofShared)
	keys := d.mapping(n, "a group of lines", want, "name")
	if keys == nil {
		return nil
	}
	d.place(n, keys)
	if keys["mode"] == nil {
		mode = ModeRelay
	}
	switch mode {
	case ModeRelay:
		d.otherMode(keys, ofShared, ModeShared, mode)
		if keys["uplink"] == nil {
			d.errorf(n, "a group of lines in mode relay needs \"uplink\"")
		}
		d.relayLoss(&relay, onLoss, keys)
		l.Uplink, l.Open, l.FirstFrameTimeout = relay.Uplink, relay.Open, relay.FirstFrameTimeout
		l.OnSessionLoss, l.Redial, l.ClampMSS = relay.OnSessionLoss, relay.Redial, relay.ClampMSS
		l.ServiceName, l.ServicesByRealm, l.AccessSpeed = relay.ServiceName, relay.ServicesByRealm, relay.AccessSpeed
		if l.TCP != nil && keys["first_frame_timeout"] == nil {
			l.FirstFrameTimeout = defaultFirstFrameTimeout
		}
	case ModeShared:
		d.otherMode(keys, ofRelay, ModeRelay, mode)
		if onLoss != nil {
			word(d, &shared.OnSessionLoss, "on_session_loss", LossHangup, LossMove)(onLoss)
		}
		l.Mode, l.Open, l.OnSessionLoss, l.Shared = ModeShared, "", "", shared.Shared
		shared.finish(l, n, keys)
		seen.useShared(l, keys, shared.sessionsAt)
	}
	return keys
}

// otherMode refuses the keys of the mode that a group does not have: whoever
// wrote them expects something of them.
func (d *decoder) otherMode(keys given, of map[string]value, theirs, ours Mode) {
	for key := range of {
		if n := keys[key]; n != nil {
			d.errorf(n, "%s is for mode %s, and this group of lines has mode %s", key, theirs, ours)
		}
	}
}

// place holds a group to exactly one place where its lines come from.
func (d *decoder) place(n ast.Node, keys given) {
	var places []string
	for _, key := range []string{"tcp", "serial", "pty"} {
		if keys[key] != nil {
			places = append(places, key)
		}
	}
	switch {
	case len(places) == 0:
		d.errorf(n, "a group of lines needs \"tcp\", \"serial\" or \"pty\": where its lines come from")
	case len(places) > 1:
		d.errorf(keys[places[1]], "a group of lines has one of tcp, serial and pty; %s belongs in a group of its own", strings.Join(places[1:], " or "))
	}
}

func (d *decoder) tcp(n ast.Node, seen *seen) *TCP {
	t := NewTCP("")
	d.mapping(n, "tcp", map[string]value{
		"listen": func(n ast.Node) {
			if at, ok := d.listen(&t.Listen, "listen", n); ok {
				seen.listen(at, n)
			}
		},
		"allow": func(n ast.Node) {
			// An empty list would read as "nobody" and mean everyone.
			if d.list(n, "allow", func(_ int, n ast.Node) {
				if p, ok := d.prefix(n, "allow"); ok {
					t.Allow = append(t.Allow, p)
				}
			}) {
				d.errorf(n, "allow needs at least one prefix; without the key, everyone may connect")
			}
		},
		"max":       d.integer(&t.Max, "max", 1, 1_000_000),
		"keepalive": d.duration(&t.KeepAlive, "keepalive", time.Second, 24*time.Hour, true),
	}, "listen")
	return t
}

func (d *decoder) serial(n ast.Node, seen *seen) *Serial {
	s := NewSerial()
	carrier := "watch"
	d.mapping(n, "serial", map[string]value{
		"devices": func(n ast.Node) {
			d.paths(&s.Devices, n, "devices", func(p string, n ast.Node) bool {
				if _, err := path.Match(p, ""); err != nil {
					d.errorf(n, "devices: %.80q is no valid pattern: * ? [a-z] stand for names, \\ takes that away", p)
					return false
				}
				seen.device(p, n)
				return true
			})
		},
		"speed":   d.integer(&s.Speed, "speed", 50, 4_000_000),
		"flow":    word(d, &s.Flow, "flow", FlowNone, FlowRTSCTS, FlowXONOFF),
		"carrier": word(d, &carrier, "carrier", "watch", "ignore"),
	}, "devices")
	s.Carrier = carrier == "watch"
	return s
}

func (d *decoder) pty(n ast.Node, seen *seen) *PTY {
	p := NewPTY()
	d.mapping(n, "pty", map[string]value{
		"links": func(n ast.Node) {
			d.paths(&p.Links, n, "links", func(link string, n ast.Node) bool {
				seen.link(link, n)
				return true
			})
		},
		"mode": d.permissions(&p.Mode, "mode"),
	}, "links")
	return p
}

func (d *decoder) control(c *Control, n ast.Node) {
	d.mapping(n, "control", map[string]value{
		"socket": func(n ast.Node) {
			// sockaddr_un has room for 108 octets: a final zero, and the
			// suffix of the name under which the socket is made.
			d.text(&c.Socket, "socket", 103)(n)
			if c.Socket == "" {
				d.errorf(n, "socket is a path: without it, no command reaches the gateway")
			}
		},
		"http":       d.laterText("http", "this version has no dashboard and no API on a network address yet"),
		"token_file": d.laterText("token_file", "this version has no API on a network address yet"),
	})
}

// laterText is a key that is promised for a later version. Empty, it is off,
// which is true already.
func (d *decoder) laterText(key, why string) value {
	return func(n ast.Node) {
		if s, ok := d.scalar(n, key); ok && s != "" {
			d.errorf(n, "%s: %s: leave it out, or give \"\"", key, why)
		}
	}
}

func (d *decoder) log(l *Log, n ast.Node) {
	d.mapping(n, "log", map[string]value{
		"level":  word(d, &l.Level, "level", "debug", "info", "warn", "error"),
		"format": word(d, &l.Format, "format", "text", "json"),
	})
}
