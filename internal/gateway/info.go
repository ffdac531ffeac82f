package gateway

import (
	"time"

	"tributary/internal/ether"
	"tributary/internal/line"
)

// LineInfo is one line and its session, as a copy for API and CLI.
type LineInfo struct {
	Name      string        `json:"name" doc:"Name of the line, unique while it is up"`
	Group     string        `json:"group"`
	Kind      string        `json:"kind" doc:"tcp, pty, serial or pipe; session: the line of a session that users share"`
	Mode      string        `json:"mode" doc:"relay or shared"`
	Remote    string        `json:"remote"`
	State     string        `json:"state" doc:"waiting, discovering, held, up, closing"`
	Phase     string        `json:"phase" doc:"What PPP is doing, as seen in passing: dead, establish, authenticate, network, terminate"`
	Since     time.Time     `json:"since"`
	Uplink    string        `json:"uplink" doc:"Mode shared: the session that carries the user"`
	SessionID uint16        `json:"session_id"`
	ACName    string        `json:"ac_name"`
	ACMAC     string        `json:"ac_mac"`
	OurMAC    string        `json:"our_mac"`
	VLANs     []uint16      `json:"vlans"`
	SetUp     time.Duration `json:"setup_ns" doc:"From the first frame to PADS"`
	User      string        `json:"user" doc:"The name the user gave to the ISP, or, in mode shared, to the gateway"`
	Auth      string        `json:"auth" doc:"Authentication protocol asked for by the ISP, or the gateway"`
	Address   string        `json:"address" doc:"IPv4 address of the user"`
	Peer      string        `json:"peer" doc:"IPv4 address of the ISP, or, in mode shared, of the gateway towards the user"`
	Prefix    string        `json:"prefix,omitempty" doc:"Mode shared: the user's IPv6 prefix; of a session, the one that the ISP delegates"`
	DNS       []string      `json:"dns"`
	Message   string        `json:"message" doc:"The AC's last words: authentication message, error tag, PADT reason. Mode shared: what holds the user up"`
	SendACCM  uint32        `json:"send_accm"`
	RecvACCM  uint32        `json:"recv_accm"`
	PFC       bool          `json:"pfc"`
	ACFC      bool          `json:"acfc"`
	Line      line.Counters `json:"line"`
	Session   SessionStats  `json:"session"`
	// Mode shared only.
	Dropped map[string]uint64 `json:"dropped,omitempty" doc:"Mode shared: packets not forwarded, by reason"`
}

// SessionStats counts what crossed the gateway for one line, and what did not.
type SessionStats struct {
	UpFrames    uint64 `json:"up_frames"`
	UpOctets    uint64 `json:"up_octets" doc:"Of PPP frames, their Protocol field included"`
	DownFrames  uint64 `json:"down_frames"`
	DownOctets  uint64 `json:"down_octets"`
	QueueFull   uint64 `json:"queue_full" doc:"Downstream: the line's queue was at its bound"`
	QueueCoDel  uint64 `json:"queue_codel" doc:"Downstream: had waited too long for the line"`
	NotOpen     uint64 `json:"not_open" doc:"Upstream: no session to carry it, or not yet"`
	DownNotOpen uint64 `json:"down_not_open" doc:"Downstream: the session was not open yet, or no longer"`
	TooBig      uint64 `json:"too_big" doc:"Upstream: larger than PPPoE carries"`
	Malformed   uint64 `json:"malformed" doc:"Frames without a valid Protocol field"`
	InboxFull   uint64 `json:"inbox_full" doc:"Control frames beyond what one line may have waiting"`
	Superseded  uint64 `json:"superseded" doc:"Configure-Requests replaced by a newer one during discovery"`
	PortDropped uint64 `json:"port_dropped" doc:"Upstream: the Ethernet port would not take it"`
	NoBuffer    uint64 `json:"no_buffer" doc:"The buffer pool was at its cap"`
}

// UplinkInfo is one uplink, as a copy for API and CLI.
type UplinkInfo struct {
	Name        string            `json:"name"`
	Interface   string            `json:"interface"`
	Up          bool              `json:"up" doc:"The Ethernet port works"`
	MAC         string            `json:"mac"`
	MTU         int               `json:"mtu"`
	VLANs       []uint16          `json:"vlans"`
	Sessions    int               `json:"sessions"`
	Discovering int               `json:"discovering"`
	ACs         []ACInfo          `json:"acs" doc:"Those that have answered, the one that is asked first in front"`
	SetUp       SetUpInfo         `json:"setup" doc:"From the begin of a search, its wait for a PADI's turn included, to its PADS"`
	Discovery   map[string]uint64 `json:"discovery" doc:"Counters by packet and outcome: padi_sent, pado_received, ..."`
	Dropped     map[string]uint64 `json:"dropped" doc:"Frames not delivered, by reason"`
	Port        ether.Counters    `json:"port"`
}

// Event is one thing that happened, for events -f and the log.
type Event struct {
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind" doc:"line-up, session-up, network-up, session-down, line-down, discovery-failed, uplink-down, ..."`
	Line    string    `json:"line,omitempty"`
	Uplink  string    `json:"uplink,omitempty"`
	SID     uint16    `json:"sid,omitempty"`
	MAC     string    `json:"mac,omitempty" doc:"The AC's address"`
	User    string    `json:"user,omitempty"`
	Reason  Reason    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
}
