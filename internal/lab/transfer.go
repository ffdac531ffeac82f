package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
)

// DialContext opens a TCP connection from the subscriber's own stack. Names are
// not resolved: address is IP:port.
func (s *Subscriber) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if s.host == nil {
		return nil, errors.New("the network is not up")
	}
	if !strings.HasPrefix(network, "tcp") {
		return nil, fmt.Errorf("%s: only TCP goes over this link", network)
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("%s: an IPv4 address is needed, since no name server is asked: %w", address, err)
	}
	if !to.Addr().Is4() {
		return nil, fmt.Errorf("%s: only IPv4 goes over this link", address)
	}
	return gonet.DialContextTCP(ctx, s.host, fullAddress(to.Addr(), to.Port()), ipv4.ProtocolNumber)
}

// during is ctx for as long as the link is up.
func (s *Subscriber) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-s.over:
			cancel(s.ended())
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// why is what lies behind err: the link's end, or what ended ctx.
func (s *Subscriber) why(ctx context.Context, err error) error {
	select {
	case <-s.over:
		return s.ended()
	default:
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// Client is an HTTP client on the subscriber's stack. Close its idle
// connections when done.
func (s *Subscriber) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: s.DialContext, DisableCompression: true}}
}

// Download gets size octets of the stream from the lab's internet and compares
// each of them with what it must be.
func (s *Subscriber) Download(ctx context.Context, c *http.Client, from netip.Addr, size int64) error {
	ctx, cancel := s.during(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%v/bytes/%d", from, size), nil)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("GET %v: %w", req.URL, s.why(ctx, err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %v: %s", req.URL, resp.Status)
	}
	check := NewCheck()
	if _, err := io.Copy(io.MultiWriter(check, octetCount{&s.moved.down}), resp.Body); err != nil {
		return fmt.Errorf("GET %v: after %d octets: %w", req.URL, check.N, s.why(ctx, err))
	}
	if check.N != size {
		return fmt.Errorf("GET %v: %d octets came, not %d", req.URL, check.N, size)
	}
	s.moved.downloads.Add(1)
	return nil
}

// Upload puts size octets of the stream to the lab's internet, which says what
// digest it saw.
func (s *Subscriber) Upload(ctx context.Context, c *http.Client, to netip.Addr, size int64) error {
	ctx, cancel := s.during(ctx)
	defer cancel()
	sum := sha256.New()
	body := io.TeeReader(io.LimitReader(NewStream(), size), io.MultiWriter(sum, octetCount{&s.moved.up}))
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprintf("http://%v/", to), io.NopCloser(body))
	if err != nil {
		return err
	}
	req.ContentLength = size
	resp, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("PUT %v: %w", req.URL, s.why(ctx, err))
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return fmt.Errorf("PUT %v: %w", req.URL, s.why(ctx, err))
	}
	if want := fmt.Sprintf("%d %s\n", size, hex.EncodeToString(sum.Sum(nil))); resp.StatusCode != http.StatusOK || string(answer) != want {
		return fmt.Errorf("PUT %v: %w: %s, %q", req.URL, errCorrupt, resp.Status, answer)
	}
	s.moved.uploads.Add(1)
	return nil
}

// Traffic is what went over the link so far.
func (s *Subscriber) Traffic() Traffic {
	s.ping.mu.Lock()
	t := s.ping.total
	s.ping.mu.Unlock()
	t.Downloads, t.Uploads = s.moved.downloads.Load(), s.moved.uploads.Load()
	t.Down, t.Up = s.moved.down.Load(), s.moved.up.Load()
	return t
}

// Fetched is what a URL yielded.
type Fetched struct {
	Status string // of HTTP, with its text
	OK     bool   // the status is 200
	Octets int64  // of the body
	SHA256 string // of the body, in hexadecimal
	Stream bool   // the body is the beginning of Stream, as the lab's /bytes/N is
}

// Fetch gets any URL whose host is an IPv4 address, to its end.
func (s *Subscriber) Fetch(ctx context.Context, c *http.Client, url string) (f Fetched, err error) {
	ctx, cancel := s.during(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return f, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return f, fmt.Errorf("GET %s: %w", url, s.why(ctx, err))
	}
	defer resp.Body.Close()
	sum, same := sha256.New(), &sameStream{check: NewCheck()}
	f.Status, f.OK = resp.Status, resp.StatusCode == http.StatusOK
	f.Octets, err = io.Copy(io.MultiWriter(sum, same, octetCount{&s.moved.down}), resp.Body)
	f.SHA256, f.Stream = hex.EncodeToString(sum.Sum(nil)), f.Octets > 0 && !same.differs
	if err != nil {
		return f, fmt.Errorf("GET %s: after %d octets: %w", url, f.Octets, s.why(ctx, err))
	}
	return f, nil
}

// sameStream is a Check that does not mind.
type sameStream struct {
	check   *Check
	differs bool
}

func (s *sameStream) Write(b []byte) (int, error) {
	if !s.differs {
		_, err := s.check.Write(b)
		s.differs = err != nil
	}
	return len(b), nil
}
