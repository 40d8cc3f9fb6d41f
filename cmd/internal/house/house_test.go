// Package house checks rules on the project's source that the linter does not have:
// plain words in comments, the size of types, the width of lines, and the places
// that may create a real clock. It has tests only.
package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Bounds of the rules. Words are counted per 1,000 words of comment, without test
// files. Tighten a bound when the code allows it, and never loosen one.
const (
	maxWhat        = 1   // "what" as a noun
	maxWhether     = 0.3 // "says whether", "tells whether"
	maxNobody      = 0.3 // "nobody", "somebody", "whoever"
	maxThatWhich   = 3   // "that which", in all comments
	maxWideLines   = 60  // lines over maxColumns
	maxColumns     = 120 // with a tab as four columns
	maxMethods     = 45  // of a type, functions that take it first included
	maxFilesOfType = 4   // files with methods of one type
	tabColumns     = 4
	maxListed      = 25 // places that a message lists
)

// largeTypes may exceed maxMethods or maxFilesOfType, each up to its own bounds
// and for the reason given.
var largeTypes = map[string]struct {
	methods, files int
	reason         string
}{}

// clocks lists the packages, besides main packages, that may create a real clock,
// each with the reason.
var clocks = map[string]string{
	"nodes/socket": "it has the one function that makes the programs' clock",
	"sim":          "it starts live worlds and loads, which run on the real clock",
}

// source is one Go file that is no test.
type source struct {
	name string // from the module's root, with slashes
	text string
	set  *token.FileSet
	tree *ast.File
}

const root = "../../.."

// sources returns all Go files that are no tests, in the order of their names.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if hidden := strings.HasPrefix(entry.Name(), ".") && name != "."; hidden || entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{filepath.ToSlash(name), string(text), set, tree})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("found %d files: is the path wrong?", len(all))
	}
	return all
}

// word is one word of a comment, in lower case.
type word struct {
	text string
	file string
	line int
}

func (w word) String() string { return fmt.Sprintf("%s:%d", w.file, w.line) }

var (
	commentLine = regexp.MustCompile(`^\s*//\s?(.*)`)
	directive   = regexp.MustCompile(`^\s*//(go:|nolint)`)
	words       = regexp.MustCompile(`[A-Za-z']+`)
)

// comments returns the words of all lines that are comments.
func comments(files []source) []word {
	var all []word
	for _, f := range files {
		for i, line := range strings.Split(f.text, "\n") {
			if m := commentLine.FindStringSubmatch(line); m != nil && !directive.MatchString(line) {
				for _, w := range words.FindAllString(m[1], -1) {
					all = append(all, word{strings.ToLower(w), f.name, i + 1})
				}
			}
		}
	}
	return all
}

func set(list string) map[string]bool {
	s := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		s[w] = true
	}
	return s
}

// Words before and after a "what" that is a noun.
var (
	beforeWhat = set("of is are to by than with from and or for in as at on but that")
	behindWhat = set("is was it a an the they has had comes came may must can no only nobody stands follows goes lies")
)

func TestCommentsUsePlainWords(t *testing.T) {
	all := comments(sources(t))
	at := func(i int) string {
		if i < 0 || i >= len(all) {
			return ""
		}
		return all[i].text
	}
	for _, rule := range []struct {
		name   string
		advice string
		max    float64 // per 1,000 words
		is     func(i int) bool
	}{
		{"what as a noun", "name the thing", maxWhat, func(i int) bool {
			return at(i) == "what" && (i == 0 || beforeWhat[at(i-1)] || behindWhat[at(i+1)])
		}},
		{"says whether", `write "reports whether"`, maxWhether, func(i int) bool {
			return at(i) == "whether" && set("says tells say tell said told asked")[at(i-1)]
		}},
		{"nobody, somebody, whoever", "name the node, the caller or the peer", maxNobody, func(i int) bool {
			return at(i) == "nobody" || at(i) == "somebody" || at(i) == "whoever"
		}},
		{"that which", "name the thing", maxThatWhich * 1000 / float64(len(all)), func(i int) bool {
			return at(i) == "which" && at(i-1) == "that"
		}},
	} {
		t.Run(rule.name, func(t *testing.T) {
			var places []string
			for i := range all {
				if rule.is(i) {
					places = append(places, all[i].String())
				}
			}
			found := 1000 * float64(len(places)) / float64(len(all))
			t.Logf("%.2f per 1,000 words of comment (%d in %d)", found, len(places), len(all))
			if found > rule.max {
				t.Errorf("%.2f per 1,000 words of comment, want at most %.2f: %s\n%s", found, rule.max, rule.advice, list(places))
			}
		})
	}
}

// list returns the first places, one a line.
func list(places []string) string {
	if more := len(places) - maxListed; more > 0 {
		places = append(slices.Clone(places[:maxListed]), fmt.Sprintf("and %d more", more))
	}
	return "\t" + strings.Join(places, "\n\t")
}

