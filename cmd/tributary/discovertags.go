package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"tributary/internal/lab"
	"tributary/pppoe"
)

// answerInfo is one access concentrator as JSON.
type answerInfo struct {
	ACName        string      `json:"ac_name"`
	MAC           string      `json:"mac"`
	Services      []string    `json:"services"`
	MaxPayload    int         `json:"max_payload,omitempty"`
	Message       string      `json:"message,omitempty"`
	AfterNS       int64       `json:"after_ns"`
	PADIs         int         `json:"padis"`
	Answered      int         `json:"answered"`
	PADOs         int         `json:"pados"`
	MinNS         int64       `json:"min_ns"`
	AvgNS         int64       `json:"avg_ns"`
	MaxNS         int64       `json:"max_ns"`
	CookieLength  int         `json:"cookie_length"`
	CookieChanges *bool       `json:"cookie_changes,omitempty"` // not known from one PADO
	HostUniq      string      `json:"host_uniq"`                // echoed, dropped
	Errors        []errorInfo `json:"errors,omitempty"`
	Notes         []string    `json:"notes,omitempty"`
	Tags          []tagInfo   `json:"tags"` // of the first PADO
}

// errorInfo is an error tag, and what it says.
type errorInfo struct {
	Tag     string `json:"tag"`
	Message string `json:"message"`
}

// tagInfo is one tag.
type tagInfo struct {
	Type string `json:"type"`
	Code uint16 `json:"code"`
	Hex  string `json:"hex"`
	Text string `json:"text,omitempty"` // if it is text
}

func answerInfos(found lab.Survey) []answerInfo {
	all := make([]answerInfo, len(found.Answers))
	for i, a := range found.Answers {
		info := answerInfo{
			ACName: a.ACName, MAC: a.AC.String(), Services: a.Services, MaxPayload: a.MaxPayload, Message: a.Message, AfterNS: a.After.Nanoseconds(),
			PADIs: found.PADIs, Answered: a.Answered, PADOs: a.PADOs,
			MinNS: a.Min.Nanoseconds(), AvgNS: a.Avg.Nanoseconds(), MaxNS: a.Max.Nanoseconds(),
			CookieLength: a.CookieLen, HostUniq: hostUniqText(&a), Notes: answerNotes(&a), Tags: []tagInfo{},
		}
		if a.PADOs > 1 {
			info.CookieChanges = &a.CookieChanges
		}
		for _, t := range a.Errors {
			info.Errors = append(info.Errors, errorInfo{t.Type.String(), pppoe.PrintableText(t.Data)})
		}
		for _, t := range a.Tags {
			info.Tags = append(info.Tags, tagInfo{t.Type.String(), uint16(t.Type), hex.EncodeToString(t.Data), tagText(t.Data)})
		}
		all[i] = info
	}
	return all
}

// tagText is data if it is text.
func tagText(data []byte) string {
	s := string(data)
	if !utf8.ValidString(s) || printable(s) != s {
		return ""
	}
	return s
}

// answerNotes is what an operator may want to know of an access concentrator that is
// in no column.
func answerNotes(a *lab.Answer) (notes []string) {
	for _, t := range a.Errors {
		notes = append(notes, strings.TrimSuffix(fmt.Sprintf("%v: %s", t.Type, pppoe.PrintableText(t.Data)), ": "))
	}
	if a.PADOs > a.Answered {
		notes = append(notes, fmt.Sprintf("%d PADOs to %d PADIs", a.PADOs, a.Answered))
	}
	for _, t := range a.Tags {
		switch t.Type {
		case pppoe.TagVendorSpecific:
			notes = append(notes, vendorNote(t.Data))
		case pppoe.TagHURL, pppoe.TagMOTM:
			notes = append(notes, fmt.Sprintf("%v: %s", t.Type, pppoe.PrintableText(t.Data)))
		case pppoe.TagRelaySessionID:
			notes = append(notes, fmt.Sprintf("Relay-Session-Id of %d octets: a relay agent is in between", len(t.Data)))
		case pppoe.TagEndOfList, pppoe.TagServiceName, pppoe.TagACName, pppoe.TagHostUniq, pppoe.TagACCookie, pppoe.TagMaxPayload,
			pppoe.TagServiceNameError, pppoe.TagACSystemError, pppoe.TagGenericError: // these have their columns
		default:
			notes = append(notes, fmt.Sprintf("tag %v of %d octets", t.Type, len(t.Data)))
		}
	}
	return notes
}

// vendors are those who are met most often, by their SMI enterprise numbers.
var vendors = map[uint32]string{
	9: "Cisco", 2011: "Huawei", 2352: "Redback", 2636: "Juniper", 3561: "Broadband Forum", 3902: "ZTE", 4874: "Juniper ERX",
	6527: "Nokia SR", 14988: "MikroTik", 25506: "H3C",
}

// vendorNote names whose tag this is. RFC 2516 appendix A, of Vendor-Specific: "The
// first four octets of the TAG_VALUE contain the vendor id".
func vendorNote(data []byte) string {
	if len(data) < 4 {
		return fmt.Sprintf("Vendor-Specific tag of %d octets, too short for a vendor", len(data))
	}
	id := binary.BigEndian.Uint32(data)
	name := vendors[id]
	if name == "" {
		name = "unknown"
	}
	return fmt.Sprintf("Vendor-Specific of %s (%d), %d octets", name, id, len(data)-4)
}
