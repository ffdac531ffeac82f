package nat

import "time"

// Verdict is what becomes of a packet.
type Verdict uint8

const (
	// Forward: translated; it may go on.
	Forward Verdict = iota
	// Hairpin, of Out only: translated both ways; it is for another user.
	Hairpin
	// ToRouter: a query to the external address itself, not translated. The caller
	// may answer it; see ip.AnswerEcho4.
	ToRouter

	// All others are reasons to drop the packet. Each is counted.

	Malformed     // the transport header is cut off or not well formed
	Unsupported   // neither TCP, UDP, an ICMP query nor an ICMP error
	NotOurs       // from outside, not to the external address, or as if from it
	NoUser        // from or for a user who has left, or has not joined
	NoMapping     // nobody has that external port, or what an ICMP error quotes
	Filtered      // somebody has it, and that sender may not send to it
	NoSession     // a TCP RST from inside for a session that is not known
	FragmentOrder // a fragment whose first one was not seen before it
	UserSessions  // the user has as many sessions as one may have
	Sessions      // all users together have
	NoPort        // all ports of the user's blocks are taken, and it may have no more blocks
	NoBlock       // every block is somebody's, has not rested yet, or is kept for users that have none

	verdicts
)

var verdictNames = [verdicts]string{
	"forward", "hairpin", "to-router",
	"malformed", "unsupported-protocol", "not-ours", "no-user", "no-mapping", "filtered", "no-session", "fragment-order",
	"user-sessions", "sessions", "no-port", "no-block",
}

// Dropped reports whether v is a reason to drop the packet.
func (v Verdict) Dropped() bool { return v > ToRouter }

// String is the verdict in a word, the same in log, metric and API.
func (v Verdict) String() string {
	if v < verdicts {
		return verdictNames[v]
	}
	return "unknown"
}

// Stats is how full the NAT is, and what it dropped.
type Stats struct {
	Users         int               `json:"users" doc:"Users behind the address"`
	UsersServed   int               `json:"users_served" doc:"Those of them that have ports"`
	Sessions      int               `json:"sessions" doc:"Inside endpoints and whom they talk to"`
	Mappings      int               `json:"mappings" doc:"External ports in use, of TCP, UDP and ICMP together"`
	MappingsTCP   int               `json:"mappings_tcp"`
	MappingsUDP   int               `json:"mappings_udp"`
	MappingsICMP  int               `json:"mappings_icmp" doc:"Identifiers of queries"`
	Blocks        int               `json:"blocks" doc:"Blocks of ports that the address has"`
	BlocksFree    int               `json:"blocks_free" doc:"Blocks nobody has, those that rest included"`
	BlocksResting int               `json:"blocks_resting" doc:"Of these, those that somebody had until not long ago, and that are kept for him"`
	Dropped       map[string]uint64 `json:"dropped" doc:"Packets dropped, by reason"`
}

// Stats is a copy of the counters. What rests is as of the last Tick. It costs a
// look at each block that rests, and holds up no packet but those that need a block.
func (n *NAT) Stats() Stats {
	s := Stats{
		Sessions:     int(n.sessions.Load()),
		MappingsTCP:  int(n.mappings[tcp].Load()),
		MappingsUDP:  int(n.mappings[udp].Load()),
		MappingsICMP: int(n.mappings[icmp].Load()),
		Dropped:      make(map[string]uint64),
	}
	s.Mappings = s.MappingsTCP + s.MappingsUDP + s.MappingsICMP
	n.pool.count(time.Duration(n.ticked.Load()), &s)
	for v := range verdicts {
		if v.Dropped() {
			s.Dropped[v.String()] = n.dropped[v].Load()
		}
	}
	return s
}

// count is the pool's part of s.
func (p *pool) count(now time.Duration, s *Stats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Users, s.UsersServed, s.Blocks, s.BlocksFree = p.joined, p.served, p.all, p.free
	for i := p.tail; i != 0 && p.blocks[i].from > now; i = p.blocks[i].prev {
		s.BlocksResting++
	}
}
