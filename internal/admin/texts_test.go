package admin_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/admin"
	"countersign/templates"
)

var (
	inTemplates = regexp.MustCompile(`[( {]t "((?:[^"\\]|\\.)*)"`)
	inCode      = regexp.MustCompile(`(?:\.Say\(|\{Tone\w+, )"((?:[^"\\]|\\.)*)"`)
	placeholder = regexp.MustCompile(`\{\{\.\w+\}\}`)
)

// ownTexts are the English texts of all templates and of this package's code.
func ownTexts(t *testing.T) []string {
	t.Helper()
	texts := map[string]bool{}
	collect := func(fsys fs.FS, pattern string, re *regexp.Regexp) {
		files, err := fs.Glob(fsys, pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v %v", pattern, files, err)
		}
		for _, f := range files {
			raw, err := fs.ReadFile(fsys, f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(f, "_test.go") || f == "samples.go" {
				continue
			}
			for _, m := range re.FindAllStringSubmatch(string(raw), -1) {
				texts[m[1]] = true
			}
		}
	}
	collect(templates.Files, "layout.html", inTemplates)
	collect(templates.Files, "*/*.html", inTemplates)
	collect(os.DirFS("."), "*.go", inCode)
	return slices.Sorted(maps.Keys(texts))
}

func TestStaticFiles(t *testing.T) {
	t.Parallel()
	for built, source := range map[string]string{"static/app.js": "js/app.js", "static/swagger/docs.js": "js/docs.js",
		"static/icons.svg": "svg/icons.svg", "static/favicon.svg": "svg/favicon.svg", "static/mark.svg": "svg/mark.svg"} {
		got, err := fs.ReadFile(templates.Static, built)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile("../../templates/assets/" + source)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not what assets/build.sh makes of %s: run it", built, source)
		}
	}
}

func catalogue(t *testing.T, language string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("../i18n/locales/console." + language + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]string
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTexts(t *testing.T) {
	t.Parallel()
	texts, english := ownTexts(t), catalogue(t, "en")
	t.Run("stand in the English catalogue as they are", func(t *testing.T) {
		t.Parallel()
		if len(texts) < 100 {
			t.Fatalf("only %d texts were found", len(texts))
		}
		for _, text := range texts {
			if english[admin.Key(text)] != text {
				t.Errorf("%q has the key %s, which stands for %q", text, admin.Key(text), english[admin.Key(text)])
			}
		}
	})
	for _, language := range []string{"ru", "uz", "bn"} {
		t.Run("are translated whole: "+language, func(t *testing.T) {
			t.Parallel()
			other := catalogue(t, language)
			if diff := cmp.Diff(slices.Sorted(maps.Keys(english)), slices.Sorted(maps.Keys(other))); diff != "" {
				t.Errorf("keys differ (-en +%s):\n%s", language, diff)
			}
			for key, text := range other {
				want, got := placeholder.FindAllString(english[key], -1), placeholder.FindAllString(text, -1)
				slices.Sort(want)
				slices.Sort(got)
				if !slices.Equal(want, got) {
					t.Errorf("%s: placeholders %v, not %v", key, got, want)
				}
			}
		})
	}
}

// inApps are the places in which the apps' console pages hold English texts.
var inApps = regexp.MustCompile(`(?:Title|Label|Description|Consequence|Submit|Hint|Button|Empty|SearchPlaceholder|\.Hint =|\.Say\(|admin\.Word\(|admin\.Tone\w+,)[: (=]*"((?:[^"\\]|\\.)*)"`)

// names are texts that are the same in every language.
var names = []string{"English", "Oʻzbekcha", "PDF", "PayPal", ""}

func TestAppTexts(t *testing.T) {
	t.Parallel()
	english, found := catalogue(t, "en"), 0
	err := fs.WalkDir(os.DirFS("../.."), ".", func(path string, d fs.DirEntry, err error) error {
		file := d.Name()
		if err != nil || !strings.HasPrefix(file, "admin") || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "_samples.go") {
			return err
		}
		raw, err := os.ReadFile("../../" + path)
		for _, m := range inApps.FindAllStringSubmatch(string(raw), -1) {
			text := m[1]
			found++
			if admin.Key(text) != "" && !slices.Contains(names, text) && len(text) > 1 && english[admin.Key(text)] != text {
				t.Errorf("%s: %q has the key %s, which stands for %q", path, text, admin.Key(text), english[admin.Key(text)])
			}
		}
		return err
	})
	if err != nil || found < 300 {
		t.Errorf("only %d texts were found: %v", found, err)
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	karachi, err := time.LoadLocation("Asia/Karachi")
	if err != nil {
		t.Fatal(err)
	}
	in := func(language string) admin.Reader {
		return admin.Reader{Language: language, Zone: karachi, Now: now}
	}
	late := time.Date(2026, 1, 31, 22, 30, 0, 0, time.UTC)
	tests := []struct {
		name, got, want string
	}{
		{"a moment is shown in the tenant's zone", in("en").DateTime(late), "1 Feb 2026, 03:30"},
		{"and as the language writes it", in("ru").DateTime(late), "01.02.2026, 03:30"},
		{"with its own digits", in("bn").DateTime(late), "০১/০২/২০২৬, ০৩:৩০"},
		{"no moment is a dash", in("en").DateTime(time.Time{}), "–"},
		{"seconds are just now", in("en").Age(ago(59 * time.Second)), "just now"},
		{"minutes", in("en").Age(ago(61 * time.Second)), "1 min"},
		{"hours", in("en").Age(ago(47 * time.Hour)), "47 h"},
		{"days", in("en").Age(ago(48 * time.Hour)), "2 d"},
		{"what is to come", in("en").Age(ago(-3 * time.Hour)), "in 3 h"},
		{"in the reader's language", in("ru").Age(ago(3 * time.Hour)), "3 ч"},
		{"money names its currency", in("en").Money(usd(1234567)), "12,345.67\u00a0USD"},
		{"money below zero", in("en").Money(usd(-5)), "-0.05\u00a0USD"},
		{"money as the language writes it", in("ru").Money(uzs(123456789)), "1\u00a0234\u00a0567,89\u00a0UZS"},
		{"a name is not translated", in("ru").Say("Nexus Robotics"), "Nexus Robotics"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.got != tt.want {
				t.Errorf("got %q, want %q", tt.got, tt.want)
			}
		})
	}
}
