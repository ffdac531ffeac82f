package lab

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/pppoe"
)

// DiscoverConfig is what Discover asks, and how often.
type DiscoverConfig struct {
	Service    string // Service-Name; empty: any
	VLANs      ether.VLANs
	MaxPayload int           // octets; over 1492 asks for RFC 4638
	HostUniq   []byte        // some ISPs answer to one only; nil: a new one in each PADI
	Count      int           // PADIs, one second apart; 0 is one
	Wait       time.Duration // for answers, behind the last PADI
}

// Survey is what Discover has found.
type Survey struct {
	Answers []Answer // in the order in which they came first
	PADIs   int      // sent
	// Strange is how many PADOs had a Host-Uniq that was none of ours: they are
	// another's, on the same address, or nobody's.
	Strange int
	// Beyond is how many PADOs were of further access concentrators than can be
	// remembered: somebody invents them.
	Beyond int
}

// Answer is one access concentrator that Discover has found.
type Answer struct {
	pppoe.Offer               // its first PADO; Services has those of all
	MaxPayload  int           // what it would carry by RFC 4638; 0 if it does not say
	After       time.Duration // from a PADI to the first PADO
	PADOs       int
	Answered    int // PADIs that it has answered
	// Min, Avg and Max are from a PADI to its first PADO.
	Min, Avg, Max time.Duration
	CookieLen     int  // octets; 0 if there is none
	CookieChanges bool // from one PADO to another
	NoHostUniq    bool // some PADO came without it
	Errors        []pppoe.Tag
}

// Bounds of what strangers can have Discover remember.
const (
	maxAnswers  = 256
	maxServices = 64
)

// padiEvery is between two PADIs: access concentrators may take more for an attack.
const padiEvery = time.Second

// Discover asks which access concentrators are there, and collects their answers. No
// session is opened. It closes the port.
func Discover(ctx context.Context, port ether.Port, pool *frame.Pool, cfg DiscoverConfig) (Survey, error) {
	d := &discovery{port: port, pool: pool, cfg: cfg, count: max(cfg.Count, 1)}
	_, _ = rand.Read(d.nonce[:]) // never fails, by its contract
	if n := d.padi(0).Len(); n > pppoe.MaxDiscovery {
		return Survey{}, errors.Join(fmt.Errorf("a PADI of %d octets is longer than the %d that there may be", n, pppoe.MaxDiscovery), port.Close())
	}
	bufs := getBufs(pool, readBufs)
	if bufs == nil {
		return Survey{}, errors.Join(fmt.Errorf("discover on %s: %w", port.Name(), errNoBuffers), port.Close())
	}
	defer putBufs(bufs)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(d.count-1)*padiEvery+cfg.Wait)
	defer cancel()
	var asking sync.WaitGroup
	asking.Go(func() {
		d.ask(ctx)
		<-ctx.Done()
		port.Close()
	})
	for {
		n, err := port.ReadBatch(bufs)
		now := time.Now()
		for _, b := range bufs[:n] {
			d.input(now, b.Bytes())
		}
		if err == nil {
			continue
		}
		over := ctx.Err() != nil
		cancel()
		asking.Wait()
		if !over { // it is not our doing
			return Survey{}, err
		}
		return d.survey(), nil
	}
}

// discovery is Discover at work.
type discovery struct {
	port  ether.Port
	pool  *frame.Pool
	cfg   DiscoverConfig
	count int
	nonce [8]byte

	mu    sync.Mutex
	asked []time.Time // when each PADI went out
	found Survey
	last  []int           // for each answer: the PADI that it has answered last, from 1
	sums  []time.Duration // for each answer
	first [][]byte        // for each answer: its first cookie
}

