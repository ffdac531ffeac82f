package ppp

// snoopAuth is what passes between the user and the AC until the AC has said
// whether it believes him.
//
// A name becomes his only by an answer that has the Identifier it was given
// under, and once one is, he cannot change it: a further PAP request gets the
// same Ack whatever is in it (RFC 1334 section 2.2.1), and so does a further
// Response to one Challenge (RFC 1994 section 4.1). So the first name under an
// Identifier is the one that the AC looks at.
type snoopAuth struct {
	proto Protocol // what the AC asked for in LCP; 0 is none
	asked bool     // CHAP's Challenge, or EAP's Request for an Identity, is without a verdict
	id    uint8    // its Identifier

	given [snoopMaxNames]snoopGiven
	n     int
}

// snoopMaxNames is how many names the user may give before the AC answers. One
// beyond that is shown, but cannot become his.
const snoopMaxNames = 4

// snoopGiven is one name, and the Identifiers it was given under: an unanswered
// PAP request is repeated under another one each time.
type snoopGiven struct {
	name string
	ids  [4]uint64 // a bit each
}

func (g *snoopGiven) has(id uint8) bool { return g.ids[id/64]&(1<<(id%64)) != 0 }

// ask notes that the AC wants to be told a name. What was said to anything
// before is void.
func (a *snoopAuth) ask(id uint8) {
	if a.asked && a.id == id {
		return // a repetition
	}
	a.forget()
	a.asked, a.id = true, id
}

// forget is for the AC's verdict: what comes next begins anew.
func (a *snoopAuth) forget() {
	a.asked = false
	clear(a.given[:a.n])
	a.n = 0
}

// takes reports whether the AC may look at a name given under id. proved says
// that it has believed one.
func (a *snoopAuth) takes(id uint8, proved bool) bool {
	switch a.proto {
	case ProtoPAP:
		return !proved
	case ProtoCHAP:
		// MS-CHAP has retries, under the next Identifier and without a new
		// Challenge (RFC 2759 section 6), for those who are not believed yet.
		return !proved || a.asked && a.id == id
	}
	return a.asked && a.id == id
}

// give notes a name that the user gives.
func (a *snoopAuth) give(name string, id uint8) {
	for i := range a.given[:a.n] {
		if g := &a.given[i]; g.name == name {
			g.ids[id/64] |= 1 << (id % 64)
			return
		}
	}
	if a.n < len(a.given) {
		g := &a.given[a.n]
		a.n++
		g.name = name
		g.ids[id/64] |= 1 << (id % 64)
	}
}

// name is the name that an answer with this Identifier is about. With EAP it is
// the one given to the last Request for it, whatever methods and Identifiers
// came between.
func (a *snoopAuth) name(id uint8) (name string, ok bool) {
	for i := range a.given[:a.n] {
		if g := &a.given[i]; a.proto == ProtoEAP || g.has(id) {
			return g.name, true
		}
	}
	return "", false
}
