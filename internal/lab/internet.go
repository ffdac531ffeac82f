package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// internet is what is behind the access concentrator: one router that knows
// every subscriber, and on it a web server and an echo service. It is a whole
// TCP/IP stack that nobody here wrote.
type internet struct {
	stack *stack.Stack
	wire  *wire
	http  *http.Server
	who   func(netip.Addr) string // what is known of a subscriber
	wg    sync.WaitGroup
	close []io.Closer
}

// maxDownload bounds one download, in octets.
const maxDownload = 1 << 40

func newInternet(addr netip.Addr, mtu int, out func([]byte), who func(netip.Addr) string) (*internet, error) {
	s, w, err := newHost(addr, mtu, out)
	if err != nil {
		return nil, err
	}
	n := &internet{stack: s, wire: w, who: who}
	if err := s.SetForwardingDefaultAndAllNICs(ipv4.ProtocolNumber, true); err != nil {
		n.shutdown()
		return nil, stackError("forwarding", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", n.hello)
	mux.HandleFunc("GET /bytes/{n}", n.bytes)
	mux.HandleFunc("GET /", http.NotFound)
	mux.HandleFunc("PUT /", n.upload)
	mux.HandleFunc("POST /", n.upload)
	n.http = &http.Server{Handler: mux, ReadHeaderTimeout: 30 * time.Second, ConnState: func(_ net.Conn, state http.ConnState) {
		// Server.Close does not wait for its goroutines.
		switch state {
		case http.StateNew:
			n.wg.Add(1)
		case http.StateClosed, http.StateHijacked:
			n.wg.Done()
		}
	}}
	web, err := gonet.ListenTCP(s, fullAddress(addr, 80), ipv4.ProtocolNumber)
	if err != nil {
		n.shutdown()
		return nil, err
	}
	n.wg.Go(func() { _ = n.http.Serve(web) }) // ends with ErrServerClosed, by shutdown
	echo, err := gonet.ListenTCP(s, fullAddress(addr, 7), ipv4.ProtocolNumber)
	if err != nil {
		n.shutdown()
		return nil, err
	}
	n.close = append(n.close, echo)
	n.wg.Go(func() { n.echoTCP(echo) })
	local := fullAddress(addr, 7)
	udp, err := gonet.DialUDP(s, &local, nil, ipv4.ProtocolNumber)
	if err != nil {
		n.shutdown()
		return nil, err
	}
	n.close = append(n.close, udp)
	n.wg.Go(func() { echoUDP(udp) })
	return n, nil
}

func fullAddress(addr netip.Addr, port uint16) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFrom4(addr.As4()), Port: port}
}

// shutdown ends all services and the stack.
func (n *internet) shutdown() {
	if n.http != nil {
		_ = n.http.Close() // what it fails to close, the stack's end closes
	}
	for _, c := range n.close {
		_ = c.Close()
	}
	n.stack.Destroy()
	n.wg.Wait()
}

func (n *internet) hello(w http.ResponseWriter, r *http.Request) {
	addr, _ := netip.ParseAddrPort(r.RemoteAddr)
	fmt.Fprintf(w, "This is the internet behind the Tributary lab's access concentrator.\nYou are %s: %s\n", addr.Addr(), n.who(addr.Addr()))
}

// bytes sends so many octets of Stream.
func (n *internet) bytes(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil || size < 0 || size > maxDownload {
		http.Error(w, "a number of octets, please", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = io.CopyN(w, NewStream(), size) // an error here is the user's hanging up
}

func (n *internet) upload(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	size, err := io.Copy(h, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%d %s\n", size, hex.EncodeToString(h.Sum(nil)))
}

func (n *internet) echoTCP(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		n.wg.Go(func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		})
	}
}

func echoUDP(c *gonet.UDPConn) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = c.WriteTo(buf[:n], from) // as UDP is: it arrives or not
	}
}
