package evidence_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"countersign/billing/evidence"
)

// Not parallel: the memory is that of the whole process.
func TestTakeFingerprintDecodesWithinItsMemory(t *testing.T) {
	// Each needs 320 MB of the 512: pixels without end, of which none is in the file.
	large := []byte(pngHeader(8_000, 5_000) + pngChunk("IDAT", ""))
	entered, leave := make(chan struct{}), make(chan struct{})
	take := func(ctx context.Context, file []byte) error {
		_, _, err := evidence.TakeFingerprint(ctx, &slowFile{Reader: bytes.NewReader(file), entered: entered, leave: leave}, evidence.TypePNG)
		return err
	}
	var all errgroup.Group
	for range 10 {
		all.Go(func() error {
			if err := take(t.Context(), large); !errors.Is(err, evidence.ErrUnreadable) {
				return fmt.Errorf("got %v", err)
			}
			return nil
		})
	}
	<-entered
	select {
	case <-entered:
		t.Error("two large pictures at a time")
	case <-time.After(100 * time.Millisecond):
	}

	impatient, leaveEarly := context.WithCancel(t.Context())
	leaveEarly()
	if err := take(impatient, large); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever went away waits on: %v", err)
	}

	go func() {
		for range entered {
		}
	}()
	close(leave)
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	close(entered)
}

// Not parallel: it counts what the whole process allocates.
func TestDecodingTakesNoMoreThanItAsksFor(t *testing.T) {
	size := image.Rect(0, 0, 500, 500)
	colours := image.NewRGBA(size)
	fill(colours, color.White)
	for name, picture := range map[string]struct {
		contentType string
		file        []byte
	}{
		"a grey PNG":                     {evidence.TypePNG, asPNG(t, image.NewGray(size))},
		"a PNG with colours":             {evidence.TypePNG, asPNG(t, colours)},
		"a PNG with transparency":        {evidence.TypePNG, asPNG(t, image.NewNRGBA(size))},
		"a PNG with a palette":           {evidence.TypePNG, asPNG(t, image.NewPaletted(size, color.Palette{color.White, color.Black}))},
		"a deep PNG":                     {evidence.TypePNG, asPNG(t, image.NewNRGBA64(size))},
		"a PNG with a bomb of text":      {evidence.TypePNG, withChunk(asPNG(t, image.NewGray(size)), "zTXt", "Comment\x00\x00"+deflated(8<<20))},
		"a PNG with a bomb of a profile": {evidence.TypePNG, withChunk(asPNG(t, image.NewGray(size)), "iCCP", "Profile\x00\x00"+deflated(8<<20))},
		"a PNG with a long text":         {evidence.TypePNG, withChunk(asPNG(t, image.NewGray(size)), "iTXt", "Comment\x00\x00\x00\x00\x00"+strings.Repeat("a", 4<<20))},
		"a grey JPEG":                    {evidence.TypeJPEG, asJPEG(t, image.NewGray(size), 50)},
		"a JPEG":                         {evidence.TypeJPEG, asJPEG(t, colours, 50)},
		"a progressive JPEG":             {evidence.TypeJPEG, progressiveJPEG(t, 500, 500)},
		"a WebP":                         {evidence.TypeWebP, plainWebP(500, 500, color.NRGBA{1, 2, 3, 4})},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, ok, err := evidence.TakeFingerprint(t.Context(), bytes.NewReader(picture.file), picture.contentType)
		runtime.ReadMemStats(&after)
		asked, askErr := evidence.MemoryToDecode(bytes.NewReader(picture.file), picture.contentType)
		if !ok || err != nil || askErr != nil {
			t.Fatalf("%s: %v, %v", name, err, askErr)
		}
		if took := int64(after.TotalAlloc - before.TotalAlloc); took > asked || asked > 8<<20 {
			t.Errorf("%s took %d bytes and asked for %d", name, took, asked)
		}
	}
}

// slowFile reports when it is rewound for the last time, which is when decoding begins, and waits there.
type slowFile struct {
	*bytes.Reader
	rewound        atomic.Int32
	entered, leave chan struct{}
}

func (f *slowFile) Seek(offset int64, whence int) (int64, error) {
	if f.rewound.Add(1) == 3 {
		f.entered <- struct{}{}
		<-f.leave
	}
	return f.Reader.Seek(offset, whence)
}
