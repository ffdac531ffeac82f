package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tributary/internal/config"
	"tributary/internal/control"
	"tributary/internal/gateway"
)

// sessionPrefix is what the lines of sessions have before the session's name.
const sessionPrefix = config.SessionGroup + "/"

func newSessionsCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "sessions [NAME]",
		Short: "List the sessions that users share, or show everything about one",
		Long: `Lists the PPPoE sessions that the lines of mode shared have in common, whether
they are up or not, and below, why not. STATE is discovering (an access
concentrator is looked for), negotiating (PPP with it), up, waiting (to be
dialled again), down (it has just ended) or not-used; FOR is how long it has
been in that. UP and DOWN are octets of PPP, towards the ISP and from it.`,
		Example: `  tributary sessions
  tributary sessions office
  tributary sessions --json | jq -r '.[] | select(.state != "up").name'`,
		Args: cobra.MaximumNArgs(1),
	}
	socket, asJSON := e.socketFlag(c), jsonFlag(c)
	c.ValidArgsFunction = completeNames(socket, sessionNames)
	c.RunE = func(c *cobra.Command, args []string) error {
		client := control.Dial(*socket)
		defer client.Close()
		if len(args) == 1 {
			s, err := client.Session(c.Context(), strings.TrimPrefix(args[0], sessionPrefix))
			if err != nil {
				return err
			}
			return e.printSession(&s, *asJSON)
		}
		sessions, err := client.Sessions(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(e.stdout, sessions)
		}
		return e.printSessions(sessions)
	}
	return c
}

func (e *env) printSessions(sessions []gateway.SessionInfo) error {
	t := newTable("SESSION", "UPLINK", "STATE", "SID", "ADDRESS", ">USERS", ">UP", ">DOWN", ">FOR")
	var notes notes
	now := e.now()
	for i := range sessions {
		s := &sessions[i]
		t.row(s.Name, s.Uplink, string(s.State), sid(s.SessionID), cmp.Or(s.Address, s.Address6, s.Prefix), sessionUsers(s),
			octets(s.Traffic.UpOctets), octets(s.Traffic.DownOctets), age(now, s.Since))
		notes.add(s.Name, why(now, s))
	}
	if err := t.write(e.stdout); err != nil {
		return err
	}
	return notes.write(e.stdout)
}

// sessionUsers is how many users it has, of how many that it takes.
func sessionUsers(s *gateway.SessionInfo) string {
	if s.MaxUsers == 0 {
		return fmt.Sprint(s.Users)
	}
	return fmt.Sprintf("%d/%d", s.Users, s.MaxUsers)
}

// why is what there is to say of a session that is not up.
func why(now time.Time, s *gateway.SessionInfo) string {
	if s.State == gateway.SessionUp || s.State == gateway.SessionUnused {
		return ""
	}
	var parts []string
	if !s.NextDial.IsZero() {
		parts = append(parts, "dialled in "+age(s.NextDial, now))
	}
	switch {
	case s.Message != "":
		parts = append(parts, s.Message)
	case s.Failure != nil:
		parts = append(parts, failureText(s.Failure))
	}
	return strings.Join(parts, "; ")
}

func failureText(f *gateway.SessionFailure) string {
	if f.Message == "" {
		return string(f.Reason)
	}
	return fmt.Sprintf("%s: %s", f.Reason, f.Message)
}

func (e *env) printSession(s *gateway.SessionInfo, asJSON bool) error {
	if asJSON {
		return printJSON(e.stdout, s)
	}
	return e.sessionDetails(s).write(e.stdout)
}

func (e *env) sessionDetails(s *gateway.SessionInfo) *details {
	now := e.now()
	var d details
	d.section("session")
	d.add("name", s.Name)
	d.add("state", fmt.Sprintf("%s for %s", s.State, age(now, s.Since)))
	if !s.NextDial.IsZero() {
		d.add("dialled again in", age(s.NextDial, now))
	}
	d.add("dialled", times(s.Dials))
	if s.InVain > 0 {
		d.add("in a row in vain", fmt.Sprint(s.InVain))
	}
	if f := s.Failure; f != nil {
		d.add("last end", fmt.Sprintf("%s ago, %s", age(now, f.Time), failureText(f)))
	}
	d.add("message", s.Message)
	d.add("users", sessionUsers(s))

	d.section("with the ISP")
	d.add("uplink", s.Uplink)
	d.add("session id", sid(s.SessionID))
	d.add("access concentrator", strings.TrimSpace(s.ACName+" "+s.ACMAC))
	d.add("user", s.User)
	d.add("address", s.Address)
	d.add("peer", s.Peer)
	d.add("IPv6 address", s.Address6)
	d.add("prefix", s.Prefix)
	d.add("DNS", strings.Join(s.DNS, ", "))
	if s.MTU > 0 {
		d.add("MTU", fmt.Sprint(s.MTU))
	}
	d.counters(s.Traffic)
	if n := s.NAT; n != nil {
		d.section("NAT")
		d.add("users", fmt.Sprint(n.Users))
		d.add("sessions", fmt.Sprint(n.Sessions))
		d.add("ports in use", fmt.Sprintf("%d (TCP %d, UDP %d, ICMP %d)", n.Mappings, n.MappingsTCP, n.MappingsUDP, n.MappingsICMP))
		d.add("blocks of ports free", fmt.Sprintf("%d of %d", n.BlocksFree, n.Blocks))
		d.add("resting", fmt.Sprintf("%d of these are kept for those who had them", n.BlocksResting))
		if s.NATLogLost > 0 {
			d.add("log lines lost", fmt.Sprint(s.NATLogLost))
		}
		d.reasons("packets dropped by NAT", n.Dropped)
	}
	d.reasons("packets from the ISP not forwarded", s.Dropped)
	return &d
}

func times(n uint64) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
