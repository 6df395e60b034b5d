package evidence_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/evidence"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

const path = "/billing/evidence/"

func TestUpload(t *testing.T) {
	t.Parallel()

	t.Run("gives a member's receipt back to him and to staff", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		account := w.account()
		receipt := asPNG(t, photo(1, 60, 80))
		member := w.as(w.member(account))

		created := member.PostFile(path, "file", "чек 1.png", receipt, nil).Expect(201)
		sum := sha256.Sum256(receipt)
		got := map[string]any{"account_id": created.At("data.account_id"), "sha256": created.At("data.sha256"), "size_bytes": created.Int("data.size_bytes"),
			"content_type": created.At("data.content_type"), "filename": created.At("data.filename"), "url": created.At("data.url")}
		want := map[string]any{"account_id": account.ID.String(), "sha256": hex.EncodeToString(sum[:]), "size_bytes": int64(len(receipt)),
			"content_type": "image/png", "filename": "чек 1.png", "url": "/api/v1" + path + created.Text("data.id") + "/"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}

		for _, reader := range []*testkit.Client{member, w.as(w.staff(auth.RoleViewer))} {
			file := reader.Get(path + created.Text("data.id") + "/").Expect(200)
			if !bytes.Equal(file.Raw, receipt) {
				t.Errorf("read back %d bytes", len(file.Raw))
			}
			for name, want := range map[string]string{
				"Content-Type": "image/png", "Content-Length": fmt.Sprint(len(receipt)), "X-Content-Type-Options": "nosniff",
				"Content-Security-Policy": "sandbox; default-src 'none'", "Cache-Control": "private, no-store",
				"Content-Disposition": `attachment; filename="___ 1.png"; filename*=UTF-8''%D1%87%D0%B5%D0%BA%201.png`,
			} {
				if got := file.Header.Get(name); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		}
	})

	t.Run("by staff is for the named account", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		account := w.account()
		for _, reference := range []string{account.ID.String(), account.ExternalID} {
			created := w.as(w.staff(auth.RoleCashier)).PostFile(path, "file", "r.pdf", []byte(smallPDF), map[string]string{"account_id": reference})
			if got := created.Expect(201).Text("data.account_id"); got != account.ID.String() {
				t.Errorf("by %s: got %s", reference, got)
			}
		}
	})

	t.Run("keeps the same file twice as two rows and one object", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		member := w.as(w.member(w.account()))
		first := member.PostFile(path, "file", "a.pdf", []byte(smallPDF), nil).Expect(201)
		second := member.PostFile(path, "file", "b.pdf", []byte(smallPDF), nil).Expect(201)
		if first.Text("data.id") == second.Text("data.id") || w.rows() != 2 || w.objects() != 1 {
			t.Errorf("%d rows, %d objects", w.rows(), w.objects())
		}
	})

	t.Run("repeated under one key happens once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		member := w.as(w.member(w.account())).With("Idempotency-Key", "k1")
		first := member.PostFile(path, "file", "a.pdf", []byte(smallPDF), nil).Expect(201)
		again := member.PostFile(path, "file", "a.pdf", []byte(smallPDF), nil).Expect(201)
		if again.Header.Get("Idempotent-Replayed") != "true" || again.Text("data.id") != first.Text("data.id") || w.rows() != 1 {
			t.Errorf("%v, %d rows", again.Header, w.rows())
		}
		member.PostFile(path, "file", "a.pdf", []byte(smallPDF+"\n"), nil).Refused(409, "idempotency_key_reused")
	})

	t.Run("is told in the audit log and as an event, without the name", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		account := w.account()
		w.as(w.member(account)).PostFile(path, "file", "my secret.pdf", []byte(smallPDF), nil).Expect(201)
		var lines []string
		err := tenancy.Read(w.owner, w.db, func(ctx context.Context, tx bun.Tx) error {
			return tx.NewRaw(`SELECT action || ' ' || account_id || ' ' || after FROM audit_log WHERE tenant_id = ? AND object_type = 'evidence'
				UNION ALL SELECT type || ' ' || account_id || ' ' || payload FROM events WHERE tenant_id = ?`, w.tenant.ID, w.tenant.ID).Scan(ctx, &lines)
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) != 2 || !strings.HasPrefix(lines[0], "evidence.upload "+account.ID.String()) ||
			!strings.HasPrefix(lines[1], "evidence.uploaded "+account.ID.String()) || strings.Contains(strings.Join(lines, ""), "secret") {
			t.Errorf("got %q", lines)
		}
	})
}

func TestUploadRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	member, staff, viewer := w.as(w.member(w.account())), w.as(w.staff(auth.RoleFinance)), w.as(w.staff(auth.RoleViewer))
	neighbour := newWorld(t).account()
	pdf := []byte(smallPDF)
	page := []byte("<!doctype html><script>alert(1)</script>")
	tests := []struct {
		name   string
		by     *testkit.Client
		field  string
		file   string
		body   []byte
		fields map[string]string
		status int
		code   string
	}{
		{"strangers", testkit.NewClient(t, w.http), "file", "a.pdf", pdf, nil, 401, "authentication_required"},
		{"who may only look", viewer, "file", "a.pdf", pdf, map[string]string{"account_id": neighbour.ID.String()}, 403, "permission_denied"},
		{"a form without a file", member, "", "", nil, nil, 400, "evidence_file_required"},
		{"a file in another field", member, "receipt", "a.pdf", pdf, nil, 400, "unknown_field"},
		{"an unknown field", member, "file", "a.pdf", pdf, map[string]string{"payment_id": "1"}, 400, "validation_failed"},
		{"an account from a member", member, "file", "a.pdf", pdf, map[string]string{"account_id": neighbour.ID.String()}, 400, "unknown_field"},
		{"no account from staff", staff, "file", "a.pdf", pdf, nil, 400, "validation_failed"},
		{"the neighbour's account", staff, "file", "a.pdf", pdf, map[string]string{"account_id": neighbour.ID.String()}, 400, "unknown_account"},
		{"an empty file", member, "file", "a.pdf", nil, nil, 400, "evidence_empty"},
		{"HTML that is called a picture", member, "file", "a.png", page, nil, 415, "unsupported_evidence_type"},
		{"SVG", member, "file", "a.svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), nil, 415, "unsupported_evidence_type"},
		{"an archive", member, "file", "a.pdf", []byte("PK\x03\x04 and more"), nil, 415, "unsupported_evidence_type"},
		{"more than 10 MiB", member, "file", "a.pdf", append(pdf, make([]byte, evidence.MaxSize)...), nil, 413, "evidence_too_large"},
		{"much more than 10 MiB", member, "file", "a.pdf", append(pdf, make([]byte, 2*evidence.MaxSize)...), nil, 413, "evidence_too_large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.by.PostFile(path, tt.field, tt.file, tt.body, tt.fields).Refused(tt.status, tt.code)
		})
	}
	t.Run("JSON", func(t *testing.T) { member.Post(path, `{}`).Refused(415, "multipart_required") })
	t.Run("and keeps nothing of all that", func(t *testing.T) {
		if w.rows() != 0 || w.objects() != 0 {
			t.Errorf("%d rows, %d objects", w.rows(), w.objects())
		}
	})
}

// Storage that fails in one way.
type failing struct {
	evidence.Storage
	put, open error
}

func (f failing) Put(ctx context.Context, key string, r io.Reader, size int64, contentType string) error {
	if f.put != nil {
		return f.put
	}
	return f.Storage.Put(ctx, key, r, size, contentType)
}

func (f failing) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if f.open != nil {
		return nil, f.open
	}
	return f.Storage.Open(ctx, key)
}

func TestStoreTrouble(t *testing.T) {
	t.Parallel()
	onFire := errors.New("disk on fire")

	t.Run("a store that takes nothing is 503 and leaves no row", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(s evidence.Storage) evidence.Storage { return failing{Storage: s, put: onFire} })
		answer := w.as(w.member(w.account())).PostFile(path, "file", "a.pdf", []byte(smallPDF), nil)
		answer.Refused(503, "evidence_storage_unavailable")
		if w.rows() != 0 || bytes.Contains(answer.Raw, []byte("fire")) {
			t.Errorf("%d rows, answer %s", w.rows(), answer.Raw)
		}
	})

	t.Run("a store that gives nothing is 503", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(s evidence.Storage) evidence.Storage { return failing{Storage: s, open: onFire} })
		member := w.as(w.member(w.account()))
		id := member.PostFile(path, "file", "a.pdf", []byte(smallPDF), nil).Expect(201).Text("data.id")
		member.Get(path+id+"/").Refused(503, "evidence_storage_unavailable")
	})

	t.Run("a lost object is our fault", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(s evidence.Storage) evidence.Storage { return failing{Storage: s, open: evidence.ErrObjectMissing} })
		member := w.as(w.member(w.account()))
		id := member.PostFile(path, "file", "a.pdf", []byte(smallPDF), nil).Expect(201).Text("data.id")
		member.Get(path+id+"/").Refused(500, "internal_error")
	})

	t.Run("nothing is stored while a transaction is open", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		err := tenancy.InTx(w.owner, w.db, func(ctx context.Context, _ bun.Tx) error {
			_, err := w.service.Store(ctx, &evidence.Upload{Received: receive(t, []byte(smallPDF))})
			return err
		})
		if err == nil || w.objects() != 0 {
			t.Errorf("got %v, %d objects", err, w.objects())
		}
	})
}

