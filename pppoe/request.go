package pppoe

import "time"

// packetBuilder puts tags into a packet as long as they fit.
type packetBuilder struct {
	Packet
	dropped []TagDropped
}

// must adds a tag without which the packet is of no use.
func (b *packetBuilder) must(t Tag) { b.Tags = append(b.Tags, t) }

// may adds a tag if the packet stays within MaxDiscovery octets.
func (b *packetBuilder) may(t Tag) {
	if b.Len()+t.Len() > MaxDiscovery {
		b.drop(t)
		return
	}
	b.Tags = append(b.Tags, t)
}

func (b *packetBuilder) drop(t Tag) {
	b.dropped = append(b.dropped, TagDropped{Code: b.Code, Type: t.Type})
}

// ask adds what a PADI and a PADR have in common.
func (c *Client) ask(b *packetBuilder) {
	// RFC 2516 sections 5.1 and 5.3: the packet "MUST contain exactly one TAG
	// of TAG_TYPE Service-Name, indicating the service the Host is requesting".
	b.must(StringTag(TagServiceName, c.cfg.ServiceName))
	if c.cfg.HostUniq != nil {
		b.must(Tag{Type: TagHostUniq, Data: c.cfg.HostUniq})
	}
}

// extra adds what may be left out.
func (c *Client) extra(b *packetBuilder) {
	if c.cfg.MaxPayload > DefaultMaxPayload {
		b.may(maxPayloadTag(c.cfg.MaxPayload))
	}
	for _, t := range c.cfg.Extra {
		switch t.Type {
		case TagEndOfList, TagServiceName, TagHostUniq, TagACCookie, TagRelaySessionID, TagMaxPayload:
			b.drop(t) // these are the machine's own
		default:
			b.may(t)
		}
	}
	for _, d := range b.dropped {
		c.out.push(d)
	}
}

// buildPADI makes the PADI, which is the same each time; false if it cannot be.
func (c *Client) buildPADI() bool {
	b := packetBuilder{Packet: Packet{Code: PADI}}
	c.ask(&b)
	if b.Len() > MaxDiscovery {
		return false
	}
	c.extra(&b)
	c.padi = b.Append(nil)
	return true
}

// sendPADI begins a round. RFC 2516 section 8: "When a host does not receive a
// PADO packet within a specified amount of time, it SHOULD resend it's PADI
// packet and double the waiting period. This is repeated as many times as
// desired."
func (c *Client) sendPADI(now time.Time) {
	c.newRound()
	c.state = ClientSoliciting
	c.send(Broadcast, PADI, c.padi)
	c.padiAt = now.Add(c.jitter(c.wait))
	c.wait = c.double(c.wait)
}

// send queues a copy: what is sent is its receiver's to keep.
func (c *Client) send(dst MAC, code Code, pkt []byte) {
	c.out.push(Send{Dst: dst, Code: code, Packet: append([]byte(nil), pkt...)})
}

// double is the wait after w. Where waits are spread the bound is lower by as
// much, so that no wait is over MaxWait.
func (c *Client) double(w time.Duration) time.Duration {
	limit := c.cfg.MaxWait
	if c.cfg.Random != nil {
		limit -= limit / 5
	}
	return max(min(2*w, limit), 1)
}

// jitter adds up to a quarter to w.
func (c *Client) jitter(w time.Duration) time.Duration {
	if c.cfg.Random == nil || w < 4 {
		return w
	}
	return w + time.Duration(c.cfg.Random(int64(w/4)))
}

// request sends the first PADR to a; false if its cookie is too long to be
// returned, which counts as a refusal.
func (c *Client) request(now time.Time, a *ac) bool {
	b := packetBuilder{Packet: Packet{Code: PADR}}
	c.ask(&b)
	for _, t := range a.offer.Tags {
		switch t.Type {
		case TagACCookie, TagRelaySessionID:
			// RFC 2516 appendix A: "If a Host receives this TAG, it MUST
			// return the TAG unmodified in the following PADR", and of
			// Relay-Session-Id: "they MUST include it unmodified in any
			// discovery packet they send as a response".
			b.must(t)
		}
	}
	if b.Len() > maxEthernet {
		c.refused(now, a, PADO, "the tags to be returned do not fit into a PADR")
		return false
	}
	c.extra(&b)
	c.padr = b.Append(nil)
	c.Release(now)
	c.asking, c.tries, c.padrWait = a.offer.AC, 0, c.cfg.InitialWait
	c.state = ClientRequesting
	c.sendPADR(now, a)
	return true
}

func (c *Client) sendPADR(now time.Time, a *ac) {
	c.send(c.asking, PADR, c.padr)
	c.tries++
	a.askedAt = now
	a.unanswered++
	c.padrAt = now.Add(c.jitter(c.padrWait))
	c.padrWait = c.double(c.padrWait)
}

