package config

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// tables is which keys a table of docs/config.md has, by the first word of the
// heading above it. Under other headings, a row has a key's whole path.
var tables = map[string]string{
	"uplinks": "uplinks.", "lines": "lines.", "mode": "lines.", "tcp": "lines.tcp.", "serial": "lines.serial.",
	"pty": "lines.pty.", "sessions": "sessions.", "pools": "pools.", "The": usersFile,
}

// usersFile is before the keys of the users file, which are not the configuration's:
// package aaa holds them to what it reads.
const usersFile = "users file: "

// The examples of docs/config.md are configurations, and its tables have the
// keys of testdata/every-key.yaml, no fewer and no more.
func TestDocumentation(t *testing.T) {
	doc, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(doc, -1)
	if len(examples) < 3 {
		t.Fatalf("found %d examples", len(examples))
	}
	for _, example := range examples {
		cfg, err := Parse("docs/config.md", example[1])
		if err != nil {
			t.Errorf("an example is refused: %v\n%s", err, example[1])
		} else if len(cfg.Warnings) > 0 {
			t.Errorf("an example is warned of: %v\n%s", cfg.Warnings, example[1])
		}
	}

	every, err := os.ReadFile("testdata/every-key.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(every, &tree); err != nil {
		t.Fatal(err)
	}
	documented := rows(t, string(doc))
	for key, value := range tree {
		compare(t, documented, key, value)
	}
	for key, found := range documented {
		if !found && !strings.HasPrefix(key, usersFile) {
			t.Errorf("docs/config.md has a row for %q, which testdata/every-key.yaml has not", key)
		}
	}
}

// rows are the paths of the keys that doc has rows for, none of them found yet.
func rows(t *testing.T, doc string) map[string]bool {
	documented := map[string]bool{}
	prefix := ""
	for _, m := range regexp.MustCompile("(?m)^(?:#+ (The|[a-z_]+).*|\\| `([a-z0-9_.]+)` \\|.*)$").FindAllStringSubmatch(doc, -1) {
		switch heading, key := m[1], m[2]; {
		case heading != "":
			prefix = tables[heading]
		case strings.HasPrefix(m[0], "#"):
			prefix = ""
		default:
			if _, twice := documented[prefix+key]; twice {
				t.Errorf("docs/config.md has two rows for %q", prefix+key)
			}
			documented[prefix+key] = false
		}
	}
	return documented
}

// compare finds key, or what is below it, among the documented ones.
func compare(t *testing.T, documented map[string]bool, key string, value any) {
	if _, ok := documented[key]; ok {
		documented[key] = true
		return
	}
	switch value := value.(type) {
	case map[string]any:
		for k, v := range value {
			compare(t, documented, key+"."+k, v)
		}
	case []any:
		for _, v := range value {
			compare(t, documented, key, v)
		}
	default:
		t.Errorf("docs/config.md has no row for %q", key)
	}
}
