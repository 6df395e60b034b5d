package evidence_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/image/draw"

	"countersign/billing/evidence"
	"countersign/internal/errs"
	"countersign/internal/web"
)

func fingerprint(t *testing.T, contentType string, file []byte) evidence.Fingerprint {
	t.Helper()
	got, ok, err := evidence.TakeFingerprint(t.Context(), bytes.NewReader(file), contentType)
	if err != nil || !ok {
		t.Fatalf("no fingerprint: %v", err)
	}
	return got
}

func converted(img image.Image, to draw.Image) image.Image {
	draw.Draw(to, to.Bounds(), img, img.Bounds().Min, draw.Src)
	return to
}

func TestPixelHash(t *testing.T) {
	t.Parallel()
	picture := photo(1, 150, 133)
	original := asPNG(t, picture)
	want := fingerprint(t, evidence.TypePNG, original).PixelHash

	t.Run("stays when a picture is packed differently", func(t *testing.T) {
		t.Parallel()
		var packed bytes.Buffer
		encoder := png.Encoder{CompressionLevel: png.NoCompression}
		if err := encoder.Encode(&packed, picture); err != nil {
			t.Fatal(err)
		}
		if got := fingerprint(t, evidence.TypePNG, packed.Bytes()).PixelHash; got != want || bytes.Equal(packed.Bytes(), original) {
			t.Errorf("got %x, want %x", got, want)
		}
	})

	t.Run("stays when metadata is added", func(t *testing.T) {
		t.Parallel()
		if got := fingerprint(t, evidence.TypePNG, withComment(original, "not the same receipt, honestly")).PixelHash; got != want {
			t.Errorf("got %x, want %x", got, want)
		}
	})

	t.Run("stays when the depth grows", func(t *testing.T) {
		t.Parallel()
		deep := asPNG(t, converted(picture, image.NewNRGBA64(picture.Bounds())))
		if got := fingerprint(t, evidence.TypePNG, deep).PixelHash; got != want {
			t.Errorf("got %x, want %x", got, want)
		}
	})

	t.Run("stays when grey is written as colour", func(t *testing.T) {
		t.Parallel()
		grey := wave(70, 90)
		asGrey := fingerprint(t, evidence.TypePNG, asPNG(t, grey)).PixelHash
		asColour := fingerprint(t, evidence.TypePNG, asPNG(t, converted(grey, image.NewNRGBA(grey.Bounds())))).PixelHash
		if asGrey != asColour {
			t.Errorf("got %x and %x", asGrey, asColour)
		}
	})

	t.Run("stays when a palette is used, also with transparency", func(t *testing.T) {
		t.Parallel()
		colours := color.Palette{color.NRGBA{250, 10, 33, 255}, color.NRGBA{10, 200, 90, 77}, color.NRGBA{0, 0, 0, 0}}
		paletted := image.NewPaletted(image.Rect(0, 0, 30, 70), colours)
		direct := image.NewNRGBA(paletted.Bounds())
		for i := range paletted.Pix {
			paletted.Pix[i] = uint8(i % 3)
			direct.Set(i%30, i/30, colours[i%3])
		}
		a := fingerprint(t, evidence.TypePNG, asPNG(t, paletted)).PixelHash
		b := fingerprint(t, evidence.TypePNG, asPNG(t, direct)).PixelHash
		if a != b {
			t.Errorf("got %x and %x", a, b)
		}
	})

	t.Run("stays from WebP to PNG", func(t *testing.T) {
		t.Parallel()
		colour := color.NRGBA{12, 200, 99, 255}
		plain := image.NewNRGBA(image.Rect(0, 0, 33, 65))
		fill(plain, colour)
		a := fingerprint(t, evidence.TypeWebP, plainWebP(33, 65, colour)).PixelHash
		b := fingerprint(t, evidence.TypePNG, asPNG(t, plain)).PixelHash
		if a != b {
			t.Errorf("got %x and %x", a, b)
		}
	})

	t.Run("changes with one pixel anywhere", func(t *testing.T) {
		t.Parallel()
		for _, at := range []image.Point{{0, 0}, {149, 63}, {0, 64}, {149, 132}} {
			other := photo(1, 150, 133)
			c := other.NRGBAAt(at.X, at.Y)
			c.G ^= 1
			other.SetNRGBA(at.X, at.Y, c)
			if got := fingerprint(t, evidence.TypePNG, asPNG(t, other)).PixelHash; got == want {
				t.Errorf("same hash with another pixel at %v", at)
			}
		}
	})

	t.Run("changes with the shape of the same pixels", func(t *testing.T) {
		t.Parallel()
		a := fingerprint(t, evidence.TypePNG, asPNG(t, image.NewGray(image.Rect(0, 0, 20, 30)))).PixelHash
		b := fingerprint(t, evidence.TypePNG, asPNG(t, image.NewGray(image.Rect(0, 0, 30, 20)))).PixelHash
		if a == b {
			t.Error("same hash")
		}
	})
}

