package pppoe

import (
	"testing"
	"time"
)

// ranks judges offers by their AC's address.
func ranks(of map[MAC]Rank) func(time.Time, Offer, int) Rank {
	return func(_ time.Time, o Offer, _ int) Rank { return of[o.AC] }
}

func TestClientRank(t *testing.T) {
	for _, tt := range []struct {
		name   string
		prefer []Preference
		ranks  map[MAC]Rank
		offers []MAC
		want   MAC // zero: nobody is asked
	}{
		{"the least order", nil, map[MAC]Rank{macA: {Order: 2}, macB: {Order: 1}}, []MAC{macA, macB}, macB},
		{"the first of one order", nil, map[MAC]Rank{macA: {Order: 1}, macB: {Order: 1}}, []MAC{macB, macA}, macB},
		{"one that is left alone", nil, map[MAC]Rank{macA: {Leave: true}, macB: {Order: 9}}, []MAC{macA, macB}, macB},
		{"left alone, though there is no other", nil, map[MAC]Rank{macA: {Leave: true}}, []MAC{macA}, MAC{}},
		{"the owner's word goes before the list's", []Preference{{MAC: macA}, {MAC: macB}}, map[MAC]Rank{macA: {Order: 5}, macB: {Order: 4}}, []MAC{macA, macB}, macB},
		{"but not past it", []Preference{{MAC: macA}}, map[MAC]Rank{macA: {Order: 5}, macB: {}}, []MAC{macB}, MAC{}},
		{"weight against none", nil, map[MAC]Rank{macA: {}, macB: {Weight: 1}}, []MAC{macA, macB}, macB},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newTalk(t, ClientConfig{
				Prefer: tt.prefer, OfferWait: sec / 10, Rank: ranks(tt.ranks),
				Random: func(int64) int64 { return 0 },
			})
			v.wantPADI("begins", 0)
			for _, src := range tt.offers {
				v.offer(src, "ac")
			}
			v.to(sec / 10)
			if tt.want == (MAC{}) {
				v.wantQuiet("none of them will do")
				return
			}
			v.wantPADR("the best of them", tt.want)
		})
	}
}

// With weights 3, 1 and 0, of 4 chances the first AC has three and the third none,
// in whatever order the offers come.
func TestClientSpreadsByWeight(t *testing.T) {
	weights := map[MAC]Rank{macA: {Weight: 3}, macB: {Weight: 1}, macC: {Weight: 0}}
	for _, order := range [][]MAC{{macA, macB, macC}, {macC, macB, macA}, {macB, macC, macA}} {
		asked := map[MAC]int{}
		// Every way that two draws of up to 12 values can fall.
		for i := range 12 * 12 {
			draws := []int{i % 12, i / 12}
			v := newTalk(t, ClientConfig{
				OfferWait: sec / 10, Rank: ranks(weights),
				Random: func(n int64) int64 {
					if n > 12 {
						return 0 // the wait's
					}
					d := draws[0]
					draws = append(draws[1:], 0)
					return int64(d) * n / 12
				},
			})
			v.wantPADI("begins", 0)
			for _, src := range order {
				v.offer(src, "ac")
			}
			v.to(sec / 10)
			send, ok := v.next().(Send)
			if !ok || send.Code != PADR {
				t.Fatalf("no PADR but %+v", send)
			}
			asked[send.Dst]++
		}
		if asked[macA] != 108 || asked[macB] != 36 {
			t.Errorf("offers from %v: %v, want 108 and 36 of 144", order, asked)
		}
	}
}

// An AC that has the best rank alone is asked at once; one of several equals waits
// for the others' offers.
func TestClientRankAndPatience(t *testing.T) {
	prefer := []Preference{{MAC: macA}, {MAC: macB}}
	v := newTalk(t, ClientConfig{Prefer: prefer, OfferWait: sec, Rank: ranks(map[MAC]Rank{macA: {}, macB: {Order: 1}})})
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-a")
	v.wantPADR("there is none better", macA)

	v = newTalk(t, ClientConfig{Prefer: prefer, OfferWait: sec, Rank: ranks(map[MAC]Rank{macA: {Weight: 1}, macB: {Weight: 1}})})
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-a")
	v.wantQuiet("its equal may answer yet")
	v.to(sec)
	v.wantPADR("it has not", macA)
}

func TestClientLeftAloneIsWhyItFails(t *testing.T) {
	v := newTalk(t, ClientConfig{Timeout: 2 * sec, Rank: ranks(map[MAC]Rank{macA: {Leave: true}})})
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-a")
	v.to(sec)
	v.wantPADI("nobody that may be asked", sec)
	v.offer(macA, "ac-a")
	v.to(2 * sec)
	v.wantEvent("time is up", ClientFailed{Reason: FailLeftAlone})
}

// An AC-Cookie that has expired is the AC's to refuse. Whoever asks with a fresh one
// is served.
func TestClientRefusalOfAnOldOffer(t *testing.T) {
	full := StringTag(TagGenericError, "invalid cookie")
	v := newTalk(t, ClientConfig{PADRTries: 3})
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-a")
	v.wantPADR("asks", macA)
	for _, at := range []time.Duration{1, 3} {
		v.to(at * sec)
		v.wantPADR("asks again, with the cookie that it has", macA)
	}
	v.hear(macA, PADS, 0, ourUniq, full)
	v.wantEvent("which has expired", ClientRefused{macA, "ac-a", PADS, "invalid cookie"})
	v.wantPADI("so for a fresh one", 3*sec)
	v.offer(macA, "ac-a")
	v.wantPADR("asks once more", macA)
	v.hear(macA, PADS, 0, ourUniq, full)
	v.wantEvent("and that is final", ClientRefused{macA, "ac-a", PADS, "invalid cookie"})
	v.to(5 * sec)
	v.wantPADI("when the next is due", 5*sec)
	v.offer(macA, "ac-a")
	v.wantQuiet("who refused a fresh offer is not asked again")
}

// A hundred offers that nobody would take do not keep out the one that they would.
func TestClientRankInAFlood(t *testing.T) {
	for _, tt := range []struct {
		name  string
		order int // of the last offer; those of the flood have 5
		want  MAC
	}{
		{"a better one", 1, macA},
		{"one no better", 5, MAC{2, 0xf, 0, 0, 0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newTalk(t, ClientConfig{OfferWait: sec / 10, Rank: func(_ time.Time, o Offer, _ int) Rank {
				if o.AC == macA {
					return Rank{Order: tt.order}
				}
				return Rank{Order: 5}
			}})
			v.wantPADI("begins", 0)
			for i := range 100 {
				v.offer(MAC{2, 0xf, 0, 0, 0, byte(i)}, "invented")
			}
			v.offer(macA, "ac-a")
			v.to(sec / 10)
			v.wantPADR("the best of all", tt.want)
		})
	}
}
