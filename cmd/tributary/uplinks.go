package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tributary/internal/control"
	"tributary/internal/gateway"
)

func newUplinksCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "uplinks",
		Short: "List the uplinks, and the access concentrators that have answered",
		Example: `  tributary uplinks
  tributary uplinks --json | jq '.[].acs'`,
		Args: cobra.NoArgs,
	}
	socket, asJSON := e.socketFlag(c), jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		client := control.Dial(*socket)
		defer client.Close()
		uplinks, err := client.Uplinks(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(e.stdout, uplinks)
		}
		return e.printUplinks(uplinks)
	}
	return c
}

func (e *env) printUplinks(uplinks []gateway.UplinkInfo) error {
	t := newTable("UPLINK", "INTERFACE", "VLANS", "MAC", ">MTU", ">SESSIONS", ">OPENING", ">RX", ">TX", ">DROPPED")
	acs := newTable("UPLINK", "ACCESS CONCENTRATOR", "MAC", ">SESSIONS", ">OFFERS", ">REFUSALS", ">SEEN", "MESSAGE")
	now, heard := e.now(), false
	for i := range uplinks {
		u := &uplinks[i]
		dropped := u.Port.RxDropped + u.Port.TxDropped + u.Port.RxTruncated
		for _, n := range u.Dropped {
			dropped += n
		}
		t.row(u.Name, u.Interface, vlans(u.VLANs), u.MAC, fmt.Sprint(u.MTU), fmt.Sprint(u.Sessions),
			fmt.Sprint(u.Discovering), octets(u.Port.RxOctets), octets(u.Port.TxOctets), fmt.Sprint(dropped))
		for j := range u.ACs {
			ac := &u.ACs[j]
			heard = true
			acs.row(u.Name, ac.Name, ac.MAC, fmt.Sprint(ac.Sessions), fmt.Sprint(ac.Offers),
				fmt.Sprint(ac.Refusals), age(now, ac.LastSeen), ac.Message)
		}
	}
	if err := t.write(e.stdout); err != nil || !heard {
		return err
	}
	if _, err := fmt.Fprintln(e.stdout); err != nil {
		return err
	}
	return acs.write(e.stdout)
}
