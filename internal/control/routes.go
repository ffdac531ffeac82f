package control

import (
	"context"
	"errors"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"tributary/internal/gateway"
)

// body is an answer in JSON.
type body[T any] struct{ Body T }

// place names a line. A line's name is its group, a slash, and its place in the
// group: the two are two segments of the path, so that a path may go on.
type place struct {
	Group string `path:"group" example:"virtual" doc:"The line's group"`
	Line  string `path:"line" example:"17" doc:"What the line's name has after the slash"`
}

func (p place) name() string { return p.Group + "/" + p.Line }

func (s *Server) register(mux *http.ServeMux) {
	api := s.api(mux)
	op := func(method, path, id, summary string, status int) huma.Operation {
		return huma.Operation{Method: method, Path: path, OperationID: id, Summary: summary, DefaultStatus: status}
	}

	huma.Register(api, op(http.MethodGet, "/v1/version", "version", "What is running", 200),
		func(context.Context, *struct{}) (*body[Version], error) {
			return &body[Version]{s.version}, nil
		})
	huma.Register(api, op(http.MethodGet, "/v1/lines", "lines", "Every line that is up", 200),
		func(context.Context, *struct{}) (*body[[]gateway.LineInfo], error) {
			return &body[[]gateway.LineInfo]{list(s.lines())}, nil
		})
	huma.Register(api, op(http.MethodGet, "/v1/uplinks", "uplinks", "Every uplink, with the access concentrators that have answered", 200),
		func(context.Context, *struct{}) (*body[[]gateway.UplinkInfo], error) {
			return &body[[]gateway.UplinkInfo]{list(s.uplinks())}, nil
		})
	huma.Register(api, op(http.MethodGet, "/v1/lines/{group}/{line}", "line", "One line and its session", 200),
		func(_ context.Context, in *place) (*body[gateway.LineInfo], error) {
			info, ok := s.line(in.name())
			if !ok {
				return nil, noLine(in.name())
			}
			return &body[gateway.LineInfo]{info}, nil
		})
	huma.Register(api, op(http.MethodPost, "/v1/lines/{group}/{line}/hangup", "hangup", "End a line and its session", 204),
		func(_ context.Context, in *place) (*struct{}, error) {
			if _, ok := s.line(in.name()); !ok {
				return nil, noLine(in.name())
			}
			switch err := s.hangup(in.name()); {
			case errors.Is(err, gateway.ErrNoLine):
				return nil, noLine(in.name())
			case err != nil:
				return nil, huma.Error500InternalServerError(err.Error())
			}
			return nil, nil
		})
	huma.Register(api, op(http.MethodGet, "/v1/sessions", "sessions", "Every session that users share, up or not", 200),
		func(context.Context, *struct{}) (*body[[]gateway.SessionInfo], error) {
			return &body[[]gateway.SessionInfo]{list(s.sessions())}, nil
		})
	huma.Register(api, op(http.MethodGet, "/v1/sessions/{name}", "session", "One session that users share", 200),
		func(_ context.Context, in *sessionName) (*body[gateway.SessionInfo], error) {
			for _, info := range s.sessions() {
				if info.Name == in.Name {
					return &body[gateway.SessionInfo]{info}, nil
				}
			}
			return nil, huma.Error404NotFound("no session " + in.Name)
		})
	huma.Register(api, op(http.MethodGet, "/v1/pools", "pools", "Every pool of addresses, and how full it is", 200),
		func(context.Context, *struct{}) (*body[[]gateway.PoolInfo], error) {
			return &body[[]gateway.PoolInfo]{list(s.pools())}, nil
		})
	reload := op(http.MethodPost, "/v1/reload", "reload", "Read users files and password files again", 200)
	reload.Description = "Nobody who is connected is touched. If anything is wrong with any of the files nothing changes, and the answer " +
		"is 422 with the mistakes."
	huma.Register(api, reload, func(context.Context, *struct{}) (*body[Reload], error) { return s.reloaded() })
	events := op(http.MethodGet, "/v1/events", "events", "What happened, and what happens", 200)
	events.Description = "One Message a line, each a JSON object. With follow, the answer does not end."
	events.Responses = map[string]*huma.Response{"200": {
		Description: "A stream of Messages",
		Content: map[string]*huma.MediaType{ndjson: {
			Schema: api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Message](), true, "Message"),
		}},
	}}
	huma.Register(api, events, s.events)
}

// sessionName names a session as the configuration does.
type sessionName struct {
	Name string `path:"name" example:"office"`
}

// reloaded is the answer to a reload.
func (s *Server) reloaded() (*body[Reload], error) {
	r, err := s.reload()
	var mistakes interface{ Unwrap() []error } // a config.Errors, or several errors joined
	switch {
	case err == nil:
		r.Restart, r.Config = list(r.Restart), list(r.Config)
		return &body[Reload]{r}, nil
	case errors.Is(err, ErrNoReload):
		return nil, huma.Error409Conflict(err.Error())
	case errors.As(err, &mistakes):
		return nil, huma.Error422UnprocessableEntity(badFiles, mistakes.Unwrap()...)
	}
	return nil, huma.Error422UnprocessableEntity(badFiles, err)
}

// badFiles is what is said before the mistakes in files.
const badFiles = "nothing is changed: there are mistakes in the files"

func noLine(name string) error { return huma.Error404NotFound("no line " + name) }

// list is what JSON shows as [] when it is empty, and not as null.
func list[T any](v []T) []T {
	if v == nil {
		return []T{}
	}
	return v
}
