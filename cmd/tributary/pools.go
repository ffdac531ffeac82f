package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tributary/internal/control"
	"tributary/internal/gateway"
)

func newPoolsCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "pools",
		Short: "List the pools of addresses, and how full they are",
		Long: `Lists the pools that users' addresses come from, each with its IPv4 prefix and, in
a row of its own, its IPv6 prefix, of which each user has a /64. SIZE is how many
there are for users who have none of their own, TAKEN how many users have now;
REMEMBERED are free, and whoever had them last gets them again.`,
		Example: `  tributary pools
  tributary pools --json | jq '.[] | select(.taken > .size * 0.9).name'`,
		Args: cobra.NoArgs,
	}
	socket, asJSON := e.socketFlag(c), jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		client := control.Dial(*socket)
		defer client.Close()
		pools, err := client.Pools(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(e.stdout, pools)
		}
		return poolsTable(pools).write(e.stdout)
	}
	return c
}

func poolsTable(pools []gateway.PoolInfo) *table {
	t := newTable("POOL", "PREFIX", ">SIZE", ">TAKEN", ">FULL", ">REMEMBERED", "DELEGATED BY")
	row := func(name, prefix string, size, taken, remembered int, by string) {
		t.row(name, prefix, fmt.Sprint(size), fmt.Sprint(taken), full(taken, size), fmt.Sprint(remembered), by)
	}
	for i := range pools {
		p := &pools[i]
		row(p.Name, p.Prefix, p.Size, p.Taken, p.Remembered, "")
		switch six := p.IPv6; {
		case six == nil:
		case six.Prefix == "":
			t.row(p.Name, "no prefix", "", "", "", "", six.DelegatedBy)
		default:
			row(p.Name, six.Prefix, six.Size, six.Taken, six.Remembered, six.DelegatedBy)
		}
	}
	return t
}

// full is a share in percent: 100 only of what is full, 0 only of what is empty.
func full(taken, size int) string {
	switch {
	case taken == 0:
		return "0%"
	case taken >= size: // fixed addresses come on top
		return "100%"
	}
	return fmt.Sprintf("%d%%", max(1, 100*taken/size))
}
