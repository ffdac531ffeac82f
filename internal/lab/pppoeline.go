package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"tributary/hdlc"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/pppoe"
)

// pppoeLine is a PPPoE session as a Line: a subscriber on Ethernet, without a
// gateway in between.
type pppoeLine struct {
	*pppoeClient
	info   line.Info
	sess   pppoe.Session
	bufs   []*frame.Buf // for the port to read into
	early  []*frame.Buf // of bufs: read, and not yet looked at
	failed error        // why there is no session; under mu
	closed atomic.Bool

	rxFrames, rxOctets, txFrames, txOctets atomic.Uint64
}

var errNoBuffers = errors.New("the buffer pool is at its cap")

// readBufs is how many frames are read from a port at once.
const readBufs = 16

// getBufs takes n buffers to read into; nil if there are not enough.
func getBufs(pool *frame.Pool, n int) []*frame.Buf {
	bufs := make([]*frame.Buf, n)
	for i := range bufs {
		if bufs[i] = pool.Get(); bufs[i] == nil {
			putBufs(bufs)
			return nil
		}
	}
	return bufs
}

func putBufs(bufs []*frame.Buf) {
	for i, b := range bufs {
		b.Put()
		bufs[i] = nil
	}
}

// DialPPPoE finds an access concentrator on port and opens a session with it.
// The line closes the port at its end; so does DialPPPoE if it fails. ctx bounds
// the search only.
func DialPPPoE(ctx context.Context, port ether.Port, pool *frame.Pool, cfg PPPoEConfig) (line.Line, error) {
	cc := pppoe.ClientConfig{ServiceName: cfg.Service, MaxPayload: cfg.MaxPayload, OfferWait: cfg.OfferWait}
	if cfg.ACName != "" {
		cc.Prefer = []pppoe.Preference{{Name: cfg.ACName}}
	}
	if t, ok := ctx.Deadline(); ok {
		// A little before ctx is done: the client knows better what is missing.
		cc.Timeout = time.Until(t) * 19 / 20
	}
	l := &pppoeLine{bufs: getBufs(pool, readBufs)}
	l.pppoeClient = newPPPoEClient(port, pool, cfg.VLANs, cc, l.clientEvent)
	if l.bufs == nil {
		return nil, errors.Join(errNoBuffers, port.Close())
	}
	if err := l.discover(ctx); err != nil {
		_ = l.Close()
		putBufs(l.bufs)
		return nil, err
	}
	l.info = line.Info{Name: port.Name(), Kind: "pppoe", Remote: fmt.Sprintf("%s %v session %d", l.sess.ACName, l.sess.AC, l.sess.SessionID)}
	return l, nil
}

// clientEvent is told what the client has found out, in its turn.
func (l *pppoeLine) clientEvent(out pppoe.ClientOut) {
	switch out := out.(type) {
	case pppoe.ClientFailed:
		l.failed = &DiscoveryError{out.Reason, out.Message}
		_ = l.port.Close() // what discover waits for
	case pppoe.ClientClosed:
		l.closed.Store(true)
	}
}

// discover reads the port until there is a session.
func (l *pppoeLine) discover(ctx context.Context) error {
	stop := l.start(ctx)
	defer stop()
	for {
		n, err := l.port.ReadBatch(l.bufs)
		for i, b := range l.bufs[:n] {
			if !l.input(b) {
				continue
			}
			l.mu.Lock()
			sess, open := l.client.Session()
			l.mu.Unlock()
			if open && stop() {
				// The AC's first frame may be right behind its PADS.
				l.sess, l.early = sess, l.bufs[i+1:n]
				return nil
			}
		}
		if err == nil {
			continue
		}
		l.mu.Lock()
		failed := l.failed
		l.mu.Unlock()
		if failed != nil {
			return failed
		}
		if ctx.Err() != nil {
			return fmt.Errorf("no session: %w", context.Cause(ctx))
		}
		return err
	}
}

// DiscoveryError is why there is no session.
type DiscoveryError struct {
	Reason  pppoe.FailReason
	Message string // the AC's own words
}

func (e *DiscoveryError) Error() string {
	text := map[pppoe.FailReason]string{
		pppoe.FailNoOffer:       "no access concentrator answered",
		pppoe.FailNotAcceptable: "no access concentrator offered what was asked for",
		pppoe.FailRefused:       "the access concentrator refused",
		pppoe.FailNoSession:     "the access concentrator offered a session and did not open it",
		pppoe.FailConfig:        "the Service-Name is too long",
	}[e.Reason]
	if text == "" {
		text = "PPPoE discovery failed: " + string(e.Reason)
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

func (l *pppoeLine) Info() line.Info { return l.info }

// MaxPayload is the largest PPP payload that the session carries, in octets.
func (l *pppoeLine) MaxPayload() int { return l.sess.MaxPayload }

// Read is line.Line's.
func (l *pppoeLine) Read(batch []*frame.Buf) (k int, err error) {
	got := l.early
	l.early = nil
	if len(got) == 0 {
		var n int
		n, err = l.port.ReadBatch(l.bufs)
		got = l.bufs[:n]
	}
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
			continue // lost, as on a full line
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
		putBufs(l.bufs)
		l.bufs, l.early = nil, nil
	}
	return k, err
}

// mine trims b to the PPP frame if it is one of our session.
func (l *pppoeLine) mine(b *frame.Buf) bool {
	hdr, payload, ok := ether.Parse(b.Bytes())
	if !ok || hdr.VLANs != l.vlans || hdr.Src != l.sess.AC || hdr.Dst != l.port.MAC() {
		return false
	}
	if hdr.Type != ether.TypeSession {
		l.input(b)
		return false
	}
	h, inner, err := pppoe.ParseHeader(payload)
	if err != nil || h.Code != pppoe.SessionStage || h.SessionID != l.sess.SessionID {
		return false
	}
	return b.TrimFront(b.Len()-len(payload)+pppoe.HeaderLen) && b.SetLen(len(inner))
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
		ether.Prepend(b, &ether.Header{Dst: l.sess.AC, Src: l.port.MAC(), VLANs: l.vlans, Type: ether.TypeSession})
	}
	if len(frames) > 0 {
		_, _ = l.port.WriteBatch(frames) // as Ethernet is: sent or lost
	}
	return nil
}

// TryWrite is line.Line's. Ethernet never makes a line wait.
func (l *pppoeLine) TryWrite(frames []*frame.Buf) (n int, whole bool, err error) {
	return len(frames), true, l.Write(frames)
}

// Flush is line.Line's.
func (l *pppoeLine) Flush() error { return nil }

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
	l.closed.Store(true)
	return l.close()
}
