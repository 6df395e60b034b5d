package evidence_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"countersign/billing/evidence"
	"countersign/internal/testkit"
)

func TestReceive(t *testing.T) {
	t.Parallel()

	t.Run("measures and keeps a picture", func(t *testing.T) {
		t.Parallel()
		upload := asPNG(t, photo(1, 200, 300))
		got := receive(t, upload)
		if got.SHA256 != sha256.Sum256(upload) || got.Size != int64(len(upload)) || got.ContentType != evidence.TypePNG {
			t.Errorf("got %x, %d bytes, %s", got.SHA256, got.Size, got.ContentType)
		}
		if len(got.PixelHash) != sha256.Size || got.PerceptualHash == nil {
			t.Errorf("no fingerprint: %x, %v", got.PixelHash, got.PerceptualHash)
		}
		if content, err := io.ReadAll(got.File); err != nil || !bytes.Equal(content, upload) {
			t.Errorf("read back %d bytes, %v", len(content), err)
		}
	})

	t.Run("keeps a PDF without a fingerprint", func(t *testing.T) {
		t.Parallel()
		got := receive(t, []byte(smallPDF))
		if got.ContentType != evidence.TypePDF || got.PixelHash != nil || got.PerceptualHash != nil {
			t.Errorf("got %s, %x, %v", got.ContentType, got.PixelHash, got.PerceptualHash)
		}
		if content, err := io.ReadAll(got.File); err != nil || string(content) != smallPDF {
			t.Errorf("read back %q, %v", content, err)
		}
	})

	t.Run("gives the storage what it wants", func(t *testing.T) {
		t.Parallel()
		got := receive(t, []byte(smallPDF))
		s := openLocal(t, t.TempDir())
		if err := s.Put(t.Context(), key, got.File, got.Size, got.ContentType); err != nil {
			t.Fatal(err)
		}
		if content := string(read(t, s)); content != smallPDF {
			t.Errorf("got %q", content)
		}
	})

	t.Run("takes exactly the limit", func(t *testing.T) {
		t.Parallel()
		got, err := evidence.Receive(t.Context(), pdfOf(evidence.MaxSize), evidence.MaxSize)
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		if got.Size != evidence.MaxSize {
			t.Errorf("got %d bytes", got.Size)
		}
	})
}

