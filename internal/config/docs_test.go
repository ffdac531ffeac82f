package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The examples of docs/config.md are configurations, and its tables have every
// key: those that a complaint about an unknown key would list.
func TestDocumentation(t *testing.T) {
	doc, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(doc, -1)
	if len(examples) < 2 {
		t.Fatalf("found %d examples", len(examples))
	}
	for _, example := range examples {
		if _, err := Parse("docs/config.md", example[1]); err != nil {
			t.Errorf("an example is refused: %v\n%s", err, example[1])
		}
	}

	every, err := os.ReadFile("testdata/every-key.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\|").FindAllSubmatch(doc, -1) {
		parts := strings.Split(string(row[1]), ".")
		documented = append(documented, parts[len(parts)-1])
	}
	for _, key := range regexp.MustCompile(`([a-z_]+):(?: |\n)`).FindAllSubmatch(every, -1) {
		section := []string{"uplinks", "lines", "tcp", "serial", "pty", "control", "log", "queue", "discovery", "echo"}
		if k := string(key[1]); !slices.Contains(documented, k) && !slices.Contains(section, k) && k != "mac" {
			t.Errorf("docs/config.md has no row for %q", k)
		}
	}
}
