package pppoe

import "time"

// Offer is a PADO: what one AC said it would serve. The strings are fit for
// terminals; Tags has them as they came.
type Offer struct {
	AC       MAC
	ACName   string
	Services []string // every Service-Name, "" among them if any will do
	Message  string   // text of an error tag; empty if there is none
	Tags     []Tag
}

// ParseOffer reads a PADO that came from src. It keeps no part of p. Another
// code than PADO is ErrCode, a PADO without AC-Name ErrTag: RFC 2516 section
// 5.2: "The PADO packet MUST contain one AC-Name TAG".
func ParseOffer(src MAC, p Packet) (Offer, error) {
	if p.Code != PADO {
		return Offer{}, ErrCode
	}
	name, ok := p.Find(TagACName)
	if !ok {
		return Offer{}, ErrTag
	}
	o := Offer{AC: src, ACName: PrintableText(name), Tags: cloneTags(p.Tags)}
	for _, t := range p.Tags {
		if t.Type == TagServiceName {
			o.Services = append(o.Services, PrintableText(t.Data))
		}
	}
	o.Message, _ = p.ErrorText()
	return o, nil
}

// cloneTags copies tags out of a packet that its owner will reuse.
func cloneTags(tags []Tag) []Tag {
	n := 0
	for _, t := range tags {
		n += len(t.Data)
	}
	data := make([]byte, 0, n)
	out := make([]Tag, len(tags))
	for i, t := range tags {
		start := len(data)
		data = append(data, t.Data...)
		out[i] = Tag{Type: t.Type, Data: data[start:len(data):len(data)]}
	}
	return out
}

// ac is what a client remembers of one AC.
type ac struct {
	offer Offer
	rank  Rank      // Order is its place in Prefer, unless the owner judges
	at    time.Time // of its last PADO
	round int       // of that PADO
	order int       // of its first PADO in that round, among all
	lost  int       // how often all PADRs to it stayed unanswered
	no    bool      // it refused, and is not asked again in this search
	stale bool      // it refused an offer that may have expired, and gets another chance

	askedAt    time.Time // of the last PADR to it
	unanswered int       // PADRs to it that may yet bring a PADS
}

func (c *Client) findAC(mac MAC) *ac {
	for i := range c.acs {
		if c.acs[i].offer.AC == mac {
			return &c.acs[i]
		}
	}
	return nil
}

// inputPADO files an offer. RFC 2516 section 5.3: "Since the PADI was
// broadcast, the Host may receive more than one PADO. The Host looks through
// the PADO packets it receives and chooses one."
func (c *Client) inputPADO(now time.Time, src MAC, p Packet) {
	offer, err := ParseOffer(src, p)
	if err != nil {
		return
	}
	c.offers++
	c.out.push(ClientOffer{Offer: offer})
	place, ok := c.place(src, p)
	if !ok {
		return
	}
	rank := Rank{Order: place}
	if c.cfg.Rank != nil {
		if rank = c.cfg.Rank(now, offer, place); rank.Leave {
			c.left = true
			return
		}
	}
	a := c.findAC(src)
	if a == nil {
		if a = c.room(rank); a == nil {
			return // a flood; the next round has room again
		}
	}
	if a.round != c.round {
		a.round, a.order = c.round, c.offers
	}
	a.offer, a.rank, a.at = offer, rank, now
	switch _, isError := p.ErrorText(); {
	case a.no:
		c.refusedAgain = c.refusedAgain || c.round > c.refusal
	case isError:
		c.refused(now, a, PADO, offer.Message)
	case c.state == ClientSoliciting:
		c.chooseAt = earlier(c.chooseAt, now.Add(c.patience(a)))
		if due(now, c.chooseAt) {
			c.choose(now)
		}
	}
}

// room is a place for one more AC. If there is none it is that of the least good offer,
// as long as the new one is better: a flood of offers that nobody would take must not
// keep out the one that they would. Nil if there is no such place.
func (c *Client) room(rank Rank) *ac {
	if len(c.acs) < maxOffers {
		c.acs = append(c.acs, ac{})
		return &c.acs[len(c.acs)-1]
	}
	var worst *ac
	for i := range c.acs {
		a := &c.acs[i]
		if a.no || !a.askedAt.IsZero() {
			continue // what is known of it is still needed
		}
		if worst == nil || worst.rank.Order < a.rank.Order {
			worst = a
		}
	}
	if worst == nil || worst.rank.Order <= rank.Order {
		return nil
	}
	*worst = ac{}
	return worst
}

