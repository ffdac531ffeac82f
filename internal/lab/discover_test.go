package lab

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/pppoe"
)

// survey asks, with a little patience.
func (p *place) survey(cfg DiscoverConfig) Survey {
	p.t.Helper()
	if cfg.Wait == 0 {
		cfg.Wait = time.Second
	}
	found, err := Discover(context.Background(), p.port(), p.pool, cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	return found
}

func TestDiscover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, ACConfig{Name: "bras1", Services: []string{"internet", "voice"}, MaxPayload: 1500, Reflect: true})
		port := p.hub.Port("ac2", pppoe.MAC{2, 0, 0, 0, 0, 3}, p.pool)
		slow, err := NewAC(port, p.pool, ACConfig{Name: "bras2", PADODelay: 200 * time.Millisecond, MinPADIInterval: 2 * time.Second, Reflect: true})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		found := p.survey(DiscoverConfig{MaxPayload: 1500, Count: 3, Wait: 2 * time.Second})
		if took := time.Since(begin); took != 4*time.Second {
			t.Errorf("it took %v", took)
		}
		if len(found.Answers) != 2 || found.PADIs != 3 || found.Strange != 0 || found.Beyond != 0 {
			t.Fatalf("%+v", found)
		}
		a, b := found.Answers[0], found.Answers[1]
		if a.ACName != "bras1" || a.AC != acMAC || !slices.Contains(a.Services, "voice") || a.MaxPayload != 1500 || a.After != 0 ||
			a.PADOs != 3 || a.Answered != 3 || a.CookieLen == 0 || !a.CookieChanges || a.NoHostUniq || a.Max != 0 {
			t.Errorf("first %+v", a)
		}
		if b.ACName != "bras2" || b.MaxPayload != 0 || b.Answered != 2 || b.PADOs != 2 || // the second PADI came too soon
			b.Min < 200*time.Millisecond || b.Avg < b.Min || b.Max < b.Avg || b.Max > 300*time.Millisecond || b.After != b.Min {
			t.Errorf("second %+v", b)
		}
		if found := p.survey(DiscoverConfig{Service: "games"}); len(found.Answers) != 1 || found.PADIs != 1 {
			t.Errorf("of a service that one of them has not: %+v", found)
		}
		if c := p.ac.Counters(); c.Opened != 0 {
			t.Errorf("a session was opened")
		}
		slow.Close()
		p.close()
	})
}

// What an AC may do with a Host-Uniq.
func TestDiscoverHostUniq(t *testing.T) {
	for _, tt := range []struct {
		name    string
		quirks  Quirks
		uniq    string
		answers int
		dropped bool
	}{
		{"echoed", Quirks{}, "", 1, false},
		{"dropped", Quirks{DropHostUniq: true}, "", 1, true},
		{"a fixed one is wanted", Quirks{WantHostUniq: []byte("key")}, "", 0, false},
		{"and given", Quirks{WantHostUniq: []byte("key")}, "key", 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, ACConfig{Reflect: true, Quirks: tt.quirks})
				defer p.close()
				cfg := DiscoverConfig{Count: 2}
				if tt.uniq != "" {
					cfg.HostUniq = []byte(tt.uniq)
				}
				found := p.survey(cfg)
				if len(found.Answers) != tt.answers || tt.answers == 1 && (found.Answers[0].NoHostUniq != tt.dropped || found.Answers[0].Answered != 2) {
					t.Errorf("%+v", found)
				}
			})
		})
	}
}

// Whatever strangers send, there is a bound to what is remembered of it.
func TestDiscoverFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, ACConfig{Reflect: true})
		defer p.close()
		p.ac.SetTrouble(Trouble{PADOFlood: 400})
		found := p.survey(DiscoverConfig{})
		if len(found.Answers) != maxAnswers || found.Beyond != 401-maxAnswers {
			t.Errorf("%d answers, %d beyond", len(found.Answers), found.Beyond)
		}
	})
}

