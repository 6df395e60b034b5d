package evidence_test

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"countersign/billing/evidence"
	"countersign/internal/carddata"
	"countersign/internal/errs"
	"countersign/internal/web"
)

func value(name, content string) string {
	return "Content-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + content
}

func file(name, filename, content string) string {
	return "Content-Disposition: form-data; name=\"" + name + "\"; filename=\"" + filename + "\"\r\nContent-Type: text/html\r\n\r\n" + content
}

func TestReceiveForm(t *testing.T) {
	t.Parallel()

	t.Run("reads values and several files, in any order", func(t *testing.T) {
		t.Parallel()
		form, err := evidence.ReceiveForm(formRequest(t, file("evidence", "a.pdf", smallPDF), value("notes", "paid"),
			file("evidence", "b.pdf", smallPDF+"\n"), value("evidence_ids", "1"), value("evidence_ids", "2")), "evidence", 2)
		if err != nil {
			t.Fatal(err)
		}
		defer form.Close()
		if diff := cmp.Diff(map[string][]string{"notes": {"paid"}, "evidence_ids": {"1", "2"}}, form.Values); diff != "" {
			t.Error(diff)
		}
		if len(form.Files) != 2 || form.Files[0].Filename != "a.pdf" || form.Files[1].Filename != "b.pdf" {
			t.Fatalf("got %d files", len(form.Files))
		}
		if content, err := io.ReadAll(form.Files[1].File); err != nil || string(content) != smallPDF+"\n" {
			t.Errorf("got %q, %v", content, err)
		}
	})

	t.Run("takes a form in which no file was chosen", func(t *testing.T) {
		t.Parallel()
		form, err := evidence.ReceiveForm(formRequest(t, file("evidence", "", ""), value("notes", "paid")), "evidence", 2)
		if err != nil || len(form.Files) != 0 || len(form.Values) != 1 {
			t.Errorf("got %v, %v", form, err)
		}
	})

	many := make([]string, 101)
	for i := range many {
		many[i] = value("a", "")
	}
	refused := []struct {
		name  string
		parts []string
		want  error
	}{
		{"more files than the limit", []string{file("f", "a", smallPDF), file("f", "b", smallPDF), file("f", "c", smallPDF)}, evidence.ErrTooManyFiles},
		{"a file in another field", []string{file("g", "a", smallPDF)}, web.ErrUnknownField},
		{"a wrong type among right ones", []string{file("f", "a", smallPDF), file("f", "b.pdf", "<html>")}, evidence.ErrUnsupportedType},
		{"an empty file", []string{file("f", "a.pdf", "")}, evidence.ErrEmpty},
		{"long values", []string{value("notes", strings.Repeat("a", 100<<10)), value("more", strings.Repeat("a", 100<<10))}, web.ErrBodyTooLarge},
		{"a file above the limit", []string{file("f", "a", smallPDF+strings.Repeat(" ", int(evidence.MaxSize)))}, evidence.ErrTooLarge},
		{"very many parts", many, evidence.ErrMalformedForm},
	}
	for _, tt := range refused {
		t.Run("refuses "+tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := evidence.ReceiveForm(formRequest(t, tt.parts...), "f", 2); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}

	for name, tt := range map[string]struct {
		contentType, body string
		want              error
	}{
		"no form":               {"application/json", "{}", evidence.ErrFormRequired},
		"no type":               {"", "", evidence.ErrFormRequired},
		"no boundary":           {"multipart/form-data", "", evidence.ErrMalformedForm},
		"nothing":               {"multipart/form-data; boundary=b", "", evidence.ErrMalformedForm},
		"another boundary":      {"multipart/form-data; boundary=b", "--c\r\n\r\n--c--", evidence.ErrMalformedForm},
		"an end inside a file":  {"multipart/form-data; boundary=b", "--b\r\n" + file("f", "a", smallPDF), evidence.ErrIncomplete},
		"an end inside a value": {"multipart/form-data; boundary=b", "--b\r\n" + value("a", "b"), evidence.ErrIncomplete},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.contentType)
			if _, err := evidence.ReceiveForm(r, "f", 1); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}

	t.Run("does not begin to read what announces too much", func(t *testing.T) {
		t.Parallel()
		r := formRequest(t, file("f", "a", smallPDF))
		body := &countingBody{r: r.Body}
		r.Body, r.ContentLength = body, 2*evidence.MaxSize
		if _, err := evidence.ReceiveForm(r, "f", 1); !errors.Is(err, evidence.ErrTooLarge) || body.read > 0 {
			t.Errorf("got %v after %d bytes", err, body.read)
		}
	})

	t.Run("stops reading a file that turns out too large", func(t *testing.T) {
		t.Parallel()
		body := &countingBody{r: io.NopCloser(io.MultiReader(strings.NewReader("--b\r\n"+file("f", "a", smallPDF)), spaces{}))}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, nil)
		r.Body, r.ContentLength = body, -1
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		if _, err := evidence.ReceiveForm(r, "f", 1); !errors.Is(err, evidence.ErrTooLarge) || body.read > evidence.MaxSize+(1<<18) {
			t.Errorf("got %v after %d bytes", err, body.read)
		}
	})
}

