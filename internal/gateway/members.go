package gateway

import (
	"context"
	"slices"
	"sync"

	"tributary/internal/ether"
	"tributary/pppoe"
)

// members is the addresses beyond its own that a port receives for. Linux has one
// lock for all that changes any interface, and a driver may write its whole filter
// anew for each address; so a goroutine of its own asks for them, and no owner waits.
type members struct {
	wake chan struct{}

	mu    sync.Mutex
	of    map[pppoe.MAC]*member
	todo  []*member // to be added, deleted or told of, in this order
	round int       // of the port; another one after the interface was lost
}

// member is one address.
type member struct {
	mac     pppoe.MAC
	users   int
	there   bool // the port receives for it
	listed  bool // in todo
	waiting []*session
}

func (m *members) init() {
	m.wake = make(chan struct{}, 1)
	m.of = make(map[pppoe.MAC]*member)
}

// join has the port receive for mac on behalf of s: it does already if it
// reports true, otherwise evMember comes. Several may join for one address.
func (m *members) join(mac pppoe.MAC, s *session) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.of[mac]
	if e == nil {
		e = &member{mac: mac}
		m.of[mac] = e
	}
	e.users++
	if e.there {
		return true
	}
	e.waiting = append(e.waiting, s)
	m.list(e)
	return false
}

// leave undoes one join of s.
func (m *members) leave(mac pppoe.MAC, s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.of[mac]
	if e == nil {
		return
	}
	e.users--
	if i := slices.Index(e.waiting, s); i >= 0 {
		e.waiting = slices.Delete(e.waiting, i, i+1)
	}
	if e.users == 0 {
		m.list(e)
	}
}

// renew begins anew with another port, which receives for none of them yet.
func (m *members) renew() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.round++
	for _, e := range m.of {
		e.there = false
		m.list(e)
	}
}

func (m *members) list(e *member) {
	if !e.listed {
		e.listed = true
		m.todo = append(m.todo, e)
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// run has the port receive for what is joined, until ctx is done. What fails is told
// to those who wait for it, or else to failed.
func (m *members) run(ctx context.Context, port func() ether.Port, failed func(error)) {
	for {
		for m.one(port, failed) && ctx.Err() == nil {
		}
		select {
		case <-m.wake:
		case <-ctx.Done():
			return
		}
	}
}

// one brings one address to what it should be, and reports whether there was one.
func (m *members) one(port func() ether.Port, failed func(error)) bool {
	m.mu.Lock()
	if len(m.todo) == 0 {
		m.todo = nil
		m.mu.Unlock()
		return false
	}
	e := m.todo[0]
	m.todo[0] = nil
	m.todo = m.todo[1:]
	e.listed = false
	wanted, was, round := e.users > 0, e.there, m.round
	m.mu.Unlock()

	var err error
	switch {
	case wanted && !was:
		err = port().AddMAC(e.mac)
	case !wanted && was:
		// An address that stays set costs a filter entry, nothing more.
		_ = port().DelMAC(e.mac)
	}

	m.mu.Lock()
	if m.round != round { // the port is another one, and knows nothing of this
		m.list(e)
		m.mu.Unlock()
		return true
	}
	e.there = wanted && err == nil
	if e.users == 0 && !e.there {
		delete(m.of, e.mac)
	} else if (e.users > 0) != wanted {
		m.list(e)
	}
	tell := e.waiting
	e.waiting = nil
	if !wanted && e.users > 0 {
		e.waiting, tell = tell, nil // they came meanwhile
	}
	m.mu.Unlock()
	for _, s := range tell {
		s.owner.post(event{s: s, kind: evMember, aux: err})
	}
	if err != nil && len(tell) == 0 {
		failed(err)
	}
	return true
}