func TestLinesAreNarrow(t *testing.T) {
	var places []string
	for _, f := range sources(t) {
		for i, line := range strings.Split(f.text, "\n") {
			if columns := len([]rune(line)) + (tabColumns-1)*strings.Count(line, "\t"); columns > maxColumns {
				places = append(places, fmt.Sprintf("%s:%d: %d columns", f.name, i+1, columns))
			}
		}
	}
	t.Logf("%d lines have more than %d columns", len(places), maxColumns)
	if len(places) > maxWideLines {
		t.Errorf("%d lines have more than %d columns, want at most %d lines\n%s", len(places), maxColumns, maxWideLines, list(places))
	}
}

// typeSize is the size of one type.
type typeSize struct {
	methods map[string]bool // with those of embedded types
	files   map[string]bool
	embeds  []string // names of types of the same package
}

var platform = regexp.MustCompile(`_(linux|other|unix|amd64)\.go$`)

// typeSizes returns the sizes of all types, by folder and name. Functions that
// take a pointer to a type as the first parameter count as its methods.
func typeSizes(files []source) map[string]*typeSize {
	sizes := map[string]*typeSize{}
	of := func(folder, name string) *typeSize {
		key := folder + "." + name
		if sizes[key] == nil {
			sizes[key] = &typeSize{methods: map[string]bool{}, files: map[string]bool{}}
		}
		return sizes[key]
	}
	for _, f := range files {
		folder, file := path.Dir(f.name), platform.ReplaceAllString(f.name, ".go")
		for _, d := range f.tree.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if name := ownerOf(d); name != "" {
					size := of(folder, name)
					size.methods[d.Name.Name], size.files[file] = true, true
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if s, ok := spec.(*ast.TypeSpec); ok {
						size := of(folder, s.Name.Name)
						size.embeds = append(size.embeds, embeddedIn(s, folder)...)
					}
				}
			}
		}
	}
	for _, size := range sizes {
		for i := 0; i < len(size.embeds); i++ { // the list grows by the embedded types' own
			if e := sizes[size.embeds[i]]; e != nil {
				maps.Copy(size.methods, e.methods)
				for _, name := range e.embeds {
					if !slices.Contains(size.embeds, name) {
						size.embeds = append(size.embeds, name)
					}
				}
			}
		}
	}
	return sizes
}

// ownerOf returns the name of the type that a function is a method of, or that it
// takes by pointer as its first parameter, or "".
func ownerOf(d *ast.FuncDecl) string {
	if d.Recv != nil {
		return typeName(d.Recv.List[0].Type)
	}
	if p := d.Type.Params.List; len(p) > 0 && len(p[0].Names) > 0 {
		if _, pointer := p[0].Type.(*ast.StarExpr); pointer {
			return typeName(p[0].Type)
		}
	}
	return ""
}

// typeName returns the name of a type of the same package, or "".
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.IndexListExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// embeddedIn returns the types of the same package that a struct embeds.
func embeddedIn(s *ast.TypeSpec, folder string) []string {
	structure, ok := s.Type.(*ast.StructType)
	if !ok {
		return nil
	}
	var names []string
	for _, field := range structure.Fields.List {
		if name := typeName(field.Type); len(field.Names) == 0 && name != "" {
			names = append(names, folder+"."+name)
		}
	}
	return names
}

func TestTypesAreSmall(t *testing.T) {
	sizes := typeSizes(sources(t))
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		methods, files := len(sizes[name].methods), len(sizes[name].files)
		most, spread := maxMethods, maxFilesOfType
		if large, ok := largeTypes[name]; ok {
			if large.reason == "" || large.methods <= maxMethods && large.files <= maxFilesOfType {
				t.Errorf("%s: an exception needs a reason and a bound above the common one", name)
			}
			if methods <= maxMethods && files <= maxFilesOfType {
				t.Logf("%s needs no exception any more: remove it", name)
			}
			most, spread = max(most, large.methods), max(spread, large.files)
		}
		if methods > most || files > spread {
			t.Errorf("%s has %d methods in %d files, want at most %d in %d", name, methods, files, most, spread)
		}
	}
	for name := range largeTypes {
		if sizes[name] == nil {
			t.Logf("%s, an exception, does not exist", name)
		}
	}
}

func TestOnlyMainPackagesCreateARealClock(t *testing.T) {
	for _, f := range sources(t) {
		if f.tree.Name.Name == "main" || clocks[path.Dir(f.name)] != "" {
			continue
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			if call, ok := n.(*ast.SelectorExpr); ok && call.Sel.Name == "New" {
				if x, ok := call.X.(*ast.Ident); ok && x.Name == "clock" {
					t.Errorf("%s: clock.New outside a main package: take the clock as an argument", f.set.Position(n.Pos()))
				}
			}
			return true
		})
	}
}
