// Package imports holds the source to the rules of the tree that a compiler does
// not know: which package may import which, and what code does not do here.
//
// It parses the files. The go command would answer from a cache that does not see
// files whose build tags are off.
package imports

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "tributary/"

// pure are the protocol packages: bytes, events and a time go in, packets, events
// and a deadline come out. They have no world.
var pure = []string{"hdlc", "ppp", "pppoe"}

// world is what a pure package has no use for: the network, the machine, other
// goroutines, a log, chance. (net/netip is values.)
var world = []string{"net", "os", "sync", "context", "log", "math/rand", "runtime", "syscall", "unsafe"}

// may says which packages of the module each one may import. Imports point one
// way, as the path of a packet is drawn: cmd, control, gateway, its two sides,
// and below them buffers and protocols.
var may = func() map[string][]string {
	ground := append([]string{"internal/frame"}, pure...)
	sides := append([]string{"internal/line", "internal/ether", "internal/aaa", "internal/pool", "internal/store", "internal/ip", "internal/nat", "internal/ipv6",
		"internal/config", "internal/capture"}, ground...)
	gateway := append([]string{"internal/gateway"}, sides...)
	return map[string][]string{
		"hdlc":             {},
		"ppp":              {},
		"pppoe":            {},
		"internal/frame":   {},
		"internal/capture": ground,
		"internal/config":  {"pppoe"},
		"internal/aaa":     {"internal/config", "ppp"},
		"internal/pool":    {"internal/store"},
		"internal/store":   {},
		"internal/ip":      ground,
		"internal/nat":     {"internal/ip", "internal/frame"},
		"internal/ipv6":    {"internal/ip", "internal/frame", "ppp"},
		"internal/line":    append([]string{"internal/config"}, ground...),  // what to listen on
		"internal/ether":   append([]string{"internal/capture"}, ground...), // the tap
		"internal/gateway": sides,
		"internal/lab":     sides, // never the gateway: it is the other end
		"internal/control": gateway,
	}
}()

// tests may import more: those of the gateway need an ISP, and protocol packages
// are tested against each other.
var testsMay = map[string][]string{
	"hdlc":             pure,
	"ppp":              pure,
	"pppoe":            pure,
	"internal/capture": {"internal/ether"},
	"internal/gateway": {"internal/lab"},
}

// file is one parsed source file.
type file struct {
	path string // from the root, with slashes
	pkg  string // its folder
	test bool
	ast  *ast.File
}

func sources(t *testing.T) (files []file, positions *token.FileSet) {
	t.Helper()
	root := filepath.Join("..", "..")
	positions = token.NewFileSet()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		if d.IsDir() {
			hidden := rel != "." && strings.HasPrefix(d.Name(), ".")
			if hidden || d.Name() == "testdata" || d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if path.Ext(rel) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(positions, p, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		files = append(files, file{rel, path.Dir(rel), strings.HasSuffix(rel, "_test.go"), parsed})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("found %d files: this is not the tree", len(files))
	}
	return files, positions
}

// imports is what f imports of the module, without its name, and of others.
func (f *file) imports(t *testing.T) (ours, others []string) {
	t.Helper()
	for _, spec := range f.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if in, ok := strings.CutPrefix(p, module); ok {
			ours = append(ours, in)
		} else {
			others = append(others, p)
		}
	}
	return ours, others
}

func TestImportsPointOneWay(t *testing.T) {
	files, _ := sources(t)
	for _, f := range files {
		if strings.HasPrefix(f.pkg, "cmd/") || strings.HasPrefix(f.pkg, "test/") || strings.HasPrefix(f.pkg, "bench") {
			continue // the ends of all arrows
		}
		allowed, known := may[f.pkg]
		if !known {
			t.Errorf("%s: package %s has no place in the layout: give it one in this test", f.path, f.pkg)
			continue
		}
		ours, _ := f.imports(t)
		for _, p := range ours {
			if p == f.pkg || f.test && strings.HasPrefix(p, "test/") { // external tests, test equipment
				continue
			}
			if !slices.Contains(allowed, p) && !(f.test && slices.Contains(testsMay[f.pkg], p)) {
				t.Errorf("%s imports %s: from %s, imports point to %v", f.path, p, f.pkg, allowed)
			}
		}
	}
}

