package ipv6

import (
	"bytes"
	"slices"
	"testing"
)

func TestMessagesThatAreNone(t *testing.T) {
	head := []byte{7, 1, 2, 3}
	for name, b := range map[string][]byte{
		"empty":                         {},
		"half a header":                 {7, 1, 2},
		"half an option":                {7, 1, 2, 3, 0, 1, 0},
		"an option beyond the message":  {7, 1, 2, 3, 0, 99, 0, 1},
		"a DUID of nothing":             {7, 1, 2, 3, 0, 1, 0, 0},
		"a DUID without a value":        {7, 1, 2, 3, 0, 2, 0, 2, 0, 1},
		"a DUID too long":               append(slices.Concat(head, []byte{0, 1, 0, 131}), make([]byte, 131)...),
		"half a requested option":       {7, 1, 2, 3, 0, 6, 0, 1, 0},
		"a preference of nothing":       {7, 1, 2, 3, 0, 7, 0, 0},
		"half an elapsed time":          {7, 1, 2, 3, 0, 8, 0, 1, 0},
		"half a status":                 {7, 1, 2, 3, 0, 13, 0, 1, 0},
		"a rapid commit with something": {7, 1, 2, 3, 0, 14, 0, 1, 0},
		"half a DNS server":             append(slices.Concat(head, []byte{0, 23, 0, 8}), make([]byte, 8)...),
		"half a refresh time":           {7, 1, 2, 3, 0, 32, 0, 2, 0, 0},
		"half an IA_PD":                 append(slices.Concat(head, []byte{0, 25, 0, 11}), make([]byte, 11)...),
		"half an IA_NA":                 append(slices.Concat(head, []byte{0, 3, 0, 11}), make([]byte, 11)...),
		"half an option in an IA_PD":    append(slices.Concat(head, []byte{0, 25, 0, 14}), make([]byte, 14)...),
		"half a status in an IA_PD":     slices.Concat(head, []byte{0, 25, 0, 17}, make([]byte, 12), []byte{0, 13, 0, 1, 0}),
		"half a prefix in an IA_PD":     slices.Concat(head, []byte{0, 25, 0, 40}, make([]byte, 12), []byte{0, 26, 0, 24}, make([]byte, 24)),
		"a prefix of 129 bits":          slices.Concat(head, []byte{0, 25, 0, 41}, make([]byte, 12), []byte{0, 26, 0, 25}, make([]byte, 8), []byte{129}, make([]byte, 16)),
	} {
		if m, ok := parseDHCP(b); ok {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestOptionsThatAreNobodysBusiness(t *testing.T) {
	for name, b := range map[string][]byte{
		"an empty FQDN":                  {7, 1, 2, 3, 0, 39, 0, 0},
		"a Domain Search List in a loop": {7, 1, 2, 3, 0, 24, 0, 2, 0xc0, 0},
		"half an SNTP server":            {7, 1, 2, 3, 0, 31, 0, 1, 0},
		"nothing at all":                 {7, 1, 2, 3},
	} {
		if _, ok := parseDHCP(b); !ok {
			t.Errorf("%s: the message is refused", name)
		}
	}
	// Of an option that there may be one of, the first counts; options with the
	// same remainder by 64 are not mistaken for each other.
	m, ok := parseDHCP([]byte{7, 1, 2, 3, 0, 18, 0, 1, 9, 0, 82, 0, 4, 0, 0, 0, 60, 0, 82, 0, 4, 0, 0, 0, 61, 0, 7, 0, 1, 5, 0, 7, 0, 1, 6})
	if !ok || m.solMaxRT != 60 || m.pref != 5 {
		t.Errorf("%v %+v", ok, m)
	}
}

// A message cannot make us remember more than is of use.
func TestMessagesAreBounded(t *testing.T) {
	var big dhcpMessage
	ia := iaPD{status: status{StatusUnspecFail, string(bytes.Repeat([]byte{'x'}, 2000))}}
	for range 50 {
		ia.prefixes = append(ia.prefixes, iaPrefix{prefix: prefix("2001:db8::/48")})
	}
	for i := range uint32(20) {
		ia.iaid = i
		big.prefixes = append(big.prefixes, ia)
		big.addresses = append(big.addresses, iaNA{iaid: i})
		big.dns = append(big.dns, addr("2001:db8::53"))
	}
	m, ok := parseDHCP(big.append(nil))
	if !ok || len(m.prefixes) != maxIAs || len(m.addresses) != maxIAs || len(m.dns) != maxDNS ||
		len(m.prefixes[0].prefixes) != maxIAPrefixes || len(m.prefixes[0].status.text) != maxStatusText {
		t.Errorf("%v: %d IA_PDs, %d IA_NAs, %d servers", ok, len(m.prefixes), len(m.addresses), len(m.dns))
	}
}

func TestTextIsFitForTerminals(t *testing.T) {
	for in, want := range map[string]string{
		"pool empty": "pool empty", "\x1b[31mred": ".[31mred", "naïve": "naïve", "a\nb\x00": "a.b.",
		"\u202egnp": ".gnp", "\xff": ".", "\u0085": ".",
	} {
		if got := printable([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