// repeatPADR asks again, or goes back to the beginning. RFC 2516 section 8: "If
// the Host is waiting to receive a PADS packet, a similar timeout mechanism
// SHOULD be used, with the Host re-sending the PADR. After a specified number
// of retries, the Host should then resend a PADI packet."
func (c *Client) repeatPADR(now time.Time) {
	a := c.findAC(c.asking)
	if a != nil && c.tries < c.cfg.PADRTries {
		c.sendPADR(now, a)
		return
	}
	if a != nil {
		a.lost++
		c.out.push(ClientUnanswered{AC: c.asking, ACName: a.offer.ACName})
	}
	c.sendPADI(now)
}

// usableID reports whether an AC may give id to a session. RFC 2516 section 4:
// "A value of 0xffff is reserved for future use and MUST NOT be used".
func usableID(id uint16) bool { return id != 0 && id != 0xffff }

// inputPADS takes the answer to a PADR, from whichever AC it was sent to: one
// that was given up as silent may only have been slow.
func (c *Client) inputPADS(now time.Time, src MAC, p Packet) {
	a := c.findAC(src)
	if a == nil || a.askedAt.IsZero() {
		return // never asked
	}
	expected := a.unanswered > 0
	a.unanswered = max(a.unanswered-1, 0)
	message, isError := p.ErrorText()
	if !isError && !usableID(p.SessionID) {
		message, isError = "the AC gave a session id that cannot be used", true
	}
	if c.state == ClientOpen || c.state == ClientLingering {
		c.unwanted(src, p, expected)
		return
	}
	if isError {
		if usableID(p.SessionID) {
			c.sendPADT(src, p.SessionID, p.relayID(), "") // an AC that contradicts itself keeps nothing
		}
		c.refused(now, a, PADS, message)
		if c.state == ClientRequesting && src == c.asking {
			c.goOn(now)
		}
		return
	}
	c.open(a, p)
}

// goOn asks the next best AC after a refusal or, if there is none, goes back
// to soliciting; not with a PADI at once, but when the next one is due: an AC
// that refuses may count how often it is asked.
func (c *Client) goOn(now time.Time) {
	if c.choose(now) {
		return
	}
	c.state = ClientSoliciting
	if due(now, c.padiAt) {
		c.sendPADI(now)
	}
}

// unwanted ends the session of a PADS that came when there is one already, or
// when none is wanted any more. A repetition of the open session's PADS ends
// nothing, and neither does one that may be another client's.
func (c *Client) unwanted(src MAC, p Packet, expected bool) {
	if !usableID(p.SessionID) {
		return
	}
	if c.state == ClientOpen && src == c.session.AC && p.SessionID == c.session.SessionID {
		return
	}
	_, marked := p.Find(TagHostUniq) // equal to ours: Input has seen to that
	if marked || expected || c.cfg.HostUniq == nil {
		c.sendPADT(src, p.SessionID, p.relayID(), "")
	}
}

// open enters the session that p confirms.
func (c *Client) open(a *ac, p Packet) {
	service, ok := p.Find(TagServiceName)
	if !ok {
		service = []byte(c.cfg.ServiceName)
	}
	c.session = Session{
		AC: a.offer.AC, SessionID: p.SessionID, ACName: a.offer.ACName,
		ServiceName: PrintableText(service),
		MaxPayload:  agreePayload(c.cfg.MaxPayload, p.maxPayload()),
		Tags:        cloneTags(p.Tags),
	}
	c.relayID = Packet{Tags: c.session.Tags}.relayID()
	c.state = ClientOpen
	c.padi, c.padr = nil, nil
	c.keepAsked()
	c.out.push(ClientOpened{Session: c.session})
}

// sendPADT ends the session id of the AC at dst. RFC 2516 section 5.5: "No TAGs
// are required." A relay agent may need its own to find the way.
func (c *Client) sendPADT(dst MAC, id uint16, relay []byte, text string) {
	c.out.push(terminate(dst, id, relay, text))
}

// Terminate makes the PADT that ends session id of the peer at dst, with text,
// which may be empty, as the reason. It is for sessions that no machine knows
// any more, such as those that a crash has left open at the AC.
func Terminate(dst MAC, id uint16, text string) Send { return terminate(dst, id, nil, text) }

// terminate makes a PADT that says why, if text is not empty.
func terminate(dst MAC, id uint16, relay []byte, text string) Send {
	p := Packet{Code: PADT, SessionID: id}
	if relay != nil {
		p.Tags = append(p.Tags, Tag{Type: TagRelaySessionID, Data: relay})
	}
	if text != "" {
		t := StringTag(TagGenericError, PrintableText([]byte(text)))
		if p.Len()+t.Len() <= MaxDiscovery {
			p.Tags = append(p.Tags, t)
		}
	}
	return Send{Dst: dst, Code: PADT, Packet: p.Append(nil)}
}
