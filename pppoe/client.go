package pppoe

import (
	"bytes"
	"time"
)

// Defaults of ClientConfig, and the bound on what one client remembers.
const (
	DefaultInitialWait = time.Second
	DefaultMaxWait     = 30 * time.Second
	DefaultPADRTries   = 3
	DefaultOfferLife   = 2 * time.Second
	DefaultLinger      = 30 * time.Second
	maxOffers          = 32
)

// Preference names an AC by one or both of its name and its address; what is
// zero matches anything.
type Preference struct {
	Name string // the AC-Name, octet for octet
	MAC  MAC
}

// Rank is what an owner thinks of an offer.
type Rank struct {
	Order  int // less is better
	Weight int // its share of the clients among offers of one Order; 0: the first of these is taken
	// Leave is not to take this offer, not even if it is the only one: its AC is
	// being left alone.
	Leave bool
}

// ClientConfig says what session a client is to look for, and how patiently.
type ClientConfig struct {
	// ServiceName asked for. Empty: "any service is acceptable" (RFC 2516
	// appendix A).
	ServiceName string
	// HostUniq goes out in PADI and PADR and comes back in the answers. It
	// should be unguessable and different for each client of a port. Nil
	// sends none.
	HostUniq []byte
	// RequireHostUniq ignores answers without a Host-Uniq. Some ACs drop it,
	// against RFC 2516, so that without this the owner is to hand in only what
	// came to this client's address.
	RequireHostUniq bool
	// Extra tags go out in PADI and PADR, as long as there is room.
	Extra []Tag
	// MaxPayload is the largest PPP payload we can carry, in octets. Over
	// 1492 it is offered to the AC (RFC 4638); the port's MTU must be at least
	// 8 more.
	MaxPayload int
	// Prefer is the ACs that will do, best first. Empty: any AC.
	Prefer []Preference
	// Rank judges an offer of an AC that will do, when it comes in; place is that
	// of the AC in Prefer, 0 if that is empty. Nil ranks by place alone. It is how
	// an owner of many clients brings in what they have seen of an AC.
	Rank func(now time.Time, o Offer, place int) Rank
	// OfferWait is how long to collect offers before one is chosen. 0 takes
	// the first acceptable one.
	OfferWait time.Duration
	// Timeout bounds the whole search. 0: it goes on until it has a session,
	// also past refusals.
	Timeout time.Duration
	// InitialWait is how long the first PADI and each AC's first PADR are
	// waited on; it doubles with each repetition up to MaxWait. Zero is
	// DefaultInitialWait and DefaultMaxWait.
	InitialWait, MaxWait time.Duration
	// OfferLife is how long an offer is good for certain. An AC-Cookie may expire
	// (RFC 2516 section 9 has the AC make it anew, with a secret that it changes): a
	// refusal of an older offer counts only if that of a fresh one follows. 0 is
	// DefaultOfferLife.
	OfferLife time.Duration
	// PADRTries is how many PADRs an AC gets before the search begins again
	// with a PADI. 0 is DefaultPADRTries.
	PADRTries int
	// Linger is how long a client that ends while an answer to a PADR may be
	// under way waits to end that session too. 0 is DefaultLinger.
	Linger time.Duration
	// Random returns a number in [0, n), to spread the repetitions of many
	// clients: up to a quarter is added to each wait. Nil adds none.
	Random func(n int64) int64
}

// ClientState is where a client stands.
type ClientState uint8

const (
	ClientIdle       ClientState = iota // not started
	ClientSoliciting                    // PADI sent, or offers being collected
	ClientRequesting                    // PADR sent
	ClientOpen                          // there is a session
	ClientLingering                     // over, but a late PADS would need a PADT
	ClientDown                          // over
)

var clientStates = [...]string{"idle", "soliciting", "requesting", "open", "lingering", "down"}

// String is the state in one word.
func (s ClientState) String() string {
	if int(s) < len(clientStates) {
		return clientStates[s]
	}
	return "unknown"
}