func TestDownload(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	account := w.account()
	picture, document := w.upload(account, asPNG(t, photo(1, 30, 40))).String(), w.upload(account, []byte(smallPDF)).String()
	member := w.as(w.member(account))

	t.Run("is refused to everybody else, as if it were not there", func(t *testing.T) {
		t.Parallel()
		unknown := member.Get(path+uuid.NewString()+"/").Refused(404, "not_found").Text("error")
		neighbour := newWorld(t).staff(auth.RoleOwner)
		for name, other := range map[string]*testkit.Client{
			"another account": w.as(w.member(w.account())), "another tenant": w.as(neighbour),
		} {
			if got := other.Get(path+picture+"/").Refused(404, "not_found").Text("error"); got != unknown {
				t.Errorf("%s: got %q, unknown is %q", name, got, unknown)
			}
		}
		testkit.NewClient(t, w.http).Get(path+picture+"/").Refused(401, "authentication_required")
		w.as(auth.Principal{Kind: auth.KindUser, TenantID: w.tenant.ID}).Get(path+picture+"/").Refused(403, "permission_denied")
		member.Get(path+"1/").Refused(404, "not_found")
	})

	t.Run("shows pictures inline when asked, and nothing else", func(t *testing.T) {
		t.Parallel()
		for url, want := range map[string]string{
			picture + "/": "attachment", picture + "/?inline=0": "attachment", picture + "/?inline=1": "inline", document + "/?inline=1": "attachment",
		} {
			file := member.Get(path + url).Expect(200)
			kind, _, err := mime.ParseMediaType(file.Header.Get("Content-Disposition"))
			if err != nil || kind != want {
				t.Errorf("%s: got %q, %v", url, kind, err)
			}
			if got := file.Header.Get("Content-Security-Policy"); got != "sandbox; default-src 'none'" {
				t.Errorf("%s: %s", url, got)
			}
		}
		member.Get(path+picture+"/?inline=yes").Refused(400, "not_a_choice")
		member.Get(path+picture+"/?download=1").Refused(400, "unknown_parameter")
	})
}

// What a sender calls his file decides nothing, and comes back harmless.
func TestFilenames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	member := w.as(w.member(w.account()))
	tests := []struct{ name, given, kept, served string }{
		{"a plain name", "receipt.pdf", "receipt.pdf", "receipt.pdf"},
		{"nothing but dots", "..", "", "evidence.pdf"},
		{"no name", "", "", "evidence.pdf"},
		{"a page", "receipt.html", "receipt.html", "receipt.html.pdf"},
		{"a hidden file", ".htaccess", "htaccess", "htaccess.pdf"},
		{"a name that is written backwards", "receipt\u202efdp.exe", "receiptfdp.exe", "receiptfdp.exe.pdf"},
		{"quotes", `a";b="c.pdf`, `a";b="c.pdf`, `a";b="c.pdf`},
		{"Bengali", "রশিদ.pdf", "রশিদ.pdf", "রশিদ.pdf"},
		{"a long name", strings.Repeat("é", 300) + ".pdf", strings.Repeat("é", 98) + ".pdf", strings.Repeat("é", 98) + ".pdf"},
	}
	for _, name := range []string{"../../etc/passwd", `C:\Users\me\receipt.PDF`, "../..", "/receipt.pdf", "a/b.pdf"} {
		member.Do(formOf(t, "file", name, smallPDF)).Refused(400, "evidence_filename")
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			created := member.Do(formOf(t, "file", tt.given, smallPDF)).Expect(201)
			if got := created.Text("data.filename"); got != tt.kept {
				t.Errorf("kept %q, want %q", got, tt.kept)
			}
			header := member.Get(path + created.Text("data.id") + "/").Expect(200).Header.Get("Content-Disposition")
			_, params, err := mime.ParseMediaType(header)
			if err != nil || params["filename"] != tt.served || strings.ContainsFunc(header, func(c rune) bool { return c < ' ' || c > '~' }) {
				// ParseMediaType keeps the plain name where there are both.
				if star := starName(header); star != tt.served {
					t.Errorf("served as %q: %v", header, err)
				}
			}
		})
	}
}

func starName(header string) string {
	_, encoded, _ := strings.Cut(header, "; filename*=")
	_, params, err := mime.ParseMediaType("attachment; filename*=" + encoded)
	if err != nil {
		return ""
	}
	return params["filename"]
}

// formOf is an upload whose file has a name exactly as given.
func formOf(t *testing.T, field, filename, content string) *http.Request {
	t.Helper()
	name := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(filename)
	return formRequest(t, "Content-Disposition: form-data; name=\""+field+"\"; filename=\""+name+"\"\r\n\r\n"+content)
}

// formRequest is a form with parts as they stand.
func formRequest(t *testing.T, parts ...string) *http.Request {
	t.Helper()
	body := ""
	for _, part := range parts {
		body += "--b\r\n" + part + "\r\n"
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body+"--b--\r\n"))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	return r
}
