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
	rate := func(flag string) float64 {
		r.t.Helper()
		out := r.must(r.user, fmt.Sprintf("for try in 1 2 3 4 5; do iperf3 -J -c %s -t 2 %s && exit; sleep 0.5; done; exit 1", internet, flag))
		var res struct {
			End struct {
				Received struct {
					Bits  float64 `json:"bits_per_second"`
					Bytes int64   `json:"bytes"`
				} `json:"sum_received"`
			} `json:"end"`
		}
		if err := json.Unmarshal([]byte(out), &res); err != nil {
			r.t.Fatalf("iperf3: %v in %s", err, out)
		}
		if res.End.Received.Bytes == 0 {
			r.t.Errorf("iperf3 %s: nothing arrived: %s", flag, out)
		}
		return res.End.Received.Bits / 1e6
	}
	up, down = rate(""), rate("-R")
	r.t.Logf("TCP through user %d: %.1f Mbit/s up, %.1f Mbit/s down", id, up, down)
	return up, down
}
