package ip

// Problem is what a router tells a sender about a packet (RFC 792, RFC 4443).
type Problem uint8

// The problems of both versions; the ICMP type and code of each are in the table
// of AppendError4 and AppendError6.
const (
	NoRoute           Problem = iota // no way to that network
	NoHost                           // nobody has that address
	NoPort                           // nobody listens there, for a packet to the router itself
	NoProtocol                       // the router itself does not speak it
	Prohibited                       // by decision of the operator
	HopLimit                         // TTL or Hop Limit came to an end
	PacketTooBig                     // for the link's MTU, and not to be fragmented
	SourceRouteFailed                // IPv4 only
)

// icmpType is type and code of an ICMP message.
type icmpType struct{ typ, code uint8 }

// icmp4 is RFC 792; code 13 is RFC 1812 section 5.2.7.1: "Communication
// Administratively Prohibited".
var icmp4 = [...]icmpType{
	NoRoute:           {3, 0},
	NoHost:            {3, 1},
	NoPort:            {3, 3},
	NoProtocol:        {3, 2},
	Prohibited:        {3, 13},
	HopLimit:          {11, 0},
	PacketTooBig:      {3, 4},
	SourceRouteFailed: {3, 5},
}

// icmp6 is RFC 4443 section 3. An unknown protocol is a Parameter Problem there.
var icmp6 = [...]icmpType{
	NoRoute:      {1, 0},
	NoHost:       {1, 3},
	NoPort:       {1, 4},
	NoProtocol:   {4, 1},
	Prohibited:   {1, 1},
	HopLimit:     {3, 0},
	PacketTooBig: {2, 0},
}

// String is the problem in a word or two, for logs and counters.
func (p Problem) String() string {
	if int(p) < len(problemNames) {
		return problemNames[p]
	}
	return "unknown"
}

var problemNames = [...]string{
	NoRoute: "no-route", NoHost: "no-host", NoPort: "no-port", NoProtocol: "no-protocol", Prohibited: "prohibited",
	HopLimit: "hop-limit", PacketTooBig: "too-big", SourceRouteFailed: "source-route",
}
