package ppp

// Phase is where a link stands, as RFC 1661 section 3.2 draws it.
type Phase uint8

// The phases. Section 3.3: the link "necessarily begins and ends" in Dead.
const (
	PhaseDead Phase = iota
	PhaseEstablish
	PhaseAuthenticate
	PhaseNetwork
	PhaseTerminate
)

var phaseNames = [...]string{"dead", "establish", "authenticate", "network", "terminate"}

// String is the phase's name in lower case.
func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return "unknown"
}