// Client is the host's end of the Discovery stage (RFC 2516 section 5): one
// machine looks for one session and ends with it. Make another one, with
// another Host-Uniq, for the next.
type Client struct {
	cfg   ClientConfig
	state ClientState
	out   queue[ClientOut]

	// The search as a whole.
	giveUp time.Time // zero: never
	wait   time.Duration
	acs    []ac // those that may yet be asked, and those that were
	offers int  // how many PADOs have come in
	left   bool // one of them was not to be taken
	// message is the last refusal, in an AC's own words.
	message string

	// Soliciting. A round begins with each PADI.
	padi     []byte
	round    int
	padiAt   time.Time // when the next PADI is due
	chooseAt time.Time // when to choose among the offers; zero: none to choose from
	heldAt   time.Time // since when the owner has kept the PADI back; zero: it has not
	// refusal is the round of the last refusal, 0 if there was none, and
	// refusedAgain whether an AC that had refused answered in a later one.
	refusal      int
	refusedAgain bool

	// Requesting.
	padr     []byte
	asking   MAC // whom
	tries    int // PADRs sent to it
	padrWait time.Duration
	padrAt   time.Time // when the PADR is to be repeated

	session Session
	doneAt  time.Time // the end of lingering
	relayID []byte    // Relay-Session-Id of the session, nil if none
}

// NewClient makes a client that waits for Start.
func NewClient(cfg ClientConfig) *Client {
	if cfg.InitialWait <= 0 {
		cfg.InitialWait = DefaultInitialWait
	}
	if cfg.MaxWait <= 0 {
		cfg.MaxWait = DefaultMaxWait
	}
	if cfg.OfferLife <= 0 {
		cfg.OfferLife = DefaultOfferLife
	}
	if cfg.PADRTries <= 0 {
		cfg.PADRTries = DefaultPADRTries
	}
	if cfg.Linger <= 0 {
		cfg.Linger = DefaultLinger
	}
	return &Client{cfg: cfg}
}

// State is where the client stands.
func (c *Client) State() ClientState { return c.state }

// Session is the session that is open; ok is false if there is none.
func (c *Client) Session() (s Session, ok bool) {
	if c.state != ClientOpen {
		return Session{}, false
	}
	return c.session, true
}

// Next takes the oldest packet or event; ok is false when there are no more.
func (c *Client) Next() (out ClientOut, ok bool) { return c.out.next() }

// Deadline is when Tick wants to be called; the zero time if only a packet or
// a call can change anything.
func (c *Client) Deadline() time.Time {
	var t time.Time
	switch c.state {
	case ClientSoliciting:
		if c.held() {
			return c.chooseAt
		}
		t = c.padiAt
		if !c.chooseAt.IsZero() {
			t = c.chooseAt // with an offer in hand there is no need of another PADI
		}
		t = earlier(t, c.giveUp)
	case ClientRequesting:
		t = earlier(c.padrAt, c.giveUp)
	case ClientLingering:
		t = c.doneAt
	}
	return t
}

// earlier is the earlier of two times, of which a zero one never comes.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due reports whether t, unless it is zero, has come.
func due(now, t time.Time) bool { return !t.IsZero() && !now.Before(t) }

// Start sends the first PADI. Later calls do nothing.
func (c *Client) Start(now time.Time) {
	if c.state != ClientIdle {
		return
	}
	if !c.buildPADI() {
		c.fail(now, FailConfig)
		return
	}
	if c.cfg.Timeout > 0 {
		c.giveUp = now.Add(c.cfg.Timeout)
	}
	c.wait = c.cfg.InitialWait
	c.state = ClientSoliciting
	c.sendPADI(now)
}

// Tick does what has become due. Calling it early or often is harmless.
func (c *Client) Tick(now time.Time) {
	switch c.state {
	case ClientSoliciting, ClientRequesting:
		if !c.held() && due(now, c.giveUp) {
			c.fail(now, c.failReason())
			return
		}
	}
	switch c.state {
	case ClientSoliciting:
		c.tickSoliciting(now)
	case ClientRequesting:
		if due(now, c.padrAt) {
			c.repeatPADR(now)
		}
	case ClientLingering:
		if due(now, c.doneAt) {
			c.done()
		}
	}
}