// ask sends the PADIs.
func (d *discovery) ask(ctx context.Context) {
	tick := time.NewTicker(padiEvery)
	defer tick.Stop()
	for i := range d.count {
		if i > 0 {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
		d.mu.Lock()
		d.asked = append(d.asked, time.Now())
		d.mu.Unlock()
		sendDiscovery(d.port, d.pool, d.cfg.VLANs, pppoe.Send{Dst: pppoe.Broadcast, Code: pppoe.PADI, Packet: d.padi(i).Append(nil)})
	}
}

func (d *discovery) padi(i int) pppoe.Packet {
	p := pppoe.Packet{Code: pppoe.PADI, Tags: []pppoe.Tag{
		pppoe.StringTag(pppoe.TagServiceName, d.cfg.Service), {Type: pppoe.TagHostUniq, Data: d.hostUniq(i)},
	}}
	if n := d.cfg.MaxPayload; n > pppoe.DefaultMaxPayload {
		p.Tags = append(p.Tags, pppoe.Tag{Type: pppoe.TagMaxPayload, Data: binary.BigEndian.AppendUint16(nil, uint16(n))})
	}
	return p
}

// hostUniq is that of PADI number i.
func (d *discovery) hostUniq(i int) []byte {
	if d.cfg.HostUniq != nil {
		return d.cfg.HostUniq
	}
	return binary.BigEndian.AppendUint32(bytes.Clone(d.nonce[:]), uint32(i))
}

// input is one frame.
func (d *discovery) input(now time.Time, f []byte) {
	hdr, payload, ok := ether.Parse(f)
	if !ok || hdr.Type != ether.TypeDiscovery || hdr.VLANs != d.cfg.VLANs || hdr.Dst != d.port.MAC() {
		return
	}
	p, err := pppoe.ParsePacket(payload)
	if err != nil || p.SessionID != 0 {
		return
	}
	offer, err := pppoe.ParseOffer(hdr.Src, p)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	uniq, marked := p.Find(pppoe.TagHostUniq)
	to := len(d.asked) // the PADI that this answers, from 1; the last one, if it does not say
	if marked && d.cfg.HostUniq == nil {
		for to > 0 && !bytes.Equal(uniq, d.hostUniq(to-1)) {
			to--
		}
	}
	if to == 0 || marked && !bytes.Equal(uniq, d.hostUniq(to-1)) {
		d.found.Strange++
		return
	}
	i := slices.IndexFunc(d.found.Answers, func(a Answer) bool { return a.AC == offer.AC })
	if i < 0 {
		if i = len(d.found.Answers); i == maxAnswers {
			d.found.Beyond++
			return
		}
		d.found.Answers = append(d.found.Answers, Answer{Offer: offer, After: now.Sub(d.asked[to-1])})
		d.last, d.sums, d.first = append(d.last, 0), append(d.sums, 0), append(d.first, nil)
	}
	d.add(i, to, now, offer, !marked)
}

// add adds a PADO, in answer to PADI number to, to what is known of its sender.
func (d *discovery) add(i, to int, now time.Time, o pppoe.Offer, noUniq bool) {
	a := &d.found.Answers[i]
	a.PADOs++
	a.NoHostUniq = a.NoHostUniq || noUniq
	for _, s := range o.Services {
		if !slices.Contains(a.Services, s) && len(a.Services) < maxServices {
			a.Services = append(a.Services, s)
		}
	}
	var cookie []byte
	for _, t := range o.Tags {
		switch t.Type {
		case pppoe.TagACCookie:
			cookie = t.Data
		case pppoe.TagMaxPayload:
			if len(t.Data) == 2 {
				a.MaxPayload = int(binary.BigEndian.Uint16(t.Data))
			}
		case pppoe.TagServiceNameError, pppoe.TagACSystemError, pppoe.TagGenericError:
			if same := func(e pppoe.Tag) bool { return e.Type == t.Type }; !slices.ContainsFunc(a.Errors, same) {
				a.Errors = append(a.Errors, t)
			}
		}
	}
	if a.PADOs == 1 {
		d.first[i], a.CookieLen = cookie, len(cookie)
	}
	a.CookieChanges = a.CookieChanges || !bytes.Equal(cookie, d.first[i])
	if d.last[i] >= to {
		return // one more to the same PADI, or one that was overtaken
	}
	d.last[i] = to
	took := now.Sub(d.asked[to-1])
	if a.Answered++; a.Answered == 1 {
		a.Min = took
	}
	a.Min, a.Max = min(a.Min, took), max(a.Max, took)
	d.sums[i] += took
	a.Avg = d.sums[i] / time.Duration(a.Answered)
}

func (d *discovery) survey() Survey {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.found.PADIs = len(d.asked)
	return d.found
}
