package gateway

import (
	"container/list"
	"sync"

	"tributary/internal/ether"
	"tributary/pppoe"
)

// pending is the sessions of one port that a PADO or PADS may be for, found by
// their Host-Uniq. Some ACs drop that tag; their answers are matched in the
// order in which they were asked for.
type pending struct {
	mu     sync.Mutex
	byUniq map[hostUniq]*waiting
	queues map[ask]*list.List // of *waiting: who has asked, and has no answer yet
}

// ask is what sessions without a Host-Uniq cannot be told apart in.
type ask struct {
	our   pppoe.MAC
	vlans ether.VLANs
	ac    pppoe.MAC // a PADR has gone to it; zero: PADOs are awaited
}

// waiting is one session.
type waiting struct {
	uniq hostUniq
	s    *session
	ask  ask
	elem *list.Element // in its queue; nil if it has asked for nothing
}

// add lists a session whose PADIs go out from our address on vlans.
func (p *pending) add(u hostUniq, s *session, our pppoe.MAC, vlans ether.VLANs) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byUniq == nil {
		p.byUniq = make(map[hostUniq]*waiting)
		p.queues = make(map[ask]*list.List)
	}
	p.byUniq[u] = &waiting{uniq: u, s: s, ask: ask{our: our, vlans: vlans}}
}

func (p *pending) remove(u hostUniq) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.byUniq[u]; w != nil {
		p.leave(w)
		delete(p.byUniq, u)
	}
	if len(p.byUniq) == 0 {
		p.byUniq, p.queues = nil, nil // a storm's maps are not kept for ever
	}
}

// asks notes that a PADR has gone to ac, or, with a zero ac, a PADI to all.
func (p *pending) asks(u hostUniq, ac pppoe.MAC) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.byUniq[u]
	if w == nil {
		return
	}
	p.leave(w)
	w.ask.ac = ac
	q := p.queues[w.ask]
	if q == nil {
		q = list.New()
		p.queues[w.ask] = q
	}
	w.elem = q.PushBack(w)
}

// settle notes that the session is open: from now on only its own Host-Uniq
// finds it.
func (p *pending) settle(u hostUniq) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.byUniq[u]; w != nil {
		p.leave(w)
		w.ask.ac = pppoe.MAC{}
	}
}

func (p *pending) leave(w *waiting) {
	if w.elem == nil {
		return
	}
	q := p.queues[w.ask]
	q.Remove(w.elem)
	w.elem = nil
	if q.Len() == 0 {
		delete(p.queues, w.ask)
	}
}

// match finds the session that a PADO or PADS answers; asked says whether that
// session's latest PADR went to the station that this comes from.
//
// RFC 2516 appendix A: the AC "MUST include this TAG unmodified" when it got a
// Host-Uniq. The tag was heard by everyone, in the PADI, so it is not enough.
func (p *pending) match(hdr *ether.Header, h pppoe.Header, packet []byte) (s *session, asked bool) {
	u, there := hostUniqOf(packet)
	p.mu.Lock()
	defer p.mu.Unlock()
	if there {
		if len(u) != hostUniqLen {
			return nil, false
		}
		w := p.byUniq[hostUniq(u)]
		if w == nil || w.ask.our != hdr.Dst || w.ask.vlans != hdr.VLANs {
			return nil, false
		}
		return w.s, w.ask.ac == hdr.Src
	}
	k := ask{our: hdr.Dst, vlans: hdr.VLANs}
	if h.Code == pppoe.PADS {
		k.ac = hdr.Src
	}
	q := p.queues[k]
	if q == nil {
		return nil, false
	}
	w := q.Front().Value.(*waiting)
	if h.Code == pppoe.PADO {
		q.MoveToBack(w.elem) // the next offer is for the next who asked
		return w.s, false
	}
	ac := w.ask.ac
	p.leave(w) // one PADR, one PADS
	return w.s, ac == hdr.Src
}

// hostUniqOf is the Host-Uniq tag of a discovery packet, if it has one.
func hostUniqOf(packet []byte) (data []byte, ok bool) { return tagOf(packet, pppoe.TagHostUniq) }

// tagOf is the first tag of a type in a discovery packet, if there is one.
func tagOf(packet []byte, t pppoe.TagType) (data []byte, ok bool) {
	_, rest, err := pppoe.ParseHeader(packet)
	for err == nil {
		var tag pppoe.Tag
		var more bool
		if tag, rest, more, err = pppoe.NextTag(rest); err != nil || !more {
			break
		}
		if tag.Type == t {
			return tag.Data, true
		}
	}
	return nil, false
}
