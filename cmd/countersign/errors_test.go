package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"countersign/billing/billingtest"
	"countersign/billing/payments"
	"countersign/internal/errs"
	"countersign/internal/i18n"
	"countersign/internal/web"
)

// declared is an error as the source declares it.
type declared struct {
	code, text string
	status     int
	position   string
}

var kindsByName = map[string]errs.Kind{"Invalid": errs.KindInvalid, "Unauthenticated": errs.KindUnauthenticated, "Forbidden": errs.KindForbidden,
	"NotFound": errs.KindNotFound, "MethodNotAllowed": errs.KindMethodNotAllowed, "Conflict": errs.KindConflict, "TooLarge": errs.KindTooLarge,
	"UnsupportedMedia": errs.KindUnsupportedMedia, "RateLimited": errs.KindRateLimited, "Unavailable": errs.KindUnavailable,
	"PaymentRequired": errs.KindPaymentRequired, "BadGateway": errs.KindBadGateway}

// sources parses every file of the program.
func sources(t *testing.T, each func(*token.FileSet, *ast.File)) {
	t.Helper()
	root, files := filepath.Join("..", ".."), token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err == nil {
			each(files, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// selected gives the name after "pkg." in an expression.
func selected(e ast.Expr, pkg string) string {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := s.X.(*ast.Ident); !ok || x.Name != pkg {
		return ""
	}
	return s.Sel.Name
}

func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		return ""
	}
	text, _ := strconv.Unquote(lit.Value)
	return text
}

// findErrors gives every error that the source declares.
func findErrors(t *testing.T) []declared {
	t.Helper()
	var found []declared
	sources(t, func(files *token.FileSet, file *ast.File) {
		pkg := "errs"
		if file.Name.Name == "errs" {
			pkg = "" // the package's own constructor calls have no qualifier
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				name := selected(n.Fun, pkg)
				if id, ok := n.Fun.(*ast.Ident); ok && pkg == "" {
					name = id.Name
				}
				if kind, ok := kindsByName[name]; ok && len(n.Args) == 2 {
					found = append(found, declared{literal(n.Args[0]), literal(n.Args[1]), web.Status(kind), files.Position(n.Pos()).String()})
				}
			case *ast.CompositeLit: // the one error of an unusual kind
				if selected(n.Type, "errs") != "Problem" {
					return true
				}
				d := declared{status: http.StatusInternalServerError, position: files.Position(n.Pos()).String()}
				for _, e := range n.Elts {
					field := e.(*ast.KeyValueExpr)
					switch field.Key.(*ast.Ident).Name {
					case "Code":
						d.code = literal(field.Value)
					case "Text":
						d.text = literal(field.Value)
					}
				}
				if d.code != "" {
					found = append(found, d)
				}
			}
			return true
		})
	})
	if len(found) < 80 {
		t.Fatalf("only %d errors were found", len(found))
	}
	return found
}

var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

func TestErrors(t *testing.T) {
	t.Parallel()
	found := findErrors(t)
	t.Run("each has a literal code in snake_case and a sentence", func(t *testing.T) {
		t.Parallel()
		for _, d := range found {
			if !snakeCase.MatchString(d.code) {
				t.Errorf("%s: the code is %q", d.position, d.code)
			}
			if len(d.text) < 15 || !strings.HasSuffix(d.text, ".") || strings.HasSuffix(d.text, "..") {
				t.Errorf("%s: %q is no sentence", d.position, d.text)
			}
		}
	})
	t.Run("one code has one meaning", func(t *testing.T) {
		t.Parallel()
		first := map[string]declared{}
		for _, d := range found {
			other, ok := first[d.code]
			if ok && (other.text != d.text || other.status != d.status) {
				t.Errorf("%s is %q (%d) at %s and %q (%d) at %s", d.code, other.text, other.status, other.position, d.text, d.status, d.position)
			}
			first[d.code] = d
		}
	})
	t.Run("docs/errors.md lists them", func(t *testing.T) {
		t.Parallel()
		golden(t, "../../docs/errors.md", errorsPage(found))
	})
}

const errorsIntro = `# Errors

Every refusal is a JSON object with a stable ` + "`code`" + `, a sentence for people in the language of ` + "`Accept-Language`" + ` (en, ru, uz, bn), what is wrong
with which field, and the id of the request:

    {"success":false,"code":"validation_failed","error":"Some fields are missing or wrong.","errors":{"amount":["…"]},"request_id":"…"}

Programs decide by ` + "`code`" + `; sentences may change. Codes that stand in ` + "`errors`" + ` as the reason for one field are listed under 400 as well.
This page is made from the source by ` + "`go test ./cmd/countersign -run TestErrors -update`" + `.
`

