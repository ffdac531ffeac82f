package nat

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
	NoMapping     // nobody has that external port, or what an ICMP error quotes
	Filtered      // somebody has it, and that sender may not send to it
	NoSession     // a TCP RST from inside for a session that is not known
	FragmentOrder // a fragment whose first one was not seen before it
	UserSessions  // the user has as many sessions as one may have
	Sessions      // all users together have
	NoPort        // all ports of the user's blocks are taken, and it may have no more blocks
	NoBlock       // every block is somebody's, or has not rested yet

	verdicts
)

var verdictNames = [verdicts]string{
	"forward", "hairpin", "to-router",
	"malformed", "unsupported-protocol", "not-ours", "no-mapping", "filtered", "no-session", "fragment-order",
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
	Users      int               `json:"users" doc:"Users that have a block"`
	Sessions   int               `json:"sessions"`
	Mappings   int               `json:"mappings" doc:"External ports in use, of TCP, UDP and ICMP together"`
	BlocksFree int               `json:"blocks_free" doc:"Blocks nobody has, those that rest included"`
	Blocks     int               `json:"blocks"`
	Dropped    map[string]uint64 `json:"dropped" doc:"Packets dropped, by reason"`
}

// Stats is a copy of the counters.
func (n *NAT) Stats() Stats {
	free, all := n.pool.size()
	s := Stats{
		Users:      int(n.users.Load()),
		Sessions:   int(n.sessions.Load()),
		Mappings:   int(n.mappings.Load()),
		BlocksFree: free,
		Blocks:     all,
		Dropped:    make(map[string]uint64),
	}
	for v := range verdicts {
		if v.Dropped() {
			s.Dropped[v.String()] = n.dropped[v].Load()
		}
	}
	return s
}
