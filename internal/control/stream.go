package control

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// ndjson is one JSON value a line.
const ndjson = "application/x-ndjson"

// EventsQuery says which events are wanted.
type EventsQuery struct {
	Last   int  `query:"last" default:"1024" minimum:"0" maximum:"1024" doc:"So many past events at most, the newest"`
	Follow bool `query:"follow" doc:"Then go on with what happens"`
}

func (s *Server) events(_ context.Context, q *EventsQuery) (*huma.StreamResponse, error) {
	select {
	case s.streams <- struct{}{}:
	default:
		return nil, huma.Error503ServiceUnavailable("too many readers of events")
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer func() { <-s.streams }()
		r, w := humago.Unwrap(ctx)
		w.Header().Set("Content-Type", ndjson)
		w.WriteHeader(http.StatusOK)
		s.stream(r.Context(), w, *q)
	}}, nil
}

// stream writes events until there are no more or nobody reads. A reader that
// stands still holds this goroutine, and nothing else: it is behind in the
// history, and may lose what the history forgets meanwhile.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter, q EventsQuery) {
	flush := http.NewResponseController(w).Flush
	encoder := json.NewEncoder(w)
	batch := make([]Message, 0, 64)
	pos, seen := s.history.last(q.Last)
	for {
		var changed <-chan struct{}
		batch, pos, changed = s.history.read(batch[:0], pos)
		for _, m := range batch {
			m.Lost = m.Seq - seen - 1
			seen = m.Seq
			if encoder.Encode(m) != nil {
				return
			}
		}
		// The first flush also tells a reader of nothing yet that it is heard.
		if flush() != nil {
			return
		}
		if len(batch) > 0 {
			continue
		}
		if !q.Follow || changed == nil {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
