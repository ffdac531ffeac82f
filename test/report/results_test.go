package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const (
		pass     = `{"Action":"run","Package":"tributary/hdlc","Test":"TestA"}` + "\n" + `{"Action":"pass","Package":"tributary/hdlc","Test":"TestA"}` + "\n" + `{"Action":"pass","Package":"tributary/hdlc"}` + "\n"
		fail     = `{"Action":"output","Package":"tributary/ppp","Test":"TestB","Output":"    b_test.go:3: wrong\n"}` + "\n" + `{"Action":"fail","Package":"tributary/ppp","Test":"TestB"}` + "\n" + `{"Action":"fail","Package":"tributary/ppp"}` + "\n"
		skip     = `{"Action":"output","Package":"tributary/ppp","Test":"TestC","Output":"--- SKIP: TestC\n"}` + "\n" + `{"Action":"output","Package":"tributary/ppp","Test":"TestC","Output":"    c_test.go:9: no root\n"}` + "\n" + `{"Action":"skip","Package":"tributary/ppp","Test":"TestC"}` + "\n"
		noTests  = `{"Action":"skip","Package":"tributary/internal/frame"}` + "\n"
		crash    = `{"Action":"run","Package":"tributary/ppp","Test":"TestD"}` + "\n" + `{"Action":"output","Package":"tributary/ppp","Test":"TestD","Output":"panic: no\n"}` + "\n" + `{"Action":"fail","Package":"tributary/ppp"}` + "\n"
		buildErr = `{"ImportPath":"tributary/ppp [tributary/ppp.test]","Action":"build-output","Output":"x.go:1: syntax error\n"}` + "\n" + `{"Action":"fail","Package":"tributary/ppp"}` + "\n"
	)
	tests := []struct {
		name, in  string
		skipsFail bool
		want      []string // in the report; the last is its last line
		ok        bool
	}{
		{"all pass", pass, true, []string{"1 passed, 0 failed"}, true},
		{"a package without tests is no skip", pass + noTests, true, []string{"1 passed, 0 failed"}, true},
		{"a failure is shown", pass + fail, true, []string{"FAIL ppp TestB", "b_test.go:3: wrong", "1 passed, 1 failed"}, false},
		{"a skip has its reason", pass + skip, false, []string{"SKIP ppp TestC: c_test.go:9: no root", "1 passed, 0 failed, 1 skipped"}, true},
		{"in CI a skip is a failure", pass + skip, true, []string{"SKIP ppp TestC", "nothing may be skipped", "1 passed, 1 failed"}, false},
		{"what another run did not skip is no skip", skip + strings.Replace(pass, "hdlc", "ppp", 1) + `{"Action":"pass","Package":"tributary/ppp","Test":"TestC"}` + "\n", true, []string{"2 passed, 0 failed"}, true},
		{"nor is what an earlier run did", `{"Action":"pass","Package":"tributary/ppp","Test":"TestC"}` + "\n" + skip, true, []string{"1 passed, 0 failed"}, true},
		{"a test whose process died has failed", pass + crash, true, []string{"FAIL ppp TestD did not end", "panic: no", "1 passed, 1 failed"}, false},
		{"what does not compile has failed", pass + buildErr, true, []string{"syntax error", "1 passed, 1 failed"}, false},
		{"no test at all is no success", noTests, false, []string{"0 passed, 0 failed"}, false},
		{"what is not an event is shown", pass + "go: cannot find main module\n", false, []string{"cannot find main module", "1 passed, 0 failed"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r results
			if err := r.read(strings.NewReader(tt.in)); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if ok := r.write(&out, tt.skipsFail); ok != tt.ok {
				t.Errorf("ok = %v, want %v", ok, tt.ok)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the report has no %q:\n%s", want, out.String())
				}
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if got := lines[len(lines)-1]; got != tt.want[len(tt.want)-1] {
				t.Errorf("last line %q, want %q", got, tt.want[len(tt.want)-1])
			}
		})
	}
}
