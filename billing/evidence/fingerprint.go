package evidence

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"math/bits"

	"golang.org/x/image/draw"
	"golang.org/x/image/webp"
)

const (
	// maxSide and maxPixels bound what is decoded. 40 megapixels are above what telephones save by default; a larger
	// picture is kept as evidence without a fingerprint.
	maxSide   = 12_000
	maxPixels = 40_000_000
	// maxScans bounds the passes over a JPEG. Each may repaint the whole picture and needs only some seventy bytes, so
	// that without a bound a file of 10 MiB keeps a core busy for half an hour. Cameras and editors write ten or so.
	maxScans = 64
	// bandRows is how many rows are converted at a time for hashing, instead of a second copy of the picture.
	bandRows = 64
	// hashMargin is how much darker, of 255 levels, a neighbour must be to count. Recompression moves a mean by less
	// than one level, and most of a receipt is one colour, where a margin of zero would make each bit a coin toss.
	hashMargin = 2
)

// decoding lets two pictures be decoded at a time in this process. The largest permitted picture takes up to a
// gigabyte while it is decoded (a progressive JPEG: four bytes for each of its coefficients, then the picture), so
// without it a dozen uploads at once would take the process down. Two, so that a slow one does not hold up all others.
var decoding = make(chan struct{}, 2)

// Fingerprint recognises a picture whose file is not the same any more.
type Fingerprint struct {
	// PixelHash is the SHA-256 of width, height and all pixels. It stays when a lossless file is written again in
	// another format, compression or colour model of 8 bits, or with other metadata. What is fully transparent has no
	// colour.
	PixelHash [sha256.Size]byte
	// PerceptualHash is a 64-bit difference hash of the brightness over white; its bits have no order, so the sign
	// means nothing. Compare with Distance.
	PerceptualHash int64
}

// Distance is the number of bits, 0 to 64, in which two perceptual hashes differ. The same picture, scaled down and
// recompressed, is within 4. So may be two different screenshots of one app, or two scans of one form: close means
// "look at both", never "the same".
func Distance(a, b int64) int { return bits.OnesCount64(uint64(a ^ b)) }

type codec struct {
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

// Not image.Decode: which formats that knows depends on what else is linked into the binary.
var codecs = map[string]codec{
	TypePNG:  {png.DecodeConfig, png.Decode},
	TypeJPEG: {jpeg.DecodeConfig, decodeJPEG},
	TypeWebP: {webp.DecodeConfig, webp.Decode},
}

// TakeFingerprint decodes a picture of the given sniffed type and reports whether it has a fingerprint. PDF has none;
// neither has a picture that is too large to decode, broken after its header, or of a variety that we cannot decode:
// each is still evidence. ErrUnsupportedType means that not even the header is one of a picture.
func TakeFingerprint(file io.ReadSeeker, contentType string) (Fingerprint, bool, error) {
	c, ok := codecs[contentType]
	if !ok {
		return Fingerprint{}, false, nil
	}
	if fits, err := c.fits(file); err != nil || !fits {
		return Fingerprint{}, false, err
	}

	decoding <- struct{}{}
	defer func() { <-decoding }()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return Fingerprint{}, false, err
	}
	img, err := c.decode(bufio.NewReader(file))
	if err != nil {
		return Fingerprint{}, false, readTrouble(err)
	}
	return Fingerprint{PixelHash: pixelHash(img), PerceptualHash: differenceHash(img)}, true, nil
}

// fits reads only the header, which is where a decompression bomb declares its size.
func (c codec) fits(file io.ReadSeeker) (bool, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	size, err := c.config(bufio.NewReader(file))
	if err != nil {
		return false, headerError(err)
	}
	fits := size.Width > 0 && size.Width <= maxSide &&
		size.Height > 0 && size.Height <= maxSide &&
		size.Width*size.Height <= maxPixels
	return fits, nil
}

func headerError(err error) error {
	if trouble := readTrouble(err); trouble != nil {
		return trouble
	}
	_, rareJPEG := errors.AsType[jpeg.UnsupportedError](err)
	_, rarePNG := errors.AsType[png.UnsupportedError](err)
	if rareJPEG || rarePNG {
		return nil
	}
	return ErrUnsupportedType.Because(err)
}

// readTrouble keeps an error of the file and drops what a decoder thinks of its content.
func readTrouble(err error) error {
	if trouble, ok := errors.AsType[*fs.PathError](err); ok {
		return trouble
	}
	return nil
}

func decodeJPEG(r io.Reader) (image.Image, error) {
	return jpeg.Decode(&scanCounter{r: r})
}

var errTooManyScans = errors.New("evidence: too many scans in a JPEG")

// scanCounter stops a JPEG after maxScans start-of-scan markers. It looks at bytes, not at segments: picture data
// cannot hold the marker by accident (0xFF is escaped there), and metadata rarely does.
type scanCounter struct {
	r     io.Reader
	last  byte
	scans int
}

func (s *scanCounter) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	for _, b := range p[:n] {
		if s.last == 0xff && b == 0xda {
			s.scans++
		}
		s.last = b
	}
	if s.scans > maxScans {
		return 0, errTooManyScans
	}
	return n, err
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
