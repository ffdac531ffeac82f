package guests

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"tributary/test/capture"
)

// joinAll brings all users up at once and returns their addresses, by id.
func (r *rig) joinAll(where string) (addrs [sharedUsers + 1]string) {
	r.t.Helper()
	began := time.Now()
	out := r.must(r.user, r.each(fmt.Sprintf("up netns %s $i", where))+fmt.Sprintf("for i in $(seq 1 %d); do cat /run/each.$i; done", sharedUsers))
	r.t.Logf("%d users up in %v", sharedUsers, time.Since(began).Round(10*time.Millisecond))
	seen := map[string]int{}
	for i, said := range strings.Split(out, "\n") {
		addrs[i+1] = r.joined(i+1, said)
		if other := seen[addrs[i+1]]; other != 0 {
			r.t.Errorf("users %d and %d both have %s", other, i+1, addrs[i+1])
		}
		seen[addrs[i+1]] = i + 1
	}
	return addrs
}

// each is a script that runs a command for all users at once. $i is the user;
// what it says goes to /run/each.$i.
func (r *rig) each(command string) string {
	return fmt.Sprintf(`p=; for i in $(seq 1 %d); do %s >/run/each.$i 2>&1 & p="$p $!"; done
for q in $p; do wait $q || { tail -n 5 /run/each.*; exit 1; }; done
`, sharedUsers, command)
}

// TestSharedTwenty has twenty users on one session, all busy at once, and takes
// the session away from them.
func TestSharedTwenty(t *testing.T) {
	r := newRig(t, rigOptions{serve: "route=" + routedPrefix})
	g := r.startShared(sharedOptions{})
	g.routed()
	addrs := r.joinAll(bank)
	g.up(sharedUsers)
	r.ispSessions(1, "all share one session")

	const octets = 400_000
	began := time.Now()
	r.must(r.user, r.each(fmt.Sprintf("swap $i %s %d", internet, octets)))
	spent := time.Since(began)
	t.Logf("%d transfers at once, %d octets each way and each: %v, %.1f Mbit/s each way", sharedUsers, octets,
		spent.Round(10*time.Millisecond), sharedUsers*octets*8/spent.Seconds()/1e6)
	for _, l := range g.up(sharedUsers) {
		if l.Session.UpOctets < octets || l.Session.DownOctets < octets {
			t.Errorf("%s: %d octets up, %d down, want %d of each and more", l.User, l.Session.UpOctets, l.Session.DownOctets, octets)
		}
	}

	// The ISP's pppd dies under them, in the middle of things; its server sees
	// that, and sends a PADT.
	before := g.office()
	r.must(r.user, fmt.Sprintf("for i in $(seq 1 %d); do swap $i %s 1000000 >/dev/null 2>&1 & done", sharedUsers, internet))
	r.eventually("users are sending, and get answers", func() error {
		if n := g.office().Session.DownOctets - before.Session.DownOctets; n < 100_000 {
			return fmt.Errorf("%d octets down since", n)
		}
		return nil
	})
	began = time.Now()
	r.must(r.isp, "killall -9 pppd")
	r.want("the session is ended with a PADT", 1, padtOf(before.SessionID))
	for id := 1; id <= sharedUsers; id++ {
		r.hasEnded(id, "the users' lines go down with the session")
	}
	t.Logf("%d users are down after %v", sharedUsers, time.Since(began).Round(10*time.Millisecond))
	r.toldAll()
	g.none("the users are gone")
	r.try(r.user, "killall -q swap socat")

	g.routed()
	t.Logf("the session is back after %v", time.Since(began).Round(10*time.Millisecond))
	if again := r.joinAll(bank); again != addrs {
		t.Errorf("users have other addresses than before: %v, not %v", again, addrs)
	}
	g.up(sharedUsers)
	r.must(r.user, r.each("swap $i "+internet+" 20000"))

	office := g.office()
	g.stop()
	r.want("the new session is ended with a PADT", 1, capture.IsDiscovery(true, capture.PADT, office.SessionID))
	r.ispSessions(0, "the ISP has no session left")
	for id := 1; id <= sharedUsers; id++ {
		r.hasEnded(id, "the users see the end")
	}
}

