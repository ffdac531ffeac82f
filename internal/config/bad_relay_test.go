package config

// relayWith is a file whose group of lines, in mode relay, has these keys too.
func relayWith(keys string) string {
	return goodUplinks + "lines: [{name: a, uplink: isp, tcp: {listen: \":2323\"}, " + keys + "}]\n"
}

// badRelay is badConfigs of mode relay.
var badRelay = []badConfig{
	{"session loss", relayWith("on_session_loss: move"), []string{`2:73: on_session_loss is hangup or redial, not "move"`}},
	{"redial without need", relayWith("redial: {min: 1s}"), []string{"2:64: redial is for lines with on_session_loss: redial"}},
	{"redial backwards", relayWith("on_session_loss: redial, redial: {min: 1m, max: 2s}"), []string{"2:89: redial: max is 2s, which is less than min, 1m"}},
	{"redial without end", relayWith("on_session_loss: redial, redial: {timeout: 0}"), []string{"2:99: timeout is from 1s to"}},
	{"redial in shared", shared("session: office, auth: [], redial: {min: 1s}"), []string{"redial is for mode relay, and this group of lines has mode shared"}},
	{"realm with an @", relayWith(`services_by_realm: {"@isp": gold}`), []string{`2:76: services_by_realm: "@isp" is no realm`}},
	{"realm of nothing", relayWith(`services_by_realm: {"": gold}`), []string{`2:76: services_by_realm: "" is no realm`}},
	{"realm in two ways", relayWith("services_by_realm: {ISP: gold, isp: silver}"), []string{`2:87: services_by_realm: there are two services for "isp"`}},
	{"realm twice", relayWith("services_by_realm: {isp: gold, isp: silver}"), []string{`2:87: "isp" is given twice, first in line 2`}},
	{"realm without service", relayWith("services_by_realm: {isp: }"), []string{`2:76: "isp" has no value`}},
	{"realms as a list", relayWith("services_by_realm: [isp]"), []string{"2:75: services_by_realm needs keys and values"}},
	{"no speed", relayWith("access_speed: {up: 0}"), []string{"2:75: up is from 1 to 2147483647, not 0"}},
	{"speed with unit", relayWith("access_speed: {down: 56k}"), []string{`2:77: down is`}},
}