func TestReceiveRefuses(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	picture := asPNG(t, photo(1, 200, 300))
	long := io.LimitReader(pdfOf(1<<20), 1<<19)
	tests := []struct {
		name  string
		r     io.Reader
		limit int64
		want  error
	}{
		{"nothing", strings.NewReader(""), evidence.MaxSize, evidence.ErrEmpty},
		{"HTML, whatever it is called", strings.NewReader("<html><script>alert(1)</script>"), evidence.MaxSize, evidence.ErrUnsupportedType},
		{"a signature without a picture", strings.NewReader(pngSignature + "<script>alert(1)</script>"), evidence.MaxSize, evidence.ErrUnsupportedType},
		{"a JPEG without a frame", strings.NewReader("\xff\xd8\xff\xe0\x00\x04ab\xff\xd9"), evidence.MaxSize, evidence.ErrUnsupportedType},
		{"a WebP without a picture", strings.NewReader("RIFF\x04\x00\x00\x00WEBPVP8 "), evidence.MaxSize, evidence.ErrUnsupportedType},
		{"half a picture", bytes.NewReader(picture[:len(picture)/2]), evidence.MaxSize, evidence.ErrUnreadable},
		{"a header and a script", strings.NewReader(pngHeader(9, 9) + "<script>alert(1)</script>"), evidence.MaxSize, evidence.ErrUnreadable},
		{"a header that is a lie", strings.NewReader(pngHeader(60_000, 60_000) + pngChunk("IDAT", "")), evidence.MaxSize, evidence.ErrPictureTooLarge},
		{"one byte too many", strings.NewReader(smallPDF), int64(len(smallPDF)) - 1, evidence.ErrTooLarge},
		{"one byte above the maximum", pdfOf(evidence.MaxSize + 1), evidence.MaxSize, evidence.ErrTooLarge},
		{"more than the maximum, whatever the limit", pdfOf(evidence.MaxSize + 1), 1 << 62, evidence.ErrTooLarge},
		{"anything below a limit of less than nothing", strings.NewReader(smallPDF), -1, evidence.ErrTooLarge},
		{"a body beyond the server's limit", limitedBody(pdfOf(1<<20), 1<<19), evidence.MaxSize, evidence.ErrTooLarge},
		{"a body beyond a tiny server limit", limitedBody(strings.NewReader(smallPDF), 10), evidence.MaxSize, evidence.ErrTooLarge},
		{"an upload that breaks off at once", cutOff(strings.NewReader(smallPDF)), evidence.MaxSize, evidence.ErrIncomplete},
		{"an upload that breaks off later", cutOff(long), evidence.MaxSize, evidence.ErrIncomplete},
		{"what cannot be read", io.MultiReader(strings.NewReader(smallPDF), iotest.ErrReader(broken)), evidence.MaxSize, broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := evidence.Receive(t.Context(), tt.r, tt.limit)
			if err == nil {
				got.Close()
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}

	t.Run("an unknown type without reading on", func(t *testing.T) {
		t.Parallel()
		upload := strings.NewReader(strings.Repeat("<html>", 100_000))
		before := upload.Len()
		if _, err := evidence.Receive(t.Context(), upload, evidence.MaxSize); !errors.Is(err, evidence.ErrUnsupportedType) {
			t.Errorf("got %v", err)
		}
		if read := before - upload.Len(); read > evidence.SniffLength {
			t.Errorf("read %d bytes", read)
		}
	})

	t.Run("what is too large in words", func(t *testing.T) {
		t.Parallel()
		for limit, want := range map[int64]string{evidence.MaxSize: "larger than 10 MiB.", 20: "larger than 20 bytes."} {
			if _, err := evidence.Receive(t.Context(), pdfOf(limit+1), limit); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
	})
}

// Not parallel: the temporary directory and the open files belong to the whole process.
func TestReceiveLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)

	got, err := evidence.Receive(t.Context(), bytes.NewReader(asPNG(t, photo(1, 20, 30))), evidence.MaxSize)
	if err != nil {
		t.Fatal(err)
	}
	if names := tree(t, dir); len(names) != 1 {
		t.Errorf("while in use: %v", names)
	}
	if open := openTemporaryFiles(t, dir); open != 1 {
		t.Errorf("while in use: %d files", open)
	}
	if err := got.Close(); err != nil {
		t.Error(err)
	}

	for _, refused := range []io.Reader{
		pdfOf(evidence.MaxSize + 1), cutOff(pdfOf(50_000)), strings.NewReader(pngHeader(9, 9)), strings.NewReader(pngHeader(60_000, 60_000)), strings.NewReader(pngSignature), strings.NewReader("<html>"),
	} {
		if _, err := evidence.Receive(t.Context(), refused, evidence.MaxSize); err == nil {
			t.Error("accepted")
		}
	}
	if names := tree(t, dir); len(names) != 1 {
		t.Errorf("afterwards: %v", names)
	}
	if open := openTemporaryFiles(t, dir); open != 0 {
		t.Errorf("afterwards: %d files", open)
	}
}

func openTemporaryFiles(t *testing.T, dir string) int {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(links) == 0 {
		testkit.Lacks(t, "/proc, to see which files are open")
	}
	count := 0
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, dir+"/") {
			count++
		}
	}
	return count
}

// Not parallel: it counts what the whole process allocates.
func TestReceiveDoesNotHoldTheFileInMemory(t *testing.T) {
	upload := pdfOf(evidence.MaxSize)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := evidence.Receive(t.Context(), upload, evidence.MaxSize)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	got.Close()
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
		t.Errorf("allocated %d bytes", allocated)
	}
}

func receive(t *testing.T, upload []byte) *evidence.Received {
	t.Helper()
	got, err := evidence.Receive(t.Context(), bytes.NewReader(upload), evidence.MaxSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { got.Close() })
	return got
}

// pdfOf is a stream of size bytes that begins like a PDF.
func pdfOf(size int64) io.Reader {
	return io.LimitReader(io.MultiReader(strings.NewReader(smallPDF), spaces{}), size)
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func cutOff(r io.Reader) io.Reader {
	return io.MultiReader(r, iotest.ErrReader(io.ErrUnexpectedEOF))
}

func limitedBody(r io.Reader, limit int64) io.Reader {
	return http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(r), limit)
}
