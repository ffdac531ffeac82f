package gateway

// PoolInfo is one pool of addresses, as a copy for API and CLI.
type PoolInfo struct {
	Name       string `json:"name"`
	Prefix     string `json:"prefix"`
	Size       int    `json:"size" doc:"Addresses for users, without what is excluded or fixed"`
	Taken      int    `json:"taken" doc:"Addresses that users have now, fixed ones included"`
	Remembered int    `json:"remembered" doc:"Free addresses whose last user gets them again"`
}

// Pools are all pools of addresses, in the configuration's order. They may be
// asked for after Run has returned, too.
func (g *Gateway) Pools() []PoolInfo {
	infos := make([]PoolInfo, 0, len(g.cfg.Pools))
	for i := range g.cfg.Pools {
		p := g.shared.pools[g.cfg.Pools[i].Name]
		if p == nil {
			continue // nobody uses it
		}
		st := p.pool.Stats()
		infos = append(infos, PoolInfo{Name: p.cfg.Name, Prefix: p.cfg.Prefix.String(), Size: st.Size, Taken: st.Taken, Remembered: st.Remembered})
	}
	return infos
}
