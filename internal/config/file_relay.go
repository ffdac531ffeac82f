package config

import (
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// RelayRedial is how the session of a line that is held is dialled again.
type RelayRedial struct {
	Min, Max time.Duration // the wait before it, which grows
	Timeout  time.Duration // a line that has had no session for so long is hung up
}

// relayKeys are the keys that only mode relay has.
func (d *decoder) relayKeys(l *Lines) map[string]value {
	l.Redial = RelayRedial{Min: time.Second, Max: 30 * time.Second, Timeout: 5 * time.Minute}
	return map[string]value{
		"uplink": d.name(&l.Uplink, "uplink"),
		"open":   word(d, &l.Open, "open", OpenFirstFrame, OpenConnect),
		"first_frame_timeout": d.duration(&l.FirstFrameTimeout, "first_frame_timeout",
			time.Second, 24*time.Hour, true),
		"clamp_mss":         d.boolean(&l.ClampMSS, "clamp_mss"),
		"service_name":      d.text(&l.ServiceName, "service_name", maxServiceName),
		"services_by_realm": func(n ast.Node) { d.servicesByRealm(l, n) },
		"access_speed": func(n ast.Node) {
			d.mapping(n, "access_speed", map[string]value{
				"up":   d.integer(&l.AccessSpeed.Up, "up", 1, maxSpeed),
				"down": d.integer(&l.AccessSpeed.Down, "down", 1, maxSpeed),
			})
		},
		"redial": func(n ast.Node) {
			r := &l.Redial
			d.mapping(n, "redial", map[string]value{
				"min":     d.duration(&r.Min, "min", 100*time.Millisecond, time.Hour, false),
				"max":     d.duration(&r.Max, "max", 100*time.Millisecond, 24*time.Hour, false),
				"timeout": d.duration(&r.Timeout, "timeout", time.Second, maxTimeout, false),
			})
			if r.Max < r.Min {
				d.errorf(n, "redial: max is %s, which is less than min, %s", short(r.Max), short(r.Min))
			}
		},
	}
}

// maxSpeed bounds access_speed, in kbit/s: four octets of TR-101 say it.
const maxSpeed = 1<<31 - 1

// maxRealm is what a name in PPP has at most: its length is one octet (RFC 1334).
const maxRealm = 255

// servicesByRealm decodes {realm: service}, whose keys are the user's to choose.
func (d *decoder) servicesByRealm(l *Lines, n ast.Node) {
	d.entries(n, "services_by_realm", func(key string, at, n ast.Node) {
		realm := strings.ToLower(key)
		_, twice := l.ServicesByRealm[realm]
		switch {
		case key == "" || len(key) > maxRealm || strings.ContainsFunc(key, func(r rune) bool { return r == '@' || r <= ' ' || isControl(r) }):
			d.errorf(at, "services_by_realm: %.80q is no realm: it is what users have behind the @", key)
			return
		case twice:
			d.errorf(at, "services_by_realm: there are two services for %q, which is one realm in capitals and not", realm)
			return
		}
		var service string
		d.text(&service, "a service", maxServiceName)(n)
		if l.ServicesByRealm == nil {
			l.ServicesByRealm = map[string]string{}
		}
		l.ServicesByRealm[realm] = service
	})
}

// relayLoss is what becomes of a line in mode relay whose session falls.
func (d *decoder) relayLoss(l *Lines, n ast.Node, keys given) {
	if n != nil {
		word(d, &l.OnSessionLoss, "on_session_loss", LossHangup, LossRedial)(n)
	}
	if l.OnSessionLoss != LossRedial {
		l.Redial = RelayRedial{}
		if keys["redial"] != nil {
			d.errorf(keys["redial"], "redial is for lines with on_session_loss: redial")
		}
	}
}