// What is asked is the name that is stored: characters that are left out of it, and the middle of a long one, must not
// have kept the pieces of a card number apart (S1-14).
func TestReceiveForm_cardsInNames(t *testing.T) {
	t.Parallel()
	groups := func(between string) string { return strings.Join([]string{"4242", "4242", "4242", "4242"}, between) }
	long := strings.Repeat("a", 400)
	for name, header := range map[string]string{
		"as it is":                                    `filename="` + groups("") + `.png"`,
		"between blanks":                              `filename="scan ` + groups(" ") + `.png"`,
		"divided by characters that control":          `filename*=UTF-8''` + groups("%01%01%01%01") + `.png`,
		"divided by breaks of lines and paragraphs":   `filename*=UTF-8''` + groups(strings.Repeat("%E2%80%A8%E2%80%A9", 2)) + `.png`,
		"divided by bytes that are no text":           `filename="` + groups("\xff\xff\xff\xff") + `.png"`,
		"divided by signs for such bytes":             `filename="` + groups("\ufffd\ufffd\ufffd\ufffd") + `.png"`,
		"behind what a name is cut to":                `filename="` + long + " " + groups(" ") + `.png"`,
		"that loses a digit where the name is cut":    `filename*=UTF-8''` + long[:180] + "%20" + groups("%01%01%01%01") + `.png`,
		"whose end is the name's ending":              `filename="` + long[:180] + ` 4242.4242.4242` + long + `.4242"`,
		"that is the beginning of a longer number":    `filename="` + long[:179] + " " + groups("") + `999999.png"`,
		"in a name without an ending of a usual size": `filename="` + groups("\xff\xff\xff\xff") + `.` + long[:30] + `"`,
	} {
		t.Run("refuses a card number "+name, func(t *testing.T) {
			t.Parallel()
			part := "Content-Disposition: form-data; name=\"f\"; " + header + "\r\nContent-Type: image/png\r\n\r\n" + smallPDF
			form, err := evidence.ReceiveForm(formRequest(t, part), "f", 1)
			if e := errs.As(err); !errors.Is(err, web.ErrCardData) || len(e.Fields["f"]) != 1 || len(e.Fields) != 1 {
				t.Errorf("got %v, %v", form, err)
			}
		})
	}

	t.Run("takes whatever name holds none, stores none and gives none back", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(rt *rapid.T) {
			pieces := rapid.SampledFrom([]string{"4242", "42", "4", ".", "%20", "-", "a", "%01", "%E2%80%A8", "%FF", "%E2%80%8B", "%C3%A9", long[:60]})
			name := strings.Join(rapid.SliceOfN(pieces, 1, 40).Draw(rt, "name"), "")
			form, err := evidence.ReceiveForm(formRequest(t, "Content-Disposition: form-data; name=f; filename*=UTF-8''"+name+"\r\n\r\n"+smallPDF), "f", 1)
			if errors.Is(err, web.ErrCardData) {
				return
			}
			if err != nil {
				rt.Fatal(err)
			}
			defer form.Close()
			stored := form.Files[0].Filename
			plain, _, _ := strings.Cut(evidence.Disposition("attachment", stored, evidence.TypePDF), "; filename*=")
			if carddata.Holds(stored) || carddata.Holds(plain) {
				rt.Errorf("%q is stored as %q and served as %q", name, stored, plain)
			}
		})
	})
}

type countingBody struct {
	r    io.ReadCloser
	read int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.read += int64(n)
	return n, err
}

func (b *countingBody) Close() error { return b.r.Close() }

// Not parallel: the temporary directory and the open files belong to the whole process.
func TestReceiveFormLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	if _, err := evidence.ReceiveForm(formRequest(t, file("f", "a", smallPDF), file("f", "b", "<html>")), "f", 2); err == nil {
		t.Error("accepted")
	}
	form, err := evidence.ReceiveForm(formRequest(t, file("f", "a", smallPDF), file("f", "b", smallPDF)), "f", 2)
	if err != nil {
		t.Fatal(err)
	}
	if open := openTemporaryFiles(t, dir); open != 2 {
		t.Errorf("while in use: %d files", open)
	}
	if err := form.Close(); err != nil {
		t.Error(err)
	}
	if open := openTemporaryFiles(t, dir); open != 0 {
		t.Errorf("afterwards: %d files", open)
	}
}

