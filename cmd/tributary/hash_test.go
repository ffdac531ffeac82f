package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"tributary/internal/aaa"
	"tributary/ppp"
)

func TestHash(t *testing.T) {
	for in, want := range map[string]string{"open sesame\n": "open sesame", "crlf\r\nmore\n": "crlf", "no newline": "no newline"} {
		var out, errs bytes.Buffer
		e := testEnv("", &out, &errs)
		e.stdin = strings.NewReader(in)
		if code := execute(t.Context(), e, []string{"hash"}); code != exitDone || strings.Count(out.String(), "\n") != 1 || errs.Len() > 0 {
			t.Fatalf("%q: exit %d, %q, %q", in, code, out.String(), errs.String())
		}
		users, err := aaa.Parse("u.yaml", fmt.Appendf(nil, "users: [{name: anna, hash: %q}]", strings.TrimSpace(out.String())))
		if err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		for password, ok := range map[string]bool{want: true, want + "x": false} {
			if got := users.Verify(ppp.AuthRequest{Method: ppp.AuthPAP, Name: "anna", Password: password}); got.OK != ok {
				t.Errorf("with the hash of %q, %q logs in: %v", in, password, got.OK)
			}
		}
	}
	for _, in := range []string{"", "\n", strings.Repeat("x", 256) + "\n"} {
		var out, errs bytes.Buffer
		e := testEnv("", &out, &errs)
		e.stdin = strings.NewReader(in)
		if code := execute(t.Context(), e, []string{"hash"}); code != exitFailed || out.Len() > 0 || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%.10q: exit %d, %q, %q", in, code, out.String(), errs.String())
		}
	}
}
