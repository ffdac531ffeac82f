package pppoe

import "time"

// Hold stops the client's clock, since its owner keeps back the PADI that has just
// come out of Next. Until Release no PADI is repeated and the search does not time
// out: what nobody was asked, nobody has failed to answer. Offers to an earlier PADI
// still count, and the PADR to one of them ends the hold as well. It does nothing to a
// client that is not soliciting.
func (c *Client) Hold(now time.Time) {
	if c.state == ClientSoliciting && c.heldAt.IsZero() {
		c.heldAt = now
	}
}

// Release says that the PADI goes out now, and lets the clock go on from here:
// everything that was to come comes as much later as the hold has lasted.
func (c *Client) Release(now time.Time) {
	if c.heldAt.IsZero() {
		return
	}
	held := now.Sub(c.heldAt)
	c.heldAt = time.Time{}
	c.padiAt = c.padiAt.Add(held)
	if !c.giveUp.IsZero() {
		c.giveUp = c.giveUp.Add(held)
	}
}

// held reports whether the clock stands still.
func (c *Client) held() bool { return !c.heldAt.IsZero() }
