package gateway

// PoolInfo is one pool of addresses, as a copy for API and CLI.
type PoolInfo struct {
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"`
	Size       int        `json:"size" doc:"Addresses for users, without what is excluded or fixed"`
	Taken      int        `json:"taken" doc:"Addresses that users have now, fixed ones included"`
	Remembered int        `json:"remembered" doc:"Free addresses whose last user gets them again"`
	IPv6       *PoolInfo6 `json:"ipv6,omitempty" doc:"Of a pool with IPv6"`
}

// PoolInfo6 is the IPv6 part of a pool: a /64 for each user.
type PoolInfo6 struct {
	Prefix      string `json:"prefix" doc:"Empty while the ISP delegates none"`
	DelegatedBy string `json:"delegated_by,omitempty" doc:"The session whose ISP delegates the prefix"`
	Size        int    `json:"size" doc:"/64s for users"`
	Taken       int    `json:"taken"`
	Remembered  int    `json:"remembered" doc:"Free /64s whose last user gets them again"`
}

// Pools are all pools of addresses, in the configuration's order. They may be
// asked for after Run has returned, too.
func (g *Gateway) Pools() []PoolInfo {
	infos := make([]PoolInfo, 0, len(g.cfg.Pools))
	for i := range g.cfg.Pools {
		p := g.shared.pools[g.cfg.Pools[i].Name]
		if p == nil {
			continue // there is no session, and so nobody to use it
		}
		st := p.pool.Stats()
		infos = append(infos, PoolInfo{
			Name: p.cfg.Name, Prefix: p.cfg.Prefix.String(), Size: st.Size, Taken: st.Taken, Remembered: st.Remembered,
			IPv6: p.six.information(),
		})
	}
	return infos
}

// information is nil for a pool without IPv6.
func (p *prefixPool) information() *PoolInfo6 {
	if p == nil {
		return nil
	}
	i := &PoolInfo6{DelegatedBy: p.cfg.DelegatedBy}
	if now := p.current.Load(); now != nil {
		st := now.table.leases.Stats()
		i.Prefix = now.table.prefix.String()
		i.Size, i.Taken, i.Remembered = st.Size, st.Taken, st.Remembered
	}
	return i
}
