package testkit

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Client calls the HTTP interface the way a customer's program does.
type Client struct {
	t       testing.TB
	handler http.Handler
	heard   *register
	Token   string
	Headers map[string]string
}

// NewClient gives an anonymous client.
func NewClient(t testing.TB, handler http.Handler) *Client {
	return &Client{t: t, handler: handler, heard: heard}
}

// As gives the same client with a bearer token.
func (c *Client) As(token string) *Client {
	return &Client{t: c.t, handler: c.handler, heard: c.heard, Token: token, Headers: c.Headers}
}

// With gives the same client with one header more.
func (c *Client) With(name, value string) *Client {
	headers := map[string]string{name: value}
	for k, v := range c.Headers {
		if k != name {
			headers[k] = v
		}
	}
	return &Client{t: c.t, handler: c.handler, heard: c.heard, Token: c.Token, Headers: headers}
}

// Answer is a response with its body read.
type Answer struct {
	t      testing.TB
	Status int
	Header http.Header
	Raw    []byte
	Body   map[string]any // nil when the body is not a JSON object
}

// Get calls GET.
func (c *Client) Get(path string) Answer { c.t.Helper(); return c.do(http.MethodGet, path, "", nil) }

// Delete calls DELETE.
func (c *Client) Delete(path string) Answer {
	c.t.Helper()
	return c.do(http.MethodDelete, path, "", nil)
}

// Post calls POST with body as JSON; a string is sent as it is.
func (c *Client) Post(path string, body any) Answer {
	c.t.Helper()
	return c.do(http.MethodPost, path, "application/json", encode(c.t, body))
}

// Patch calls PATCH with body as JSON.
func (c *Client) Patch(path string, body any) Answer {
	c.t.Helper()
	return c.do(http.MethodPatch, path, "application/json", encode(c.t, body))
}

// Put calls PUT with body as JSON.
func (c *Client) Put(path string, body any) Answer {
	c.t.Helper()
	return c.do(http.MethodPut, path, "application/json", encode(c.t, body))
}

// PostFile calls POST with a multipart form of one file and some fields.
func (c *Client) PostFile(path, field, filename string, content []byte, fields map[string]string) Answer {
	c.t.Helper()
	var buf bytes.Buffer
	form := multipart.NewWriter(&buf)
	for name, value := range fields {
		if err := form.WriteField(name, value); err != nil {
			c.t.Fatal(err)
		}
	}
	if field != "" {
		part, err := form.CreateFormFile(field, filename)
		if err != nil {
			c.t.Fatal(err)
		}
		if _, err := part.Write(content); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		c.t.Fatal(err)
	}
	return c.do(http.MethodPost, path, form.FormDataContentType(), &buf)
}

// Do sends a request made elsewhere, for what the other methods cannot express.
func (c *Client) Do(r *http.Request) Answer {
	c.t.Helper()
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	for name, value := range c.Headers {
		r.Header.Set(name, value)
	}
	rec, body := httptest.NewRecorder(), &recorded{ReadCloser: http.NoBody}
	if r.Body != nil && r.Body != http.NoBody {
		body.ReadCloser, r.Body = r.Body, body
	}
	c.handler.ServeHTTP(rec, r)
	c.heard.harvest(r, body.read.Bytes(), rec.Code, rec.Body.Bytes())
	a := Answer{t: c.t, Status: rec.Code, Header: rec.Header(), Raw: rec.Body.Bytes()}
	if strings.HasPrefix(rec.Header().Get("Content-Type"), "application/json") {
		dec := json.NewDecoder(bytes.NewReader(a.Raw))
		dec.UseNumber()
		if err := dec.Decode(&a.Body); err != nil {
			c.t.Fatalf("%s %s: body is not a JSON object: %v: %s", r.Method, r.URL, err, a.Raw)
		}
	}
	return a
}

func (c *Client) do(method, path, contentType string, body io.Reader) Answer {
	c.t.Helper()
	r := httptest.NewRequestWithContext(c.t.Context(), method, path, body)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return c.Do(r)
}

func encode(t testing.TB, body any) io.Reader {
	t.Helper()
	if text, ok := body.(string); ok {
		return strings.NewReader(text)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(raw)
}

// Expect fails the test unless the answer has the status.
func (a Answer) Expect(status int) Answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("status is %d, want %d: %s", a.Status, status, a.Raw)
	}
	return a
}

// Refused fails the test unless the answer is an error with the status and code.
func (a Answer) Refused(status int, code string) Answer {
	a.t.Helper()
	a.Expect(status)
	if got := a.At("code"); got != code {
		a.t.Fatalf("code is %v, want %s: %s", got, code, a.Raw)
	}
	return a
}

// At walks into the body by a path such as data.amount or results.0.id. Numbers are json.Number. A path that does not
// exist fails the test; null is nil.
func (a Answer) At(path string) any {
	a.t.Helper()
	var v any = a.Body
	for step := range strings.SplitSeq(path, ".") {
		switch node := v.(type) {
		case map[string]any:
			next, ok := node[step]
			if !ok {
				a.t.Fatalf("no %s in %s", path, a.Raw)
			}
			v = next
		case []any:
			i := -1
			if err := json.Unmarshal([]byte(step), &i); err != nil || i < 0 || i >= len(node) {
				a.t.Fatalf("no %s in %s", path, a.Raw)
			}
			v = node[i]
		default:
			a.t.Fatalf("no %s in %s", path, a.Raw)
		}
	}
	return v
}

// Text is At for strings.
func (a Answer) Text(path string) string {
	a.t.Helper()
	s, ok := a.At(path).(string)
	if !ok {
		a.t.Fatalf("%s is no text in %s", path, a.Raw)
	}
	return s
}

// Int is At for whole numbers.
func (a Answer) Int(path string) int64 {
	a.t.Helper()
	n, ok := a.At(path).(json.Number)
	if !ok {
		a.t.Fatalf("%s is no number in %s", path, a.Raw)
	}
	i, err := n.Int64()
	if err != nil {
		a.t.Fatal(err)
	}
	return i
}

// List is At for lists.
func (a Answer) List(path string) []any {
	a.t.Helper()
	l, ok := a.At(path).([]any)
	if !ok {
		a.t.Fatalf("%s is no list in %s", path, a.Raw)
	}
	return l
}
