package evidence

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"io"

	"golang.org/x/image/draw"
)

const (
	// bandRows is how many rows are converted at a time for hashing, instead of a second copy of the picture.
	bandRows = 64
	// hashMargin is how much darker, of 255 levels, a neighbour must be to count. Recompression moves a mean by less
	// than one level, and most of a receipt is one colour, where a margin of zero would make each bit a coin toss.
	hashMargin = 2
)

// Fingerprint recognises a picture whose file is not the same any more.
type Fingerprint struct {
	// PixelHash is the SHA-256 of width, height and all pixels. It stays when a lossless file is written again in
	// another format, compression or colour model of 8 bits, or with other metadata. What is fully transparent has no
	// colour.
	PixelHash [sha256.Size]byte
	// PerceptualHash is a 64-bit difference hash of the brightness over white; its bits have no order, so the sign
	// means nothing. The fewer bits differ, the more alike are the pictures.
	PerceptualHash int64
}

// TakeFingerprint decodes a picture of the given sniffed type. PDF, and nothing else, has no fingerprint; the second
// result says so. Errors for the client: ErrUnsupportedType, when not even the header is one of a single picture,
// ErrPictureTooLarge, and ErrUnreadable. It may wait, until ctx ends, for the decoding of other people's pictures.
func TakeFingerprint(ctx context.Context, file io.ReadSeeker, contentType string) (Fingerprint, bool, error) {
	f, ok := formats[contentType]
	if !ok {
		return Fingerprint{}, false, nil
	}
	h, err := f.header(file)
	if err != nil {
		return Fingerprint{}, false, err
	}
	if err := h.check(); err != nil {
		return Fingerprint{}, false, err
	}
	if err := decoding.Acquire(ctx, h.memory()); err != nil {
		return Fingerprint{}, false, fmt.Errorf("wait for memory to decode a picture: %w", err)
	}
	defer decoding.Release(h.memory())
	img, err := f.picture(file)
	if err != nil {
		return Fingerprint{}, false, err
	}
	return Fingerprint{PixelHash: pixelHash(img), PerceptualHash: differenceHash(img)}, true, nil
}

func pixelHash(img image.Image) [sha256.Size]byte {
	b := img.Bounds()
	digest := sha256.New()
	var size [8]byte
	binary.BigEndian.PutUint32(size[:4], uint32(b.Dx()))
	binary.BigEndian.PutUint32(size[4:], uint32(b.Dy()))
	digest.Write(size[:])

	band := image.NewRGBA(image.Rect(0, 0, b.Dx(), min(b.Dy(), bandRows)))
	for y := b.Min.Y; y < b.Max.Y; y += bandRows {
		rows := image.Rect(0, 0, b.Dx(), min(b.Max.Y-y, bandRows))
		draw.Draw(band, rows, img, image.Pt(b.Min.X, y), draw.Src)
		digest.Write(band.Pix[:band.Stride*rows.Dy()])
	}
	var sum [sha256.Size]byte
	digest.Sum(sum[:0])
	return sum
}

// differenceHash compares each cell of an 8 by 8 grid with its right neighbour.
func differenceHash(img image.Image) int64 {
	grid := image.NewRGBA(image.Rect(0, 0, 9, 8))
	// Over white, as viewers show it; dark writing on nothing would otherwise be black on black.
	draw.Draw(grid, grid.Bounds(), image.White, image.Point{}, draw.Src)
	draw.BiLinear.Scale(grid, grid.Bounds(), img, img.Bounds(), draw.Over, nil)

	var hash uint64
	for y := range 8 {
		for x := range 8 {
			hash <<= 1
			if brightness(grid.RGBAAt(x, y)) > brightness(grid.RGBAAt(x+1, y))+hashMargin<<16 {
				hash |= 1
			}
		}
	}
	return int64(hash)
}

// brightness is the luma of BT.601, 0 to 255, in 65536ths.
func brightness(c color.RGBA) int {
	return 19595*int(c.R) + 38470*int(c.G) + 7471*int(c.B)
}
