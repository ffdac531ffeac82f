package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tributary/internal/lab"
	"tributary/pppoe"
)

// What an operator reads of answers that no lab gives.
func TestSurveyAsText(t *testing.T) {
	found := lab.Survey{PADIs: 3, Strange: 4, Beyond: 5, Answers: []lab.Answer{{
		Offer: pppoe.Offer{
			AC: pppoe.MAC{2, 0, 0, 0, 0, 1}, ACName: "bras\x1b[2J", Services: []string{"", "gold"}, Message: "full",
			Tags: []pppoe.Tag{
				pppoe.StringTag(pppoe.TagACName, "bras"), {Type: pppoe.TagVendorSpecific, Data: []byte{0, 0, 0, 9, 1, 2}}, {Type: pppoe.TagVendorSpecific, Data: []byte{1}},
				pppoe.StringTag(pppoe.TagMOTM, "maintenance on Sunday"), {Type: pppoe.TagRelaySessionID, Data: []byte{1, 2, 3}}, {Type: 0x0999, Data: []byte{0xff}},
			},
		},
		MaxPayload: 1500, PADOs: 5, Answered: 3, Min: 90 * time.Microsecond, Avg: 12 * time.Millisecond, Max: time.Second, CookieLen: 20,
		NoHostUniq: true, Errors: []pppoe.Tag{pppoe.StringTag(pppoe.TagACSystemError, "full"), {Type: pppoe.TagGenericError}},
	}, {Offer: pppoe.Offer{ACName: "silent"}, PADOs: 1, Answered: 1}}}
	var out, errs bytes.Buffer
	e := testEnv("", &out, &errs)
	if err := e.printSurvey(found, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`bras\x1b[2J`, "(any), gold", " 1500  ", "20, same", "dropped", " 3/3  ", "0.09/12.0/1000", " 1492  none ",
		"02:00:00:00:00:01: AC-System-Error: full\n", "01: Generic-Error\n", "5 PADOs to 3 PADIs", "Vendor-Specific of Cisco (9), 2 octets", "too short for a vendor",
		"maintenance on Sunday", "a relay agent is in between", "tag 0x0999 of 1 octets",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for line := range strings.SplitSeq(out.String(), "\n") {
		if !strings.Contains(line, ": ") && len([]rune(line)) > tableWidth {
			t.Errorf("a row of %d columns", len(line))
		}
	}
	for _, want := range []string{"4 PADOs had a Host-Uniq that was not ours", "5 PADOs more came of further access concentrators"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("no %q in %s", want, errs.String())
		}
	}

	out.Reset()
	if err := e.printSurvey(found, true); err != nil {
		t.Fatal(err)
	}
	var all []answerInfo
	if err := json.Unmarshal(out.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	a := all[0]
	if a.HostUniq != "dropped" || *a.CookieChanges || a.Errors[0] != (errorInfo{"AC-System-Error", "full"}) || len(a.Tags) != 6 ||
		a.Tags[0] != (tagInfo{"AC-Name", 0x0102, "62726173", "bras"}) || a.Tags[5].Text != "" || a.Tags[5].Hex != "ff" || all[1].CookieChanges != nil {
		t.Errorf("%s", out.String())
	}
}

func TestHostUniqFlag(t *testing.T) {
	for in, want := range map[string]string{"": "", "key": "key", "0x0aff": "\x0a\xff", "0x": "!", "0xa": "!", "0xzz": "!"} {
		got, err := hostUniqFlag(in)
		if (err != nil) != (want == "!") || err == nil && string(got) != want {
			t.Errorf("%q is %x, %v", in, got, err)
		}
	}
}
