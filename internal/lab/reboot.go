package lab

import (
	"reflect"
	"time"

	"tributary/pppoe"
)

// Forget drops every session without a word, as a reboot does that takes no time.
func (a *AC) Forget() { a.call(a.forget) }

// Reboot drops every session without a word, hears and says nothing for as long as
// away, in steps of 50 ms, and comes back with new cookies, at the address mac, or
// if that is zero at its own. With away 0 it never was away: so does a standby
// take over that knows nothing of the sessions.
func (a *AC) Reboot(away time.Duration, mac pppoe.MAC) (err error) {
	a.call(func() {
		a.forget()
		before := a.server.Counters()
		a.past = sum(a.past, before)
		if err = a.move(mac); err != nil {
			return
		}
		a.server, a.held, a.cookies = a.newServer(), nil, cookieJar{life: a.cfg.Quirks.CookieLife}
		if away > 0 {
			a.away.Store(true)
			a.backAt = time.Now().Add(away)
		}
	})
	return err
}

// Move goes on with all sessions at another address, which is none that a host
// expects: RFC 2516 section 4 has a session defined by both ends' addresses.
func (a *AC) Move(mac pppoe.MAC) (err error) {
	a.call(func() { err = a.move(mac) })
	return err
}

// move is in the loop's turn.
func (a *AC) move(mac pppoe.MAC) error {
	old := a.mac()
	if mac == (pppoe.MAC{}) || mac == old {
		return nil
	}
	if mac != a.port.MAC() {
		if err := a.port.AddMAC(mac); err != nil {
			return err
		}
	}
	a.own.Store(&mac)
	if old != a.port.MAC() {
		return a.port.DelMAC(old)
	}
	return nil
}

// mac is the address that the access concentrator has now.
func (a *AC) mac() pppoe.MAC { return *a.own.Load() }

// forget is in the loop's turn.
func (a *AC) forget() {
	for _, s := range a.byID {
		a.remove(s)
		a.server.CloseSession(time.Now(), s.key.peer, s.key.sid, "")
	}
	for _, ok := a.server.Next(); ok; _, ok = a.server.Next() {
		// the PADTs that a reboot does not send
	}
}

// sum adds up what two servers counted, field by field.
func sum(x, y pppoe.ServerCounters) pppoe.ServerCounters {
	to, from := reflect.ValueOf(&x).Elem(), reflect.ValueOf(y)
	for i := range to.NumField() {
		to.Field(i).SetUint(to.Field(i).Uint() + from.Field(i).Uint())
	}
	return x
}