// PADOs that are not as they should be.
func TestDiscoverStrangePADOs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, ACConfig{Reflect: true})
		p.ac.SetTrouble(Trouble{Deaf: true})
		s := p.station()
		defer p.leave()
		reply := make(chan Survey)
		client := p.port()
		var padi pppoe.Packet
		heard := p.hub.Port("ears", pppoe.MAC{2, 0, 0, 0, 0, 0x77}, p.pool)
		ears := make(chan struct{})
		go func() {
			defer close(ears)
			bufs := getBufs(p.pool, 1)
			defer putBufs(bufs)
			if _, err := heard.ReadBatch(bufs); err != nil {
				t.Error(err)
				return
			}
			_, payload, _ := ether.Parse(bufs[0].Bytes())
			padi, _ = pppoe.ParsePacket(append([]byte(nil), payload...))
		}()
		go func() {
			found, err := Discover(context.Background(), client, p.pool, DiscoverConfig{Wait: time.Second})
			if err != nil {
				t.Error(err)
			}
			reply <- found
		}()
		<-ears
		heard.Close()
		uniq, _ := padi.Find(pppoe.TagHostUniq)
		pado := func(uniq []byte, tags ...pppoe.Tag) {
			p := pppoe.Packet{Code: pppoe.PADO, Tags: append([]pppoe.Tag{pppoe.StringTag(pppoe.TagACName, "x")}, tags...)}
			if uniq != nil {
				p.Tags = append(p.Tags, pppoe.Tag{Type: pppoe.TagHostUniq, Data: uniq})
			}
			s.send(client.MAC(), p.Append(nil))
		}
		pado([]byte("somebody else's"))
		pado(uniq[:len(uniq)-1])
		s.send(client.MAC(), pppoe.Packet{Code: pppoe.PADO}.Append(nil)) // without AC-Name
		s.send(client.MAC(), pppoe.Packet{Code: pppoe.PADO, SessionID: 7, Tags: padi.Tags}.Append(nil))
		s.send(client.MAC(), pppoe.Packet{Code: pppoe.PADS, Tags: padi.Tags}.Append(nil))
		for i := range 100 {
			pado(uniq, pppoe.StringTag(pppoe.TagServiceName, strings.Repeat("s", i)), pppoe.StringTag(pppoe.TagGenericError, "closed for repairs"))
		}
		found := <-reply
		if found.Strange != 2 || len(found.Answers) != 1 {
			t.Fatalf("%+v", found)
		}
		a := found.Answers[0]
		if a.PADOs != 100 || a.Answered != 1 || len(a.Services) != maxServices || len(a.Errors) != 1 || a.Message != "closed for repairs" || a.CookieLen != 0 || a.CookieChanges {
			t.Errorf("%+v", a)
		}
		long := DiscoverConfig{Service: strings.Repeat("x", 1500)}
		if _, err := Discover(context.Background(), p.port(), p.pool, long); err == nil {
			t.Error("a PADI longer than it may be")
		}
	})
}

// FuzzDiscover feeds a search with whatever comes.
func FuzzDiscover(f *testing.F) {
	pado := pppoe.Packet{Code: pppoe.PADO, Tags: []pppoe.Tag{
		pppoe.StringTag(pppoe.TagACName, "ac"), pppoe.StringTag(pppoe.TagServiceName, ""), {Type: pppoe.TagMaxPayload, Data: []byte{5, 220}},
		pppoe.StringTag(pppoe.TagACCookie, "cookie"), pppoe.StringTag(pppoe.TagACSystemError, "full"),
	}}
	f.Add(pado.Append(nil), []byte{1})
	f.Add([]byte{0x11, 7, 0, 0, 0, 9}, []byte{})
	f.Fuzz(func(t *testing.T, packet, more []byte) {
		pool := frame.NewPool(8)
		port := ether.NewHub().Port("p", acMAC, pool)
		d := &discovery{port: port, pool: pool, count: 2, asked: []time.Time{time.Unix(1, 0), time.Unix(2, 0)}}
		for i, p := range [][]byte{packet, more, packet, append(packet, more...)} {
			b := pool.Get()
			if !b.SetBytes(p) {
				b.Put()
				continue
			}
			ether.Prepend(b, &ether.Header{Dst: acMAC, Src: pppoe.MAC{2, byte(i)}, Type: ether.TypeDiscovery})
			d.input(time.Unix(3, 0), b.Bytes())
			b.Put()
		}
		for _, a := range d.survey().Answers {
			if a.PADOs < a.Answered || a.Min > a.Avg || a.Avg > a.Max || a.Answered > 2 || len(a.Services) > maxServices || len(a.Errors) > 3 {
				t.Errorf("%+v", a)
			}
		}
	})
}
