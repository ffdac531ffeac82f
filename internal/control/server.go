package control

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tributary/internal/gateway"
)

// Server answers for one gateway. Close ends it.
type Server struct {
	version  Version
	lines    func() []gateway.LineInfo
	line     func(string) (gateway.LineInfo, bool)
	uplinks  func() []gateway.UplinkInfo
	sessions func() []gateway.SessionInfo
	pools    func() []gateway.PoolInfo
	hangup   func(string) error
	reload   func() (Reload, error)

	sub     Subscription
	history *history
	streams chan struct{} // one place for each stream of events at a time

	http *http.Server
	stop context.CancelFunc // ends the streams
	wg   sync.WaitGroup     // of the recorder and of Serve
}

// maxStreams bounds the readers of events at one time.
const maxStreams = 64

// New makes the server of a gateway and begins to record its events. version is
// what it calls itself; New fills in which process it is. reload reads the files
// again; nil, if there are none.
func New[S Subscription](gw Gateway[S], version Version, reload func() (Reload, error)) *Server {
	version.PID, version.Started = os.Getpid(), time.Now()
	if reload == nil {
		reload = func() (Reload, error) { return Reload{}, ErrNoReload }
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		version: version,
		lines:   gw.Lines, line: gw.Line, uplinks: gw.Uplinks, hangup: gw.Hangup,
		sessions: gw.Sessions, pools: gw.Pools, reload: reload,
		sub:     gw.Subscribe(256),
		history: newHistory(),
		streams: make(chan struct{}, maxStreams),
		stop:    stop,
	}
	mux := http.NewServeMux()
	s.register(mux)
	s.http = &http.Server{
		Handler: mux,
		// Whoever can open the socket may still be broken: no half a request
		// holds a connection, and none is large.
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	s.wg.Go(func() { s.history.record(s.sub) })
	return s
}

// Serve answers on l until Close, and then returns nil.
func (s *Server) Serve(l net.Listener) error {
	s.wg.Add(1)
	defer s.wg.Done()
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close stops listening, ends the streams of events, lets answers under way be
// finished for a moment, and ends the subscription. Nothing of the server runs
// when it returns.
func (s *Server) Close() error {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil { // a client does not read its answer
		err = s.http.Close()
	}
	s.sub.Close()
	s.wg.Wait()
	return err
}

func (s *Server) api(mux *http.ServeMux) huma.API {
	c := huma.DefaultConfig("Tributary", s.version.Version)
	c.Info.Description = "Lines, sessions, uplinks and events of a running PPP access gateway."
	c.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	c.DocsPath = ""     // its page loads scripts from elsewhere
	c.SchemasPath = ""  // they are in /openapi.json
	c.CreateHooks = nil // no $schema in answers: there is one reader, and it knows
	return humago.New(mux, c)
}

// schemaName is the name of a type in the API's description. Lines and ports
// both have Counters, so these are LineCounters and EtherCounters.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	if pkg := path.Base(t.PkgPath()); t.Name() == "Counters" {
		return strings.ToUpper(pkg[:1]) + pkg[1:] + name
	}
	return name
}
