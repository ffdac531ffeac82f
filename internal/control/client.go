package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tributary/internal/gateway"
)

// Client talks to the gateway behind one control socket.
type Client struct {
	socket string
	http   *http.Client
}

// Unreachable is the error when nobody answers at the socket.
type Unreachable struct {
	Socket string
	Err    error // why: fs.ErrNotExist, fs.ErrPermission, ECONNREFUSED
}

func (e *Unreachable) Error() string { return fmt.Sprintf("no gateway at %s: %v", e.Socket, e.Err) }
func (e *Unreachable) Unwrap() error { return e.Err }

// Dial is a client of the gateway whose control socket is at path. Nothing is
// opened before the first call, which fails with Unreachable if nobody is there.
func Dial(path string) *Client {
	return &Client{socket: path, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, "unix", path)
			if err == nil {
				return c, nil
			}
			var why *net.OpError
			if errors.As(err, &why) {
				err = why.Err
			}
			return nil, &Unreachable{Socket: path, Err: err}
		},
		ResponseHeaderTimeout: 10 * time.Second, // it answers at once, or is stuck
	}}}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Version says what is running behind the socket.
func (c *Client) Version(ctx context.Context) (v Version, err error) {
	return v, c.get(ctx, "/v1/version", &v)
}

// Lines is every line that is up.
func (c *Client) Lines(ctx context.Context) (v []gateway.LineInfo, err error) {
	return v, c.get(ctx, "/v1/lines", &v)
}

// Line is one line. The error is gateway.ErrNoLine if no line has that name.
func (c *Client) Line(ctx context.Context, name string) (v gateway.LineInfo, err error) {
	path, err := linePath(name)
	if err != nil {
		return v, err
	}
	return v, c.get(ctx, path, &v)
}

// Uplinks is every uplink.
func (c *Client) Uplinks(ctx context.Context) (v []gateway.UplinkInfo, err error) {
	return v, c.get(ctx, "/v1/uplinks", &v)
}

// Sessions is every session that users share, up or not.
func (c *Client) Sessions(ctx context.Context) (v []gateway.SessionInfo, err error) {
	return v, c.get(ctx, "/v1/sessions", &v)
}

// Session is one session that users share, up or not. The error is ErrNoSession if the
// configuration has none of that name.
func (c *Client) Session(ctx context.Context, name string) (v gateway.SessionInfo, err error) {
	if name == "" || name == "." || name == ".." {
		return v, fmt.Errorf("%w: %q", ErrNoSession, name)
	}
	return v, c.get(ctx, "/v1/sessions/"+url.PathEscape(name), &v)
}

// Pools is every pool of addresses.
func (c *Client) Pools(ctx context.Context) (v []gateway.PoolInfo, err error) {
	return v, c.get(ctx, "/v1/pools", &v)
}

// Reload has users files and password files read again. The error is a FileErrors if
// something is wrong with them: then nothing has changed.
func (c *Client) Reload(ctx context.Context) (v Reload, err error) {
	body, err := c.do(ctx, http.MethodPost, "/v1/reload")
	if err != nil {
		return v, err
	}
	defer body.Close()
	return v, json.NewDecoder(body).Decode(&v)
}

// Hangup ends a line. The error is gateway.ErrNoLine if no line has that name.
func (c *Client) Hangup(ctx context.Context, name string) error {
	path, err := linePath(name)
	if err != nil {
		return err
	}
	body, err := c.do(ctx, http.MethodPost, path+"/hangup")
	if err != nil {
		return err
	}
	return body.Close()
}

// Events hands each event to each, oldest first, until each gives an error, the
// gateway ends, ctx does, or, without q.Follow, there are no more. At the end of
// the events it returns nil.
func (c *Client) Events(ctx context.Context, q EventsQuery, each func(Message) error) error {
	body, err := c.do(ctx, http.MethodGet, fmt.Sprintf("/v1/events?last=%d&follow=%t", q.Last, q.Follow))
	if err != nil {
		return err
	}
	defer body.Close()
	decoder := json.NewDecoder(bufio.NewReader(body))
	for {
		var m Message
		switch err := decoder.Decode(&m); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := each(m); err != nil {
			return err
		}
	}
}

// linePath is the path of a line in the API.
func linePath(name string) (string, error) {
	group, line, ok := strings.Cut(name, "/")
	if !ok || group == "" || line == "" {
		return "", fmt.Errorf("%w: %q: a line's name is its group, a slash and its place, such as virtual/1", gateway.ErrNoLine, name)
	}
	return "/v1/lines/" + url.PathEscape(group) + "/" + url.PathEscape(line), nil
}

func (c *Client) get(ctx context.Context, path string, v any) error {
	body, err := c.do(ctx, http.MethodGet, path)
	if err != nil {
		return err
	}
	defer body.Close()
	return json.NewDecoder(body).Decode(v)
}

// do asks, and gives the body of the answer if it is one.
func (c *Client) do(ctx context.Context, method, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://tributary"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		// Without the URL that http.Client puts around it: it is not real.
		var why *url.Error
		if errors.As(err, &why) {
			err = why.Err
		}
		return nil, err
	}
	if resp.StatusCode < 300 {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	return nil, problem(resp)
}

// problem makes an error of an answer that is one (RFC 9457).
func problem(resp *http.Response) error {
	var p struct {
		Detail string `json:"detail"`
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&p) != nil || p.Detail == "" {
		return fmt.Errorf("the gateway answered %s", resp.Status)
	}
	if name, ok := strings.CutPrefix(p.Detail, "no line "); ok && resp.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w: %s", gateway.ErrNoLine, name)
	}
	if name, ok := strings.CutPrefix(p.Detail, "no session "); ok && resp.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w: %s", ErrNoSession, name)
	}
	if p.Detail == badFiles && len(p.Errors) > 0 {
		var mistakes FileErrors
		for _, e := range p.Errors {
			mistakes = append(mistakes, e.Message)
		}
		return mistakes
	}
	return errors.New(p.Detail)
}
