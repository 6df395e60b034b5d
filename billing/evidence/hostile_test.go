package evidence_test

import (
	"bytes"
	"compress/gzip"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"strings"
	"testing"

	"countersign/billing/evidence"
)

// hostileFiles are uploads that somebody made to do harm, or that nobody could look at, with what becomes of them.
func hostileFiles(t *testing.T) []hostileFile {
	picture, photograph := asPNG(t, photo(1, 40, 30)), asJPEG(t, photo(1, 40, 30), 80)
	webp := plainWebP(40, 30, color.NRGBA{1, 2, 3, 255})
	const page, svg = "<!doctype html><script>alert(1)</script>", `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`
	const unsupported, unreadable, large = "unsupported_evidence_type", "evidence_unreadable", "evidence_picture_too_large"
	return []hostileFile{
		{"a PNG of 3600 megapixels", "a.png", []byte(pngHeader(60_000, 60_000) + pngChunk("IDAT", deflated(1<<20)) + pngChunk("IEND", "")), 413, large},
		{"a PNG of two billion columns", "a.png", []byte(pngHeader(1<<31-1, 1<<31-1)), 400, unreadable},
		{"a PNG just above the limit", "a.png", []byte(pngHeader(10_001, 6_000) + pngChunk("IDAT", "")), 413, large},
		{"a JPEG of 4290 megapixels", "a.jpg", withSize(photograph, 65_500, 65_500), 413, large},
		{"a progressive JPEG that unfolds into a gigabyte", "a.jpg", progressiveJPEG(t, 10_000, 6_000), 413, large},
		{"a WebP of 256 megapixels", "a.webp", plainWebP(16_000, 16_000, color.NRGBA{}), 413, large},
		{"a PNG with more pixels than it says", "a.png", []byte(pngHeader(9, 9) + pngChunk("IDAT", deflated(8<<20)) + pngChunk("IEND", "")), 400, unreadable},
		{"a JPEG with five hundred scans", "a.jpg", withScans(photograph, 500), 400, unreadable},
		{"an archive of nothing", "a.png", gzipped(4 << 20), 415, unsupported},

		{"a GIF of a thousand pictures", "a.gif", animatedGIF(t, 1000), 415, unsupported},
		{"an animated PNG", "a.png", withChunk(picture, "acTL", "\x00\x00\x00\x02\x00\x00\x00\x00"), 415, unsupported},
		{"an animated PNG behind a long text", "a.png", withChunk(withComment(picture, strings.Repeat("text ", 2000)), "acTL", "\x00\x00\x00\x02\x00\x00\x00\x00"), 415, unsupported},
		{"an animated WebP", "a.webp", withAnimation(webp, 40, 30), 415, unsupported},

		{"half a PNG", "a.png", picture[:len(picture)/2], 400, unreadable},
		{"half a JPEG", "a.jpg", photograph[:len(photograph)/2], 400, unreadable},
		{"half a WebP", "a.webp", webp[:len(webp)-4], 400, unreadable},
		{"nothing but the header of a PNG", "a.png", []byte(pngHeader(9, 9)), 400, unreadable},
		{"nothing but the signature of a PNG", "a.png", []byte(pngSignature), 415, unsupported},
		{"a PNG that goes on as a page", "a.png", []byte(pngHeader(9, 9) + page), 400, unreadable},
		{"zeros", "a.png", make([]byte, 5000), 415, unsupported},

		{"SVG posing as a PNG", "a.png", []byte(svg), 415, unsupported},
		{"SVG in XML posing as a PNG", "a.png", []byte(`<?xml version="1.0"?>` + svg), 415, unsupported},
		{"a page posing as a PNG", "a.png", []byte(page), 415, unsupported},
		{"a page that begins like a GIF", "a.png", []byte("GIF89a=1;" + page), 415, unsupported},
		{"a page posing as a PDF", "a.pdf", []byte("<!-- %PDF-1.7 -->" + page), 415, unsupported},
		{"a page behind the word PDF", "a.pdf", []byte("%PDF-" + page), 415, unsupported},
		{"a PDF in the middle of something", "a.pdf", []byte("MZ\x90\x00" + smallPDF), 415, unsupported},
		{"a telephone's HEIC", "a.heic", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"), 415, unsupported},
	}
}

type hostileFile struct {
	name, filename string
	content        []byte
	status         int
	code           string
}

func TestHostileFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	member := w.as(w.member(w.account()))
	for _, tt := range hostileFiles(t) {
		t.Run(tt.name, func(t *testing.T) {
			refused := member.PostFile(path, "file", tt.filename, tt.content, nil)
			refused.Refused(tt.status, tt.code)
			if refused.At("errors.file") == nil {
				t.Errorf("does not blame the file: %s", refused.Raw)
			}
			member.Do(formOf(t, "file", tt.filename, string(tt.content))).Refused(tt.status, tt.code)
			if w.rows() != 0 || w.objects() != 0 {
				t.Errorf("%d rows and %d objects remain", w.rows(), w.objects())
			}
		})
	}
}

