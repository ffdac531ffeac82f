package aaa

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tributary/ppp"
)

// docs/config.md has the keys of a users file, no fewer and no more, and an example
// that is one.
func TestDocumentation(t *testing.T) {
	doc, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(doc), "## The users file")
	if !ok {
		t.Fatal("docs/config.md does not describe the users file")
	}
	section, _, _ = strings.Cut(section, "\n## ")

	example := regexp.MustCompile("(?s)```yaml users\n(.*?)```").FindStringSubmatch(section)
	if example == nil {
		t.Fatal("there is no example")
	}
	users, err := Parse("docs/config.md", []byte(example[1]))
	if err != nil {
		t.Fatalf("the example is refused: %v", err)
	}
	if u, ok := users.Lookup("carl"); !ok || u.Can(ppp.AuthCHAPMD5) || !u.Can(ppp.AuthPAP) || u.Rate.Down != 1_500_000 {
		t.Errorf("carl is %+v, and not as the example says", u)
	}

	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\|").FindAllStringSubmatch(section, -1) {
		documented[m[1]] = true
	}
	// A key that there is not is answered with those that there are.
	want := map[string]bool{}
	for outer, yaml := range map[string]string{
		"": "users: [{zzzzzzzz: 1}]", "rate.": "users: [{name: a, password: b, rate: {zzzzzzzz: 1}}]", "limits.": "users: [{name: a, password: b, limits: {zzzzzzzz: 1}}]",
	} {
		_, err := Parse("u", []byte(yaml))
		if err == nil {
			t.Fatalf("%s is accepted", yaml)
		}
		_, keys, ok := strings.Cut(err.Error(), "there are: ")
		if !ok {
			t.Fatalf("%v does not say which keys there are", err)
		}
		keys, _, _ = strings.Cut(keys, "\n")
		for _, key := range strings.Split(keys, ", ") {
			if key != "rate" && key != "limits" {
				want[outer+key] = true
			}
		}
	}
	if got, want := slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
		t.Errorf("docs/config.md has rows for\n%v, and a users file has\n%v", got, want)
	}
}