// errorsPage is docs/errors.md.
func errorsPage(found []declared) string {
	slices.SortFunc(found, func(a, b declared) int { return cmp.Or(a.status-b.status, strings.Compare(a.code, b.code)) })
	var b strings.Builder
	b.WriteString(errorsIntro)
	status := 0
	for i, d := range found {
		if i > 0 && found[i-1].code == d.code {
			continue
		}
		if d.status != status {
			status = d.status
			fmt.Fprintf(&b, "\n## %d %s\n\n| code | sentence |\n|---|---|\n", status, http.StatusText(status))
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", d.code, strings.ReplaceAll(strings.NewReplacer("{{.", "‹", "}}", "›").Replace(d.text), "|", `\|`))
	}
	return b.String()
}

func catalogue(t *testing.T, language string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("../../internal/i18n/locales/" + language + ".json")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	if err := json.Unmarshal(raw, &texts); err != nil {
		t.Fatal(err)
	}
	return texts
}

// english is what the source itself says, under the keys of the catalogues.
func english(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, d := range findErrors(t) {
		texts["error."+d.code] = d.text
	}
	sources(t, func(_ *token.FileSet, file *ast.File) {
		constants := map[string]string{}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if i < len(n.Values) {
						constants[name.Name] = literal(n.Values[i])
					}
				}
			case *ast.CallExpr: // what a field must be
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "With" && len(n.Args) == 2 && literal(n.Args[0]) == "expected" {
					texts["expected."+web.ExpectedKey(literal(n.Args[1]))] = literal(n.Args[1])
				}
			case *ast.FuncDecl:
				if file.Name.Name != "payments" || n.Name.Name != "sentences" {
					return true
				}
				for _, e := range n.Body.List[0].(*ast.ReturnStmt).Results[0].(*ast.CompositeLit).Elts {
					pair := e.(*ast.KeyValueExpr)
					texts["signal."+constants[pair.Key.(*ast.Ident).Name]] = literal(pair.Value)
				}
			}
			return true
		})
	})
	return texts
}

var placeholder = regexp.MustCompile(`\{\{\.[a-z_]+\}\}`)

func TestCatalogues(t *testing.T) {
	t.Parallel()
	want := english(t)
	for _, code := range payments.SignalCodes() {
		if want["signal."+code] == "" {
			t.Errorf("the signal %s has no sentence", code)
		}
	}
	t.Run("English is what the source says", func(t *testing.T) {
		t.Parallel()
		text, err := json.MarshalIndent(want, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(text)))
		golden(t, "../../internal/i18n/locales/en.json", string(text)+"\n")
	})
	for _, language := range i18n.Languages()[1:] {
		t.Run(language+" says the same", func(t *testing.T) {
			t.Parallel()
			got := catalogue(t, language)
			if diff := gocmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
				t.Errorf("keys: %s", diff)
			}
			for key, text := range got {
				if diff := gocmp.Diff(placeholders(want[key]), placeholders(text)); diff != "" {
					t.Errorf("%s: placeholders: %s", key, diff)
				}
				if strings.HasPrefix(key, "expected.") {
					continue
				}
				if text == want[key] || !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "।") {
					t.Errorf("%s is not translated, or no sentence: %q", key, text)
				}
			}
		})
	}
}

func placeholders(text string) []string {
	found := placeholder.FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

// TestLanguages reads errors over HTTP (S0-59 to S0-61).
func TestLanguages(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	program(t, w)
	for header, language := range map[string]string{"ru": "ru", "uz": "uz", "bn": "bn", "en": "en", "": "en", "tlh": "en", "ru-RU,ru;q=0.9,en;q=0.8": "ru",
		"fr;q=0.9, uz-Latn-UZ;q=0.8": "uz", "bn-BD": "bn", "*": "en", "\x00;;q=": "en"} {
		t.Run(strconv.Quote(header), func(t *testing.T) {
			t.Parallel()
			texts := catalogue(t, language)
			client := w.As(w.Owner).With("Accept-Language", header)
			got := client.Get(base+"/payments/"+unknown+"/").Refused(http.StatusNotFound, "not_found")
			if text := got.Text("error"); text != texts["error.not_found"] {
				t.Errorf("the error is %q", text)
			}
			got = client.Patch(apiPrefix+"/tenant/", `{"payment_terms_days":"x","name":7,"locale":"fr"}`).Refused(http.StatusBadRequest, "validation_failed")
			if text := got.Text("error"); text != texts["error.validation_failed"] {
				t.Errorf("the error is %q", text)
			}
			for field, expected := range map[string]string{"payment_terms_days": "a_whole_number", "name": "a_text"} {
				if text, want := got.Text("errors."+field+".0"), strings.ReplaceAll(texts["error.wrong_type"], "{{.expected}}", texts["expected."+expected]); text != want {
					t.Errorf("%s: the error is %q, want %q", field, text, want)
				}
			}
		})
	}
}
