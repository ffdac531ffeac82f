package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"tributary/hdlc"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/pppoe"
)

// PPPoEConfig is what a PPPoE client asks for.
type PPPoEConfig struct {
	Service    string
	ACName     string // only this one; empty: any
	VLANs      ether.VLANs
	MaxPayload int
	OfferWait  time.Duration
}

// pppoeLine is a PPPoE session as a Line: a subscriber on Ethernet, without a
// gateway in between. Its Line.Read does the discovery's part too.
type pppoeLine struct {
	port ether.Port
	pool *frame.Pool
	cfg  PPPoEConfig
	info line.Info
	sess pppoe.Session

	mu     sync.Mutex // client
	client *pppoe.Client
	bufs   []*frame.Buf
	early  []*frame.Buf // of bufs: read, and not yet looked at
	closed atomic.Bool

	rxFrames, rxOctets, txFrames, txOctets atomic.Uint64
}

// DialPPPoE finds an access concentrator on port and opens a session with it.
// The line closes the port at its end.
func DialPPPoE(ctx context.Context, port ether.Port, pool *frame.Pool, cfg PPPoEConfig) (line.Line, error) {
	uniq := make([]byte, 12)
	_, _ = rand.Read(uniq) // never fails, by its contract
	cc := pppoe.ClientConfig{ServiceName: cfg.Service, HostUniq: uniq, MaxPayload: cfg.MaxPayload, OfferWait: cfg.OfferWait}
	if cfg.ACName != "" {
		cc.Prefer = []pppoe.Preference{{Name: cfg.ACName}}
	}
	if t, ok := ctx.Deadline(); ok {
		cc.Timeout = time.Until(t)
	}
	l := &pppoeLine{port: port, pool: pool, cfg: cfg, client: pppoe.NewClient(cc), bufs: make([]*frame.Buf, 32)}
	for i := range l.bufs {
		if l.bufs[i] = pool.Get(); l.bufs[i] == nil {
			l.release()
			return nil, errors.New("the buffer pool is at its cap")
		}
	}
	if err := l.discover(ctx); err != nil {
		port.Close()
		l.release()
		return nil, err
	}
	l.info = line.Info{Name: port.Name(), Kind: "pppoe", Remote: fmt.Sprintf("%s %v session %d", l.sess.ACName, l.sess.AC, l.sess.SessionID)}
	return l, nil
}

// discover runs the client until it has a session. A goroutine reads the port;
// it ends with the discovery, on the first session frame at the latest, since
// the port is only read on after that by Read.
func (l *pppoeLine) discover(ctx context.Context) error {
	opened, failed := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	l.mu.Lock()
	l.client.Start(time.Now())
	err := l.drain()
	l.mu.Unlock()
	if err != nil {
		return err
	}
	tickerDone := make(chan struct{})
	go func() {
		defer close(tickerDone)
		tick := time.NewTicker(acTick)
		defer tick.Stop()
		for {
			select {
			case <-opened:
				return
			case <-ctx.Done():
				once.Do(func() { failed <- fmt.Errorf("no session: %w", context.Cause(ctx)) })
				l.port.Close() // makes the read below return
				return
			case <-tick.C:
			}
			l.mu.Lock()
			if due(time.Now(), l.client.Deadline()) {
				l.client.Tick(time.Now())
			}
			err := l.drain()
			l.mu.Unlock()
			if err != nil {
				once.Do(func() { failed <- err })
				l.port.Close()
				return
			}
		}
	}()
	defer func() { <-tickerDone }()
	defer func() {
		select {
		case <-opened:
		default:
			close(opened)
		}
	}()
	for {
		n, err := l.port.ReadBatch(l.bufs)
		for i, b := range l.bufs[:n] {
			hdr, payload, ok := ether.Parse(b.Bytes())
			if !ok || hdr.Type != ether.TypeDiscovery || hdr.VLANs != l.cfg.VLANs {
				continue
			}
			l.mu.Lock()
			l.client.Input(time.Now(), hdr.Src, payload)
			derr := l.drain()
			sess, open := l.client.Session()
			l.mu.Unlock()
			if derr != nil {
				return derr
			}
			if open {
				// The AC's first frame may be right behind its PADS.
				l.sess, l.early = sess, l.bufs[i+1:n]
				return nil
			}
		}
		if err != nil {
			select {
			case ferr := <-failed:
				return ferr
			default:
				return err
			}
		}
	}
}

