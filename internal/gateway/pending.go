package gateway

import (
	"container/list"
	"sync"

	"tributary/internal/ether"
	"tributary/pppoe"
)

// pending is the sessions of one port that await a PADO or PADS, found by
// their Host-Uniq; some ACs drop that tag, so also in order.
type pending struct {
	mu     sync.Mutex
	byUniq map[hostUniq]*list.Element // of *waiting
	order  list.List                  // oldest first
}

// waiting is one of them, with what it can be matched by without a Host-Uniq.
type waiting struct {
	uniq  hostUniq
	s     *session
	our   pppoe.MAC
	vlans ether.VLANs
	// asked is the AC that a PADR has gone to; zero while PADOs are awaited.
	asked pppoe.MAC
}

func (p *pending) add(w waiting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byUniq == nil {
		p.byUniq = make(map[hostUniq]*list.Element)
	}
	p.byUniq[w.uniq] = p.order.PushBack(&w)
}

func (p *pending) remove(u hostUniq) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.byUniq[u]; e != nil {
		p.order.Remove(e)
		delete(p.byUniq, u)
	}
	if len(p.byUniq) == 0 {
		p.byUniq = nil // a storm's map is not kept for ever
	}
}

// asks notes that a PADR has gone to ac, or, with a zero ac, that PADOs are awaited.
func (p *pending) asks(u hostUniq, ac pppoe.MAC) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.byUniq[u]; e != nil {
		e.Value.(*waiting).asked = ac
	}
}

// settle notes that the session is open: from now on only its own Host-Uniq
// finds it.
func (p *pending) settle(u hostUniq) { p.asks(u, pppoe.Broadcast) }

// match finds the session that a PADO or PADS answers.
//
// RFC 2516 appendix A: the AC "MUST include this TAG unmodified" when it got a
// Host-Uniq. Of an answer without one, the oldest session is taken that asked
// from that address and can want that answer.
func (p *pending) match(hdr *ether.Header, h pppoe.Header, packet []byte) *session {
	u, there := hostUniqOf(packet)
	p.mu.Lock()
	defer p.mu.Unlock()
	if there {
		if len(u) != hostUniqLen {
			return nil
		}
		if e := p.byUniq[hostUniq(u)]; e != nil {
			return e.Value.(*waiting).s
		}
		return nil
	}
	for e := p.order.Front(); e != nil; e = e.Next() {
		w := e.Value.(*waiting)
		if w.our != hdr.Dst || w.vlans != hdr.VLANs {
			continue
		}
		if h.Code == pppoe.PADO && w.asked == (pppoe.MAC{}) || h.Code == pppoe.PADS && w.asked == hdr.Src {
			return w.s
		}
	}
	return nil
}

// hostUniqOf is the Host-Uniq tag of a discovery packet, if it has one.
func hostUniqOf(packet []byte) (data []byte, ok bool) {
	_, rest, err := pppoe.ParseHeader(packet)
	for err == nil {
		var tag pppoe.Tag
		var more bool
		if tag, rest, more, err = pppoe.NextTag(rest); err != nil || !more {
			break
		}
		if tag.Type == pppoe.TagHostUniq {
			return tag.Data, true
		}
	}
	return nil, false
}