// toldAll looks at what the users' pppds say of the end of their lines.
func (r *rig) toldAll() {
	r.t.Helper()
	told := 0
	for id := 1; id <= sharedUsers; id++ {
		if r.told(id) {
			told++
		}
	}
	r.t.Logf("%d of %d have heard the gateway's Terminate-Request", told, sharedUsers)
	if told == 0 {
		r.t.Error("nobody is told in PPP's own words")
	}
}

// told reports whether the pppd of user id has heard why its line went down. A
// guest that is busy loses the last words: pppd learns that nc has ended before
// it has read what nc wrote.
func (r *rig) told(id int) bool {
	r.t.Helper()
	const words = "LCP terminated by peer (the session with the ISP is down)"
	log := r.pppdLog(id)
	told := strings.Contains(log, words)
	if !told && !strings.Contains(log, "Modem hangup") {
		r.t.Errorf("pppd of user %d has not seen its line go down:\n%s", id, log)
	}
	return told
}

// TestSharedNAT has the ISP give one address and route nothing. Users share it.
func TestSharedNAT(t *testing.T) {
	r := newRig(t, rigOptions{})
	g := r.startShared(sharedOptions{session: "nat: true"})
	ours := g.office().Address
	// Behind the ISP there is one more router's worth of Internet.
	const far = "203.0.113.1"
	r.must(r.isp, `ip netns add far && ip link add far0 type veth peer name isp0 netns far
ip addr add 203.0.113.254/24 dev far0 && ip link set far0 up
ip -n far addr add `+far+`/24 dev isp0 && ip -n far link set isp0 up && ip -n far route add default via 203.0.113.254`)

	one, two := r.join(bank, 1, ""), r.join(bank, 2, "")
	for id := 1; id <= 2; id++ {
		if got := r.as(id, "socat -t 10 - TCP:"+internet+":79"); got != ours {
			t.Errorf("user %d is known as %q out there, want %s", id, got, ours)
		}
		r.pings(id, 56, internet)
		r.pings(id, 1464, internet)
		r.pings(id, 3000, internet) // in fragments, with ports in the first one only
	}
	r.swap(1, internet, 1_000_000)
	r.must(r.user, "swap 1 "+internet+" 300000 & swap 2 "+internet+" 300000 || exit 1; wait $!")
	r.pingedByISP(56, ours) // the gateway answers for itself

	for _, how := range []string{"", "-I "} {
		out := r.as(1, "traceroute -n -q 1 -w 5 -m 6 "+how+far)
		t.Logf("traceroute %s:\n%s", how, out)
		var hops []string
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == fmt.Sprint(len(hops)+1) {
				hops = append(hops, f[1])
			}
		}
		// Each router's message is about a packet that left with another address
		// and another port, or identifier, than the user sent it with.
		if want := []string{ourAddress, "10.64.0.1", far}; strings.Join(hops, " ") != strings.Join(want, " ") {
			t.Errorf("traceroute %sgoes by %v, want %v", how, hops, want)
		}
	}

	if n := r.atISP(between(ours, internet)); n < 100 {
		t.Errorf("%d packets from %s at the ISP: the capture shows nothing", n, ours)
	}
	if n := r.atISP(func(ip *layers.IPv4, _ gopacket.Packet) bool {
		return strings.HasPrefix(ip.SrcIP.String(), "10.99.") || strings.HasPrefix(ip.DstIP.String(), "10.99.")
	}); n > 0 {
		t.Errorf("%d packets with addresses of the pool at the ISP", n)
	}
	log, err := os.ReadFile(g.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	for i, addr := range []string{one, two} {
		r.wantLog("tributary", string(log), fmt.Sprintf(`msg="NAT ports assigned" session=office user=u%d address=%s external=%s`, i+1, addr, ours))
	}
}