// place is that of an offer's AC among those that will do; ok is false if it
// will not.
func (c *Client) place(src MAC, p Packet) (place int, ok bool) {
	if c.cfg.ServiceName != "" && !p.has(TagServiceName, c.cfg.ServiceName) {
		return 0, false
	}
	for i, want := range c.cfg.Prefer {
		if (want.MAC == MAC{} || want.MAC == src) && (want.Name == "" || p.has(TagACName, want.Name)) {
			return i, true
		}
	}
	return 0, len(c.cfg.Prefer) == 0
}

// has reports whether one of p's tags of type t is s, octet for octet.
func (p Packet) has(t TagType, s string) bool {
	for _, tag := range p.Tags {
		if tag.Type == t && string(tag.Data) == s {
			return true
		}
	}
	return false
}

// patience is how long to wait for better offers than a's.
func (c *Client) patience(a *ac) time.Duration {
	switch {
	case a.lost > 0:
		// Quick with its PADO, silent after the PADR: let others speak first.
		return max(c.cfg.OfferWait, c.cfg.InitialWait)
	case a.rank.Order == 0 && a.rank.Weight == 0 && len(c.cfg.Prefer) > 0:
		return 0 // there is none better
	}
	return c.cfg.OfferWait
}

// choose sends a PADR to the best AC of this round that has not refused. RFC
// 2516 section 5.3: "The choice can be based on the AC-Name or the Services
// offered. The Host then sends one PADR packet to the Access Concentrator that
// it has chosen." It reports whether there was one.
func (c *Client) choose(now time.Time) bool {
	c.chooseAt = time.Time{}
	for {
		best := c.best()
		if best == nil {
			return false
		}
		if c.request(now, best) {
			return true
		}
	}
}

// best is the best offer of this round, nil if there is none. Of those that are
// equally good each has its share by weight.
func (c *Client) best() (best *ac) {
	total := 0
	for i := range c.acs {
		a := &c.acs[i]
		if a.round != c.round || a.no {
			continue
		}
		switch {
		case best == nil || a.before(best):
			best, total = a, max(a.rank.Weight, 0)
		case best.before(a):
		default:
			w := max(a.rank.Weight, 0)
			total += w
			switch {
			case total == 0 || c.cfg.Random == nil:
				if a.order < best.order {
					best = a
				}
			case w > 0 && c.cfg.Random(int64(total)) < int64(w):
				// The one in hand stays with the rest of the chances, which is
				// what all before this one have together.
				best = a
			}
		}
	}
	return best
}

// before orders offers: who has answered PADRs so far, then by rank. Among equals
// it is who was first, or by weight; a loaded AC may delay its PADO to be chosen less
// often.
func (a *ac) before(b *ac) bool {
	if a.lost != b.lost {
		return a.lost < b.lost
	}
	return a.rank.Order < b.rank.Order
}

// refused notes that a will not serve, in its own words.
func (c *Client) refused(now time.Time, a *ac, code Code, message string) {
	c.message = message
	if code == PADS && !a.stale && now.Sub(a.at) > c.cfg.OfferLife {
		a.stale, a.round = true, 0 // its next offer counts
	} else {
		a.no = true
		c.refusal = c.round
	}
	c.out.push(ClientRefused{AC: a.offer.AC, ACName: a.offer.ACName, Code: code, Message: message})
}

// forgetRefusals lets every AC be asked again: what it lacked may be there now.
func (c *Client) forgetRefusals() {
	for i := range c.acs {
		c.acs[i].no = false
	}
	c.refusal = 0
}

// newRound makes room for the offers of another round. Whoever was asked or
// has refused stays, but so that at least one offer can come in.
func (c *Client) newRound() {
	c.round++
	c.refusedAgain = false
	c.chooseAt = time.Time{}
	keep := c.acs[:0]
	for _, a := range c.acs {
		if a.no || !a.askedAt.IsZero() {
			keep = append(keep, a)
		}
	}
	if len(keep) >= maxOffers {
		keep = append(keep[:0], keep[1:]...)
	}
	clear(c.acs[len(keep):])
	c.acs = keep
}

// keepAsked lets go of all offers, and of all ACs but those that may still send
// a PADS: a session can be open for months, beside thousands of others.
func (c *Client) keepAsked() {
	var keep []ac
	for _, a := range c.acs {
		if !a.askedAt.IsZero() {
			keep = append(keep, ac{offer: Offer{AC: a.offer.AC}, askedAt: a.askedAt, unanswered: a.unanswered})
		}
	}
	c.acs = keep
}
