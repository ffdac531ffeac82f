package guests

import (
	"encoding/json"
	"fmt"
)

// transfer sends TCP data from user id to the internet and back, for two
// seconds each, and logs the rates in Mbit/s.
func (r *rig) transfer(id int) (up, down float64) {
	r.t.Helper()
	r.must(r.user, fmt.Sprintf("ip route replace %s dev ppp%d", internet, id))
	rate := func(flag string) (mbits float64) {
		r.t.Helper()
		r.eventually("iperf3 "+flag, func() error {
			out := r.must(r.user, fmt.Sprintf("iperf3 -J -c %s -t 2 %s", internet, flag))
			var res struct {
				Error string `json:"error"` // the server takes a moment after each client
				End   struct {
					Received struct {
						Bits float64 `json:"bits_per_second"`
					} `json:"sum_received"`
				} `json:"end"`
			}
			if err := json.Unmarshal([]byte(out), &res); err != nil {
				r.t.Fatalf("iperf3: %v in %s", err, out)
			}
			if res.Error != "" || res.End.Received.Bits == 0 {
				return fmt.Errorf("nothing arrived: %q", res.Error)
			}
			mbits = res.End.Received.Bits / 1e6
			return nil
		})
		return mbits
	}
	up, down = rate(""), rate("-R")
	r.t.Logf("TCP through user %d: %.1f Mbit/s up, %.1f Mbit/s down", id, up, down)
	return up, down
}