// A submission carries several receipts: one that is refused takes the others with it.
func TestHostileFileAmongGoodOnes(t *testing.T) {
	t.Parallel()
	for _, tt := range hostileFiles(t) {
		form, err := evidence.ReceiveForm(formRequest(t, file("evidence", "good.pdf", smallPDF), file("evidence", tt.filename, string(tt.content))), "evidence", 10)
		if err == nil {
			form.Close()
			t.Errorf("%s is taken", tt.name)
		}
	}
}

// What is odd and still a receipt is taken, and served as nothing but what it was recognised as.
func TestOddFilesAreServedHarmlessly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	member := w.as(w.member(w.account()))
	picture, photograph := asPNG(t, photo(1, 40, 30)), asJPEG(t, photo(1, 40, 30), 80)
	const page = "<!doctype html><script>alert(1)</script>"
	for _, tt := range []struct {
		name, filename, contentType string
		content                     []byte
	}{
		{"a PNG with a page behind it", "a.html", evidence.TypePNG, append(bytes.Clone(picture), page...)},
		{"a JPEG with an archive behind it", "a.jar", evidence.TypeJPEG, append(bytes.Clone(photograph), "PK\x03\x04"...)},
		{"a WebP with a page behind it", "a.svg", evidence.TypeWebP, append(plainWebP(4, 4, color.NRGBA{1, 2, 3, 4}), page...)},
		{"a PNG with a page as its comment", "a.htm", evidence.TypePNG, withComment(picture, page)},
		{"a PNG with a text of nine megabytes", "a.png", evidence.TypePNG, withChunk(picture, "iTXt", "Comment\x00\x00\x00\x00\x00"+strings.Repeat("a", 9<<20))},
		{"a PNG with a bomb as its text", "a.png", evidence.TypePNG, withChunk(picture, "zTXt", "Comment\x00\x00"+deflated(8<<20))},
		{"a PNG with a bomb as its colour profile", "a.png", evidence.TypePNG, withChunk(picture, "iCCP", "Profile\x00\x00"+deflated(8<<20))},
		{"a PDF with a bomb in it", "a.pdf", evidence.TypePDF, []byte("%PDF-1.7\n1 0 obj<</Filter/FlateDecode>>stream\n" + deflated(8<<20) + "\nendstream endobj\n%%EOF\n")},
		{"a PDF with a script behind it", "a.js", evidence.TypePDF, []byte(smallPDF + page)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			created := member.PostFile(path, "file", tt.filename, tt.content, nil).Expect(201)
			got := member.Get(path + created.Text("data.id") + "/").Expect(200)
			if !bytes.Equal(got.Raw, tt.content) {
				t.Errorf("read back %d bytes of %d", len(got.Raw), len(tt.content))
			}
			for name, want := range map[string]string{"Content-Type": tt.contentType, "X-Content-Type-Options": "nosniff",
				"Content-Security-Policy": "sandbox; default-src 'none'"} {
				if got.Header.Get(name) != want {
					t.Errorf("%s is %q, want %q", name, got.Header.Get(name), want)
				}
			}
			if d := got.Header.Get("Content-Disposition"); !strings.HasPrefix(d, "attachment;") || strings.HasSuffix(d, strings.TrimPrefix(tt.filename, "a")) != (tt.filename == "a.png" || tt.filename == "a.pdf") {
				t.Errorf("served as %s", d)
			}
		})
	}
}

func animatedGIF(t *testing.T, pictures int) []byte {
	t.Helper()
	all := &gif.GIF{}
	for range pictures {
		all.Image = append(all.Image, image.NewPaletted(image.Rect(0, 0, 8, 8), palette.Plan9))
		all.Delay = append(all.Delay, 1)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, all); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(zeros int) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(make([]byte, zeros))
	w.Close()
	return b.Bytes()
}