func TestSafeFilename(t *testing.T) {
	t.Parallel()

	t.Run("drops what ends a header or turns a line around", func(t *testing.T) {
		t.Parallel()
		for given, want := range map[string]string{
			"a\r\nX-Evil: 1\x00.pdf": "aX-Evil: 1.pdf", "a\u202efdp.exe": "afdp.exe", "a\u2028b\u0085c.png": "abc.png", "a\xff.png": "a.png",
			" . a . ": "a", "x/../": "", "": "", strings.Repeat("a", 198) + ". " + strings.Repeat("b", 20): strings.Repeat("a", 198),
			strings.Repeat("a", 200) + " .pdf": strings.Repeat("a", 196) + ".pdf", strings.Repeat("a", 195) + ". .pdf": strings.Repeat("a", 195) + ".pdf",
		} {
			if got := evidence.SafeFilename(given); got != want {
				t.Errorf("%q: got %q, want %q", given, got, want)
			}
		}
	})

	t.Run("makes any text a short name that stays as it is", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(rt *rapid.T) {
			given := rapid.OneOf(rapid.String(), rapid.StringN(150, 400, -1),
				rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(rt, "name")
			got := evidence.SafeFilename(given)
			if len(got) > 200 || !utf8.ValidString(got) || strings.ContainsAny(got, "/\\\r\n\x00") {
				rt.Errorf("%q became %q", given, got)
			}
			if again := evidence.SafeFilename(got); again != got {
				rt.Errorf("%q became %q and then %q", given, got, again)
			}
		})
	})
}

func FuzzReceiveForm(f *testing.F) {
	const boundary = "multipart/form-data; boundary=b"
	f.Add(boundary, "--b\r\n"+file("f", "a.pdf", smallPDF)+"\r\n--b--\r\n")
	f.Add(boundary, "--b\r\n"+value("notes", "paid")+"\r\n--b--\r\n")
	f.Add(boundary, "--b\r\n\r\n\r\n--b\r\n--b--")
	f.Add(boundary, "--b\r\n"+file("f", "a.png", pngHeader(60_000, 60_000))+"\r\n--b--\r\n")
	f.Add(boundary, "--b\r\nContent-Disposition: form-data; name*=utf-8''f; filename*=utf-8''%2e%2e%2fa\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=25PDF-1.7\r\n--b--\r\n")
	f.Add(`Multipart/Form-Data; boundary="a b"; boundary*=utf-8''b`, "--a b\r\n"+value("f", smallPDF)+"\r\n--a b--\r\n")
	f.Add("multipart/mixed; boundary=b", "--b--\r\n")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		form, err := evidence.ReceiveForm(r, "f", 2)
		if err != nil {
			if e := web.Public(r, err); web.Status(e.Kind) >= 500 {
				t.Errorf("a client's fault became %v", err)
			}
			return
		}
		if len(form.Files) > 2 {
			t.Errorf("%d files", len(form.Files))
		}
		for _, file := range form.Files {
			checkFilename(t, file.Filename, file.ContentType)
		}
		if err := form.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Whatever a sender calls his file, it is kept as a plain name and served as one that a browser understands.
func FuzzFilenames(f *testing.F) {
	for _, name := range []string{"receipt.pdf", "../../etc/passwd", `C:\a\b.PNG`, "a\r\nX: 1", "a\u202efdp.exe", `a";b="c`, "রশিদ", "\xff", "%41%00", "", strings.Repeat("é.", 150), strings.Repeat("a", 199) + " ."} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, given string) {
		name := evidence.SafeFilename(given)
		if again := evidence.SafeFilename(name); again != name {
			t.Errorf("%q became %q and then %q", given, name, again)
		}
		for _, contentType := range []string{evidence.TypePDF, evidence.TypePNG, evidence.TypeJPEG, evidence.TypeWebP} {
			checkFilename(t, name, contentType)
		}
	})
}

func checkFilename(t *testing.T, name, contentType string) {
	t.Helper()
	if len(name) > 200 || !utf8.ValidString(name) || strings.ContainsAny(name, "/\\") || strings.ContainsFunc(name, unicode.IsControl) {
		t.Errorf("a file is called %q", name)
	}
	header := evidence.Disposition("attachment", name, contentType)
	kind, params, err := mime.ParseMediaType(header)
	if err != nil || kind != "attachment" || strings.ContainsFunc(header, func(c rune) bool { return c < ' ' || c > '~' }) {
		t.Errorf("%q is served as %q: %v", name, header, err)
	}
	ending := strings.ToLower(params["filename"][strings.LastIndexByte(params["filename"], '.')+1:])
	if !slices.Contains(map[string][]string{evidence.TypePDF: {"pdf"}, evidence.TypePNG: {"png"}, evidence.TypeJPEG: {"jpg", "jpeg", "jfif"}, evidence.TypeWebP: {"webp"}}[contentType], ending) {
		t.Errorf("%q of %s is served as %q", name, contentType, header)
	}
	if plain := starName(header); strings.Contains(header, "filename*=") && !strings.HasPrefix(plain, name) {
		t.Errorf("%q is served as %q", name, plain)
	}
}

// The one parameter of a download.
func FuzzInline(f *testing.F) {
	for _, query := range []string{"", "inline=1", "inline=0", "inline=yes", "inline=1&inline=0", "%zz", "a=b", "inline", ";"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.URL.RawQuery = query
		inline, err := evidence.WantsInline(r)
		if e := errs.As(err); err != nil && (e == nil || web.Status(e.Kind) != http.StatusBadRequest || inline) {
			t.Errorf("%q gives %v, %v", query, inline, err)
		}
	})
}