func TestPurePackagesHaveNoWorld(t *testing.T) {
	files, positions := sources(t)
	for _, f := range files {
		if f.test || !slices.Contains(pure, f.pkg) {
			continue
		}
		_, others := f.imports(t)
		for _, p := range others {
			if first, _, _ := strings.Cut(p, "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s: pure packages import the standard library only", f.path, p)
			}
			for _, w := range world {
				if p != "net/netip" && (p == w || strings.HasPrefix(p, w+"/")) {
					t.Errorf("%s imports %s: a protocol has no world", f.path, p)
				}
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%v: a machine starts no goroutine", positions.Position(n.Pos()))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && readsClock(n.Sel.Name) {
					t.Errorf("%v: time.%s: a machine reads no clock, it is told the time", positions.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
}

func readsClock(name string) bool {
	return slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}, name)
}

func TestNothingIsGlobal(t *testing.T) {
	files, positions := sources(t)
	for _, f := range files {
		if f.test || strings.HasPrefix(f.pkg, "test/") {
			continue
		}
		for _, decl := range f.ast.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil && decl.Name.Name == "init" {
					t.Errorf("%v: init: what a program does begins in main", positions.Position(decl.Pos()))
				}
			case *ast.GenDecl:
				if decl.Tok != token.VAR {
					continue
				}
				for _, spec := range decl.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok && changes(v) {
						t.Errorf("%v: %s can be changed by anyone: two gateways must fit in one process", positions.Position(v.Pos()), v.Names[0].Name)
					}
				}
			}
		}
	}
}

// changes reports whether a package-level variable is made to be changed: a map
// that begins empty, a lock, an atomic, a channel. A map that is written out is a
// table; see TestTablesAreNotWritten.
func changes(v *ast.ValueSpec) bool {
	guilty := func(e ast.Expr) bool {
		switch e := e.(type) {
		case *ast.MapType, *ast.ChanType:
			return true
		case *ast.SelectorExpr:
			x, ok := e.X.(*ast.Ident)
			return ok && (x.Name == "sync" || x.Name == "atomic")
		}
		return false
	}
	if guilty(v.Type) && len(v.Values) == 0 {
		return true
	}
	for _, value := range v.Values {
		switch value := value.(type) {
		case *ast.CompositeLit:
			if guilty(value.Type) && len(value.Elts) == 0 {
				return true
			}
		case *ast.CallExpr:
			if f, ok := value.Fun.(*ast.Ident); ok && f.Name == "make" {
				return true
			}
		}
	}
	return false
}

// Tables at package level, maps among them, are never written to.
func TestTablesAreNotWritten(t *testing.T) {
	files, positions := sources(t)
	vars := map[string]bool{} // package, a space, name
	for _, f := range files {
		for _, decl := range f.ast.Decls {
			if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.VAR && !f.test {
				for _, spec := range g.Specs {
					for _, name := range spec.(*ast.ValueSpec).Names {
						vars[f.pkg+" "+name.Name] = true
					}
				}
			}
		}
	}
	for _, f := range files {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			a, ok := n.(*ast.AssignStmt)
			if !ok || f.test {
				return !f.test
			}
			for _, left := range a.Lhs {
				if index, ok := left.(*ast.IndexExpr); ok {
					if x, ok := index.X.(*ast.Ident); ok && vars[f.pkg+" "+x.Name] {
						t.Errorf("%v: %s is a table of the package, or looks like it", positions.Position(a.Pos()), x.Name)
					}
				}
			}
			return true
		})
	}
}

// A file is named after what is in it.
func TestNoFileIsCalledUtil(t *testing.T) {
	files, _ := sources(t)
	for _, f := range files {
		if strings.HasPrefix(path.Base(f.path), "util") {
			t.Errorf("%s: the name says nothing", f.path)
		}
	}
}

// Files stay short enough to be read at once.
func TestFilesAreShort(t *testing.T) {
	files, positions := sources(t)
	for _, f := range files {
		if n := positions.Position(f.ast.FileEnd).Line; n > 700 {
			t.Errorf("%s has %d lines, at most 700 are allowed", f.path, n)
		}
	}
}

// The rules catch what they are for: each of these is a mistake.
func TestTheRulesBite(t *testing.T) {
	for _, source := range []string{
		"var registry = map[string]int{}",
		"var registry map[string]int",
		"var mu sync.Mutex",
		"var n atomic.Int64",
		"var c = make(chan int)",
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !changes(f.Decls[0].(*ast.GenDecl).Specs[0].(*ast.ValueSpec)) {
			t.Errorf("%s passes", source)
		}
	}
	for _, source := range []string{`var errX = errors.New("x")`, "var table = [...]int{1, 2}", "var version string"} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if changes(f.Decls[0].(*ast.GenDecl).Specs[0].(*ast.ValueSpec)) {
			t.Errorf("%s is a mistake", source)
		}
	}
}
