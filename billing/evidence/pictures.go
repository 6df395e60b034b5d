package evidence

import (
	"bufio"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"

	"golang.org/x/image/webp"
	"golang.org/x/sync/semaphore"
)

const (
	// maxSide lets the screenshot of a long page through.
	maxSide = 30_000
	// maxPixels is above the 50 megapixels of telephones' best cameras and the 35 of a sheet scanned at 600 dpi.
	maxPixels = 60_000_000
	// decodingMemory is how many bytes all pictures together may take that this process decodes at one time. One that
	// would need more for itself is refused.
	decodingMemory = 512 << 20
	// decodingBase is what decoding takes besides the pixels: tables, buffers, rounding up to whole blocks.
	decodingBase = 1 << 20
	// maxScans bounds the passes over a JPEG. Each may repaint the whole picture and needs only some seventy bytes, so
	// that without a bound a file of 10 MiB keeps a core busy for half an hour. Cameras and editors write ten or so.
	maxScans = 64
)

// decoding hands out decodingMemory in the order of asking. Without it a dozen uploads at once, each of some kilobytes
// that unfold into hundreds of megabytes, would take the process down.
var decoding = semaphore.NewWeighted(decodingMemory)

// header is what a picture says of itself before its pixels.
type header struct {
	width, height int
	// bytesPerPixel is how much memory decoding takes at most, copies that the decoder makes on its way included.
	bytesPerPixel int64
}

// check refuses what would take too much, which is where a decompression bomb gives itself away.
func (h header) check() error {
	limit := min(maxPixels, (decodingMemory-decodingBase)/h.bytesPerPixel)
	switch {
	case h.width < 1 || h.height < 1:
		return ErrUnreadable
	case h.width > maxSide || h.height > maxSide || int64(h.width)*int64(h.height) > limit:
		return ErrPictureTooLarge.With("limit", limit/1_000_000).With("side", maxSide)
	default:
		return nil
	}
}

// memory is how many bytes decoding takes at most.
func (h header) memory() int64 {
	return int64(h.width)*int64(h.height)*h.bytesPerPixel + decodingBase
}

// format is one way to write a picture.
type format struct {
	header func(io.ReadSeeker) (header, error)
	decode func(io.Reader) (image.Image, error)
}

// Not image.Decode: which formats that knows depends on what else is linked into the binary.
var formats = map[string]format{
	TypePNG:  {readPNGHeader, png.Decode},
	TypeJPEG: {readJPEGHeader, decodeJPEG},
	TypeWebP: {readWebPHeader, webp.Decode},
}

func (f format) picture(file io.ReadSeeker) (image.Image, error) {
	r, err := fromStart(file)
	if err != nil {
		return nil, err
	}
	img, err := f.decode(r)
	if err != nil {
		return nil, contentError(err, ErrUnreadable.Because(err))
	}
	return img, nil
}

func fromStart(file io.ReadSeeker) (*bufio.Reader, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return bufio.NewReader(file), nil
}

// contentError is verdict, unless err is trouble with the file itself and says nothing of its content.
func contentError(err, verdict error) error {
	if trouble, ok := errors.AsType[*fs.PathError](err); ok {
		return trouble
	}
	return verdict
}

// readConfig reads only the header.
func readConfig(file io.ReadSeeker, decode func(io.Reader) (image.Config, error)) (image.Config, error) {
	r, err := fromStart(file)
	if err != nil {
		return image.Config{}, err
	}
	config, err := decode(r)
	if err == nil {
		return config, nil
	}
	_, rareJPEG := errors.AsType[jpeg.UnsupportedError](err)
	_, rarePNG := errors.AsType[png.UnsupportedError](err)
	if rareJPEG || rarePNG {
		return config, ErrUnreadable.Because(err)
	}
	return config, contentError(err, ErrUnsupportedType.Because(err))
}

func readPNGHeader(file io.ReadSeeker) (header, error) {
	config, err := readConfig(file, png.DecodeConfig)
	if err != nil {
		return header{}, err
	}
	r, err := fromStart(file)
	if err != nil {
		return header{}, err
	}
	if isAnimated(r) {
		return header{}, ErrUnsupportedType
	}
	h := header{config.Width, config.Height, 4 * 2} // an interlaced one is put together from parts as large as itself
	switch config.ColorModel {
	case color.Gray16Model, color.RGBA64Model, color.NRGBA64Model:
		h.bytesPerPixel *= 2
	}
	return h, nil
}

// isAnimated finds the chunk by which a PNG says that it shows more than the one picture that is fingerprinted. It
// stands somewhere before the pixels, where Sniff, which knows it in the usual place, need not see it.
func isAnimated(r *bufio.Reader) bool {
	if _, err := r.Discard(8); err != nil {
		return false
	}
	var start [8]byte // of a chunk: length and kind
	for {
		if _, err := io.ReadFull(r, start[:]); err != nil {
			return false
		}
		switch string(start[4:]) {
		case "acTL":
			return true
		case "IDAT":
			return false
		}
		checksum := 4
		if _, err := r.Discard(int(binary.BigEndian.Uint32(start[:4])) + checksum); err != nil {
			return false
		}
	}
}

func readJPEGHeader(file io.ReadSeeker) (header, error) {
	config, err := readConfig(file, jpeg.DecodeConfig)
	if err != nil {
		return header{}, err
	}
	r, err := fromStart(file)
	if err != nil {
		return header{}, err
	}
	components := int64(3)
	switch config.ColorModel {
	case color.GrayModel:
		components = 1
	case color.CMYKModel:
		components = 4
	}
	h := header{config.Width, config.Height, components + 4} // each in its plane, and then perhaps mixed to colours
	if isProgressive(r) {
		h.bytesPerPixel += 4 * components // all coefficients, until the last scan
	}
	return h, nil
}

// isProgressive walks to the frame of a JPEG. What it does not expect on the way counts as progressive, which is the
// dearer kind.
func isProgressive(r *bufio.Reader) bool {
	if _, err := r.Discard(2); err != nil {
		return true
	}
	var start [4]byte // of a segment: marker and length
	for {
		if _, err := io.ReadFull(r, start[:]); err != nil || start[0] != 0xff {
			return true
		}
		switch marker := start[1]; {
		case marker == 0xc0, marker == 0xc1:
			return false
		case marker == 0xc4, marker == 0xdb, marker == 0xdd, marker >= 0xe0 && marker <= 0xef, marker == 0xfe:
			// tables, application data, a comment
		default:
			return true
		}
		if _, err := r.Discard(int(binary.BigEndian.Uint16(start[2:])) - 2); err != nil {
			return true
		}
	}
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

// readWebPHeader refuses, besides the usual, a file that is shorter than it says, because the decoder takes memory by
// what it says, and an animation.
func readWebPHeader(file io.ReadSeeker) (header, error) {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return header{}, err
	}
	config, err := readConfig(file, webp.DecodeConfig)
	if err != nil {
		return header{}, err
	}
	r, err := fromStart(file)
	if err != nil {
		return header{}, err
	}
	start, err := r.Peek(21) // RIFF, its length, WEBP, kind and length of the first chunk, and a byte of that
	if err != nil {
		return header{}, contentError(err, ErrUnsupportedType.Because(err))
	}
	if string(start[12:16]) == "VP8X" && start[20]&0x02 != 0 {
		return header{}, ErrUnsupportedType
	}
	if int64(binary.LittleEndian.Uint32(start[4:]))+8 > size {
		return header{}, ErrUnreadable
	}
	return header{config.Width, config.Height, 10}, nil // pixels and their transform, transparency beside colours
}