// drain does what the client asks for; the caller holds mu.
func (l *pppoeLine) drain() error {
	for {
		out, ok := l.client.Next()
		if !ok {
			return nil
		}
		switch out := out.(type) {
		case pppoe.Send:
			if b := l.pool.Get(); b != nil {
				if b.SetBytes(out.Packet) {
					l.send(out.Dst, ether.TypeDiscovery, b)
				}
				b.Put()
			}
		case pppoe.ClientFailed:
			return &DiscoveryError{out.Reason, out.Message}
		case pppoe.ClientClosed:
			l.closed.Store(true)
		}
	}
}

// DiscoveryError is why there is no session.
type DiscoveryError struct {
	Reason  pppoe.FailReason
	Message string // the AC's own words
}

func (e *DiscoveryError) Error() string {
	text := "PPPoE discovery failed: " + string(e.Reason)
	if e.Reason == pppoe.FailNoOffer {
		text = "no access concentrator answered"
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

func (l *pppoeLine) send(dst pppoe.MAC, etherType uint16, b *frame.Buf) {
	ether.Prepend(b, &ether.Header{Dst: dst, Src: l.port.MAC(), VLANs: l.cfg.VLANs, Type: etherType})
	_, _ = l.port.WriteBatch([]*frame.Buf{b}) // counted by the port
}

func (l *pppoeLine) Info() line.Info { return l.info }

// Read is line.Line's.
func (l *pppoeLine) Read(batch []*frame.Buf) (int, error) {
	got := l.early
	l.early = nil
	var err error
	if len(got) == 0 {
		var n int
		n, err = l.port.ReadBatch(l.bufs[:min(len(batch), len(l.bufs))])
		got = l.bufs[:n]
	}
	k := 0
	for i, b := range got {
		if k == len(batch) {
			l.early = got[i:]
			break
		}
		if !l.mine(b) {
			continue
		}
		fresh := l.pool.Get()
		if fresh == nil {
			continue
		}
		got[i] = fresh
		l.rxFrames.Add(1)
		l.rxOctets.Add(uint64(b.Len()))
		batch[k] = b
		k++
	}
	if err == nil && l.closed.Load() {
		err = io.EOF // PADT
	}
	if err != nil {
		l.release()
	}
	return k, err
}

// mine trims b to the PPP frame if it is one of our session.
func (l *pppoeLine) mine(b *frame.Buf) bool {
	hdr, payload, ok := ether.Parse(b.Bytes())
	if !ok || hdr.VLANs != l.cfg.VLANs || hdr.Src != l.sess.AC {
		return false
	}
	h, inner, err := pppoe.ParseHeader(payload)
	if err != nil || h.SessionID != l.sess.SessionID {
		return false
	}
	if hdr.Type == ether.TypeDiscovery {
		l.mu.Lock()
		l.client.Input(time.Now(), hdr.Src, payload)
		_ = l.drain() // what can fail has been passed
		l.mu.Unlock()
		return false
	}
	return b.TrimFront(hdr.Len()+pppoe.HeaderLen) && b.SetLen(len(inner))
}

// Write is line.Line's.
func (l *pppoeLine) Write(frames []*frame.Buf) error {
	if l.closed.Load() {
		return line.ErrClosed
	}
	for _, b := range frames {
		n := b.Len()
		l.txFrames.Add(1)
		l.txOctets.Add(uint64(n))
		pppoe.PutHeader(b.Prepend(pppoe.HeaderLen), pppoe.SessionStage, l.sess.SessionID, n)
		ether.Prepend(b, &ether.Header{Dst: l.sess.AC, Src: l.port.MAC(), VLANs: l.cfg.VLANs, Type: ether.TypeSession})
	}
	if len(frames) > 0 {
		_, _ = l.port.WriteBatch(frames) // as Ethernet is: sent or lost
	}
	return nil
}

// SetParams does nothing: PPPoE has no framing to choose (RFC 2516 section 7).
func (l *pppoeLine) SetParams(hdlc.Params, uint32) {}

// Params is line.Line's.
func (l *pppoeLine) Params() (hdlc.Params, uint32) { return hdlc.Params{}, 0 }

// Counters is line.Line's.
func (l *pppoeLine) Counters() line.Counters {
	return line.Counters{RxFrames: l.rxFrames.Load(), RxOctets: l.rxOctets.Load(), TxFrames: l.txFrames.Load(), TxOctets: l.txOctets.Load()}
}

// Close ends the session by PADT, and closes the port.
func (l *pppoeLine) Close() error {
	l.mu.Lock()
	l.client.Close(time.Now(), "")
	err := l.drain()
	l.mu.Unlock()
	l.closed.Store(true)
	return errors.Join(err, l.port.Close())
}

func (l *pppoeLine) release() {
	for i, b := range l.bufs {
		b.Put()
		l.bufs[i] = nil
	}
	l.bufs = nil
}