func TestPerceptualHash(t *testing.T) {
	t.Parallel()

	t.Run("survives recompression and half the size", func(t *testing.T) {
		t.Parallel()
		for seed := range uint64(5) {
			picture := photo(seed, 320, 450)
			sent := fingerprint(t, evidence.TypePNG, asPNG(t, picture))
			again := fingerprint(t, evidence.TypeJPEG, asJPEG(t, scaled(picture, 160, 225), 40))
			if d := evidence.Distance(sent.PerceptualHash, again.PerceptualHash); d > 4 {
				t.Errorf("picture %d: %d bits differ", seed, d)
			}
			if sent.PixelHash == again.PixelHash {
				t.Errorf("picture %d: the same pixels after recompression", seed)
			}
		}
	})

	t.Run("survives it on scanned paper that is mostly empty", func(t *testing.T) {
		t.Parallel()
		for seed := range uint64(5) {
			paper := scannedPaper(seed, 320, 450)
			stamp := image.Rect(30, 350, 130, 410)
			draw.Draw(paper, stamp, photo(seed, 100, 60), image.Point{}, draw.Src)
			sent := fingerprint(t, evidence.TypePNG, asPNG(t, paper))
			again := fingerprint(t, evidence.TypeJPEG, asJPEG(t, scaled(paper, 160, 225), 40))
			if d := evidence.Distance(sent.PerceptualHash, again.PerceptualHash); d > 4 {
				t.Errorf("paper %d: %d bits differ", seed, d)
			}
		}
	})

	t.Run("tells pictures apart", func(t *testing.T) {
		t.Parallel()
		for seed := range uint64(5) {
			a := fingerprint(t, evidence.TypePNG, asPNG(t, photo(seed, 320, 450)))
			b := fingerprint(t, evidence.TypePNG, asPNG(t, photo(seed+100, 320, 450)))
			if d := evidence.Distance(a.PerceptualHash, b.PerceptualHash); d < 12 {
				t.Errorf("pictures %d and %d: only %d bits differ", seed, seed+100, d)
			}
		}
	})

	t.Run("sees dark writing on a transparent ground", func(t *testing.T) {
		t.Parallel()
		clear := image.NewNRGBA(image.Rect(0, 0, 90, 80))
		draw.Draw(clear, image.Rect(45, 0, 90, 80), image.Black, image.Point{}, draw.Src)
		white := image.NewNRGBA(clear.Bounds())
		fill(white, color.White)
		draw.Draw(white, image.Rect(45, 0, 90, 80), image.Black, image.Point{}, draw.Src)
		a := fingerprint(t, evidence.TypePNG, asPNG(t, clear)).PerceptualHash
		b := fingerprint(t, evidence.TypePNG, asPNG(t, white)).PerceptualHash
		if a != b || a == 0 {
			t.Errorf("got %x, want %x", a, b)
		}
	})
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b int64
		want int
	}{{0, 0, 0}, {0, -1, 64}, {math.MinInt64, 0, 1}, {5, 6, 2}} {
		if got := evidence.Distance(tt.a, tt.b); got != tt.want {
			t.Errorf("Distance(%d, %d): got %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestTakeFingerprint(t *testing.T) {
	t.Parallel()
	picture := asPNG(t, photo(1, 40, 30))
	photograph := asJPEG(t, photo(1, 40, 30), 80)
	lossless := bytes.Replace(photograph, []byte{0xff, 0xc0}, []byte{0xff, 0xc3}, 1)
	damaged := bytes.Clone(picture)
	damaged[len(damaged)/2] ^= 0xff
	webp := plainWebP(7, 9, color.NRGBA{1, 2, 3, 4})
	boasting := bytes.Clone(webp)
	binary.LittleEndian.PutUint32(boasting[4:], 2<<30)
	animated := withChunk(withComment(picture, strings.Repeat("hidden behind this ", 300)), "acTL", "\x00\x00\x00\x02\x00\x00\x00\x00")
	animatedWebP := withAnimation(webp, 7, 9)

	tests := []struct {
		name        string
		contentType string
		file        []byte
		ok          bool
		err         error
	}{
		{"takes a PNG", evidence.TypePNG, picture, true, nil},
		{"takes a JPEG", evidence.TypeJPEG, photograph, true, nil},
		{"takes a WebP", evidence.TypeWebP, webp, true, nil},
		{"takes a progressive JPEG", evidence.TypeJPEG, progressiveJPEG(t, 100, 90), true, nil},
		{"takes a JPEG with as many scans as an editor writes", evidence.TypeJPEG, withScans(photograph, 20), true, nil},
		{"leaves out a PDF", evidence.TypePDF, []byte(smallPDF), false, nil},
		{"takes a picture with another file behind it", evidence.TypePNG, append(bytes.Clone(picture), "<script>alert(1)</script>"...), true, nil},
		{"takes what is just long enough", evidence.TypePNG, asPNG(t, image.NewGray(image.Rect(0, 0, 1, 30_000))), true, nil},

		{"refuses a truncated picture", evidence.TypePNG, picture[:len(picture)/2], false, evidence.ErrUnreadable},
		{"refuses a picture without its last bytes", evidence.TypePNG, picture[:len(picture)-12], false, evidence.ErrUnreadable},
		{"refuses a truncated photograph", evidence.TypeJPEG, photograph[:len(photograph)/2], false, evidence.ErrUnreadable},
		{"refuses a truncated WebP", evidence.TypeWebP, webp[:len(webp)-2], false, evidence.ErrUnreadable},
		{"refuses a damaged picture", evidence.TypePNG, damaged, false, evidence.ErrUnreadable},
		{"refuses more pixels than the picture has", evidence.TypePNG, []byte(pngHeader(9, 9) + pngChunk("IDAT", deflated(1<<20)) + pngChunk("IEND", "")), false, evidence.ErrUnreadable},
		{"refuses a rare kind of JPEG", evidence.TypeJPEG, lossless, false, evidence.ErrUnreadable},
		{"refuses a JPEG with endless scans", evidence.TypeJPEG, withScans(photograph, 500), false, evidence.ErrUnreadable},
		{"refuses a WebP that says it is two gigabytes", evidence.TypeWebP, boasting, false, evidence.ErrUnreadable},

		{"refuses a decompression bomb", evidence.TypePNG, []byte(pngHeader(60_000, 60_000) + pngChunk("IDAT", "")), false, evidence.ErrPictureTooLarge},
		{"refuses a WebP bomb", evidence.TypeWebP, plainWebP(16_000, 16_000, color.NRGBA{}), false, evidence.ErrPictureTooLarge},
		{"refuses a JPEG bomb", evidence.TypeJPEG, withSize(photograph, 60_000, 60_000), false, evidence.ErrPictureTooLarge},
		{"refuses what is too long", evidence.TypePNG, asPNG(t, image.NewGray(image.Rect(0, 0, 1, 30_001))), false, evidence.ErrPictureTooLarge},
		{"refuses what is too wide", evidence.TypePNG, asPNG(t, image.NewGray(image.Rect(0, 0, 30_001, 1))), false, evidence.ErrPictureTooLarge},
		{"refuses what has too many pixels", evidence.TypePNG, []byte(pngHeader(10_001, 6_000)), false, evidence.ErrPictureTooLarge},
		{"does not refuse that many for their number", evidence.TypePNG, []byte(pngHeader(10_000, 6_000)), false, evidence.ErrUnreadable},
		{"refuses so many pixels of a progressive photograph", evidence.TypeJPEG, progressiveJPEG(t, 10_000, 6_000), false, evidence.ErrPictureTooLarge},
		{"does not refuse so many of a usual one for their number", evidence.TypeJPEG, withSize(photograph, 10_000, 6_000), false, evidence.ErrUnreadable},

		{"refuses what has no header", evidence.TypePNG, []byte(pngSignature), false, evidence.ErrUnsupportedType},
		{"refuses a header of no size", evidence.TypePNG, []byte(pngHeader(0, 10)), false, evidence.ErrUnsupportedType},
		{"refuses one type as another", evidence.TypeJPEG, picture, false, evidence.ErrUnsupportedType},
		{"refuses an animated PNG that hides it", evidence.TypePNG, animated, false, evidence.ErrUnsupportedType},
		{"refuses an animated WebP", evidence.TypeWebP, animatedWebP, false, evidence.ErrUnsupportedType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, ok, err := evidence.TakeFingerprint(t.Context(), bytes.NewReader(tt.file), tt.contentType)
			if ok != tt.ok || !errors.Is(err, tt.err) {
				t.Errorf("got %v, %v, want %v, %v", ok, err, tt.ok, tt.err)
			}
		})
	}

	t.Run("starts from the beginning of the file", func(t *testing.T) {
		t.Parallel()
		r := bytes.NewReader(picture)
		r.Seek(0, io.SeekEnd)
		if _, ok, err := evidence.TakeFingerprint(t.Context(), r, evidence.TypePNG); !ok || err != nil {
			t.Errorf("got %v, %v", ok, err)
		}
	})
}

// Decoding never panics, answers the same twice, and blames nobody but the sender.
func FuzzTakeFingerprint(f *testing.F) {
	picture := photo(1, 24, 17)
	f.Add(asPNG(f, picture))
	f.Add(asPNG(f, wave(9, 9)))
	f.Add(asJPEG(f, picture, 50))
	f.Add(withScans(asJPEG(f, picture, 50), 70))
	f.Add(plainWebP(5, 6, color.NRGBA{9, 8, 7, 6}))
	f.Add([]byte(pngHeader(60_000, 60_000)))
	f.Add([]byte(pngHeader(9, 9) + "<script>"))
	f.Add(withAnimation(plainWebP(5, 6, color.NRGBA{9, 8, 7, 6}), 5, 6))
	f.Add(progressiveJPEG(f, 20, 30))
	f.Fuzz(func(t *testing.T, file []byte) {
		contentType, err := evidence.Sniff(file)
		if err != nil {
			return
		}
		if contentType != evidence.TypePDF {
			if asked, err := evidence.MemoryToDecode(bytes.NewReader(file), contentType); err == nil && asked > 16<<20 {
				return // a small file of a large picture takes seconds, and no other way
			}
		}
		first, ok, err := evidence.TakeFingerprint(t.Context(), bytes.NewReader(file), contentType)
		if e := errs.As(err); err != nil && (e == nil || web.Status(e.Kind) >= 500) {
			t.Fatal(err)
		}
		if ok != (err == nil && contentType != evidence.TypePDF) {
			t.Errorf("a %s has a fingerprint: %v, %v", contentType, ok, err)
		}
		second, again, _ := evidence.TakeFingerprint(t.Context(), struct{ io.ReadSeeker }{halting{bytes.NewReader(file)}}, contentType)
		if ok != again || first != second {
			t.Errorf("got %v, %v and then %v, %v", first, ok, second, again)
		}
	})
}

// halting gives one byte at a time, so that markers fall across reads.
type halting struct{ io.ReadSeeker }

func (h halting) Read(p []byte) (int, error) { return iotest.OneByteReader(h.ReadSeeker).Read(p) }
