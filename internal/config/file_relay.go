package config

import (
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
