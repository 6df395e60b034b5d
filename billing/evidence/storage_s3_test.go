package evidence_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"countersign/billing/evidence"
)

const bucket = "evidence"

func TestS3(t *testing.T) {
	t.Parallel()
	testStorage(t, func(t *testing.T) evidence.Storage { return openS3(t, fakeS3(t), bucket) })
}

func fakeS3(t *testing.T) http.Handler {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	return gofakes3.New(backend).Server()
}

func openS3(t *testing.T, store http.Handler, bucket string) *evidence.S3 {
	t.Helper()
	server := httptest.NewServer(store)
	t.Cleanup(server.Close)
	return s3At(t, server.Listener.Addr().String(), bucket)
}

func s3At(t *testing.T, endpoint, bucket string) *evidence.S3 {
	t.Helper()
	s, err := evidence.NewS3(evidence.S3Config{
		Endpoint: endpoint, Bucket: bucket, AccessKey: "access", SecretKey: "secret", Region: "us-east-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestS3Put(t *testing.T) {
	t.Parallel()

	t.Run("declares the content type", func(t *testing.T) {
		t.Parallel()
		fake := fakeS3(t)
		var declared atomic.Value
		s := openS3(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				declared.Store(r.Header.Get("Content-Type"))
			}
			fake.ServeHTTP(w, r)
		}), bucket)
		if err := s.Put(t.Context(), key, streamed("receipt"), 7, evidence.TypeWebP); err != nil {
			t.Fatal(err)
		}
		if got := declared.Load(); got != evidence.TypeWebP {
			t.Errorf("got %v", got)
		}
	})

	t.Run("sends a file again when the store stumbles", func(t *testing.T) {
		t.Parallel()
		fake := fakeS3(t)
		var puts atomic.Int32
		s := openS3(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && puts.Add(1) == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			fake.ServeHTTP(w, r)
		}), bucket)
		if err := s.Put(t.Context(), key, strings.NewReader("receipt"), 7, evidence.TypePDF); err != nil {
			t.Fatal(err)
		}
		if got := string(read(t, s)); got != "receipt" {
			t.Errorf("got %q", got)
		}
	})
}

func TestS3Trouble(t *testing.T) {
	t.Parallel()

	t.Run("of a store that is not there is an outage", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(nil)
		s := s3At(t, server.Listener.Addr().String(), bucket)
		server.Close()
		wantTrouble(t, s, true)
	})

	t.Run("inside the store is an outage", func(t *testing.T) {
		t.Parallel()
		wantTrouble(t, openS3(t, answer(http.StatusServiceUnavailable), bucket), true)
	})

	t.Run("with our credentials is not an outage", func(t *testing.T) {
		t.Parallel()
		wantTrouble(t, openS3(t, answer(http.StatusForbidden), bucket), false)
	})

	t.Run("with the bucket is not a missing object", func(t *testing.T) {
		t.Parallel()
		s := openS3(t, fakeS3(t), "another")
		_, err := s.Open(t.Context(), key)
		if err == nil || errors.Is(err, evidence.ErrObjectMissing) || errors.Is(err, evidence.ErrStorageUnavailable) {
			t.Errorf("Open: got %v", err)
		}
		err = s.Put(t.Context(), key, streamed("receipt"), 7, evidence.TypePDF)
		if err == nil || errors.Is(err, evidence.ErrObjectMissing) || errors.Is(err, evidence.ErrStorageUnavailable) {
			t.Errorf("Put: got %v", err)
		}
	})
}

func answer(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

func wantTrouble(t *testing.T, s evidence.Storage, outage bool) {
	t.Helper()
	_, openErr := s.Open(t.Context(), key)
	_, statErr := s.Stat(t.Context(), key)
	putErr := s.Put(t.Context(), key, strings.NewReader("receipt"), 7, evidence.TypePDF)
	deleteErr := s.Delete(t.Context(), key)
	for doing, err := range map[string]error{"Open": openErr, "Stat": statErr, "Put": putErr, "Delete": deleteErr} {
		if err == nil || errors.Is(err, evidence.ErrObjectMissing) || errors.Is(err, evidence.ErrStorageUnavailable) != outage {
			t.Errorf("%s: got %v", doing, err)
		}
	}
}

func TestNewS3(t *testing.T) {
	t.Parallel()
	complete := evidence.S3Config{Endpoint: "s3.test:9000", Bucket: bucket, AccessKey: "a", SecretKey: "s"}
	tests := []struct {
		name  string
		spoil func(*evidence.S3Config)
	}{
		{"refuses no endpoint", func(c *evidence.S3Config) { c.Endpoint = "" }},
		{"refuses an endpoint with a scheme", func(c *evidence.S3Config) { c.Endpoint = "http://s3.test" }},
		{"refuses no bucket", func(c *evidence.S3Config) { c.Bucket = "" }},
		{"refuses no access key", func(c *evidence.S3Config) { c.AccessKey = "" }},
		{"refuses no secret key", func(c *evidence.S3Config) { c.SecretKey = "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := complete
			tt.spoil(&c)
			if _, err := evidence.NewS3(c); err == nil {
				t.Error("accepted")
			}
		})
	}
	t.Run("accepts a region of none", func(t *testing.T) {
		t.Parallel()
		if _, err := evidence.NewS3(complete); err != nil {
			t.Error(err)
		}
	})
}