func (c *Client) tickSoliciting(now time.Time) {
	if due(now, c.chooseAt) && c.choose(now) {
		return
	}
	if c.held() || !due(now, c.padiAt) || !c.chooseAt.IsZero() {
		return
	}
	if c.refusedAgain {
		// A whole round has brought nothing but ACs that refused before.
		if c.cfg.Timeout > 0 {
			c.fail(now, FailRefused)
			return
		}
		c.forgetRefusals()
	}
	c.sendPADI(now)
}

// Input takes one discovery packet that came from src. The owner has checked
// that it was sent to this client's address, over its VLANs.
func (c *Client) Input(now time.Time, src MAC, pkt []byte) {
	if c.state == ClientIdle || c.state == ClientDown || src.IsMulticast() {
		return
	}
	p, err := parseInput(pkt)
	if err != nil {
		return
	}
	switch p.Code {
	case PADO:
		// While a PADR is under way offers still count: its AC may refuse.
		if (c.state == ClientSoliciting || c.state == ClientRequesting) && p.SessionID == 0 && c.isOurs(p) {
			c.inputPADO(now, src, p)
		}
	case PADS:
		if c.isOurs(p) {
			c.inputPADS(now, src, p)
		}
	case PADT:
		if c.state == ClientOpen && src == c.session.AC && p.SessionID == c.session.SessionID {
			c.inputPADT(now, p)
		}
	}
}

// isOurs reports whether p answers this client. RFC 2516 appendix A: an AC
// that receives a Host-Uniq "MUST include the TAG unmodified in the associated
// PADO or PADS response", which not all do.
func (c *Client) isOurs(p Packet) bool {
	got, ok := p.Find(TagHostUniq)
	if !ok {
		return !c.cfg.RequireHostUniq || c.cfg.HostUniq == nil
	}
	return bytes.Equal(got, c.cfg.HostUniq)
}

// Close ends the search or the session, telling the AC why by text, which may
// be empty. RFC 2516 section 5.5: a PADT "may be sent anytime after a session
// is established". While an answer to a PADR may be under way the client
// lingers, to end the session that this answer would open.
func (c *Client) Close(now time.Time, text string) {
	switch c.state {
	case ClientIdle:
		c.done()
	case ClientSoliciting, ClientRequesting:
		c.finish(now)
	case ClientOpen:
		c.sendPADT(c.session.AC, c.session.SessionID, c.relayID, text)
		c.finish(now)
	}
}

func (c *Client) inputPADT(now time.Time, p Packet) {
	text, _ := p.ErrorText()
	c.out.push(ClientClosed{Session: c.session, Message: text})
	c.finish(now)
}

// fail ends the search without a session.
func (c *Client) fail(now time.Time, r FailReason) {
	c.out.push(ClientFailed{Reason: r, Message: c.message})
	c.finish(now)
}

// failReason is what the search as a whole came to.
func (c *Client) failReason() FailReason {
	switch {
	case c.message != "":
		return FailRefused
	case c.tries > 0:
		return FailNoSession
	case c.left:
		return FailLeftAlone
	case c.offers > 0:
		return FailNotAcceptable
	}
	return FailNoOffer
}

// finish lingers while a PADS may still come, and is done otherwise.
func (c *Client) finish(now time.Time) {
	c.doneAt = time.Time{}
	for i := range c.acs {
		a := &c.acs[i]
		if end := a.askedAt.Add(c.cfg.Linger); a.unanswered > 0 && end.After(c.doneAt) {
			c.doneAt = end
		}
	}
	if !c.doneAt.After(now) {
		c.done()
		return
	}
	c.state = ClientLingering
}

func (c *Client) done() {
	c.state = ClientDown
	c.acs, c.padi, c.padr = nil, nil, nil
	c.out.push(ClientDone{})
}
