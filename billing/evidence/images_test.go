package evidence_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"testing"

	"golang.org/x/image/draw"
)

// photo paints soft shapes at random places, like a photographed receipt on a table. One seed, one picture.
func photo(seed uint64, width, height int) *image.NRGBA {
	random := rand.New(rand.NewPCG(seed, 1))
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	fill(img, color.NRGBA{200, 190, 170, 255})
	for range 60 {
		x, y := random.IntN(width), random.IntN(height)
		spot := image.Rect(x, y, x+width/8+random.IntN(width/4), y+height/8+random.IntN(height/4))
		shade := color.NRGBA{uint8(random.UintN(256)), uint8(random.UintN(256)), uint8(random.UintN(256)), 255}
		draw.Draw(img, spot, image.NewUniform(shade), image.Point{}, draw.Src)
	}
	return img
}

// scannedPaper is an empty sheet as a scanner sees it: almost white, with grain.
func scannedPaper(seed uint64, width, height int) *image.NRGBA {
	random := rand.New(rand.NewPCG(seed, 2))
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := 0; i < len(img.Pix); i += 4 {
		grain := 240 + uint8(random.UintN(11))
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = grain, grain, grain, 255
	}
	return img
}

func fill(img draw.Image, c color.Color) {
	draw.Draw(img, img.Bounds(), image.NewUniform(c), image.Point{}, draw.Src)
}

func asPNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asJPEG(t testing.TB, img image.Image, quality int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func scaled(img image.Image, width, height int) image.Image {
	small := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.CatmullRom.Scale(small, small.Bounds(), img, img.Bounds(), draw.Src, nil)
	return small
}

const pngSignature = "\x89PNG\r\n\x1a\n"

func pngChunk(kind, data string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(b, kind+data...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE([]byte(kind+data)))
	return string(b)
}

// pngHeader is the start of a PNG that claims a size: signature and IHDR, with 8 bits of grey.
func pngHeader(width, height uint32) string {
	size := binary.BigEndian.AppendUint32(nil, width)
	size = binary.BigEndian.AppendUint32(size, height)
	return pngSignature + pngChunk("IHDR", string(size)+"\x08\x00\x00\x00\x00")
}

// withComment puts a text chunk behind the header of a PNG.
func withComment(file []byte, comment string) []byte {
	return withChunk(file, "tEXt", "Comment\x00"+comment)
}

// withChunk puts a chunk before the pixels of a PNG.
func withChunk(file []byte, kind, data string) []byte {
	before := bytes.Index(file, []byte("IDAT")) - 4
	return bytes.Join([][]byte{file[:before], []byte(pngChunk(kind, data)), file[before:]}, nil)
}

// deflated is a stream that unfolds into that many zero bytes, a thousand for each of its own.
func deflated(size int) string {
	var b bytes.Buffer
	w, _ := zlib.NewWriterLevel(&b, zlib.BestSpeed)
	zeros := make([]byte, 1<<16)
	for ; size > 0; size -= len(zeros) {
		w.Write(zeros[:min(size, len(zeros))])
	}
	w.Close()
	return b.String()
}

// withSize makes a JPEG claim another size.
func withSize(file []byte, width, height uint16) []byte {
	file = bytes.Clone(file)
	frame := bytes.Index(file, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(file[frame+5:], height)
	binary.BigEndian.PutUint16(file[frame+7:], width)
	return file
}

// progressiveJPEG is a grey picture in one scan of mean values, with three components at full resolution.
func progressiveJPEG(t testing.TB, width, height int) []byte {
	file := withSize(asJPEG(t, image.NewNRGBA(image.Rect(0, 0, 8, 8)), 50), uint16(width), uint16(height))
	frame, scan := bytes.Index(file, []byte{0xff, 0xc0}), bytes.Index(file, []byte{0xff, 0xda})
	file[frame+1] = 0xc2
	file[frame+11] = 0x11 // the first component is not larger than the others
	file = append(file[:scan], 0xff, 0xda, 0, 12, 3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 0, 0)
	blocks := 3 * ((width + 7) / 8) * ((height + 7) / 8)
	file = append(file, make([]byte, blocks/4+1)...) // two zero bits say "as the block before"
	return append(file, 0xff, 0xd9)
}

// withAnimation makes a plain WebP claim that more pictures follow.
func withAnimation(file []byte, width, height int) []byte {
	extended := binary.LittleEndian.AppendUint32([]byte("VP8X"), 10)
	extended = append(extended, 0x02, 0, 0, 0, byte(width-1), byte((width-1)>>8), 0, byte(height-1), byte((height-1)>>8), 0)
	chunks := append([]byte("WEBP"), append(extended, file[12:]...)...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(chunks))), chunks...)
}

// withScans repeats the only scan of a baseline JPEG, which paints the same picture over itself.
func withScans(file []byte, scans int) []byte {
	start := bytes.Index(file, []byte{0xff, 0xda})
	end := len(file) - 2
	again := bytes.Repeat(file[start:end], scans-1)
	return bytes.Join([][]byte{file[:end], again, file[end:]}, nil)
}

// plainWebP is a lossless WebP of one colour: each of its five prefix codes has one symbol, so pixels take no bits.
func plainWebP(width, height int, c color.NRGBA) []byte {
	var bits, length uint64
	var data []byte
	put := func(value uint64, n uint64) {
		for i := range n {
			bits |= (value >> i & 1) << length
			if length++; length == 8 {
				data = append(data, byte(bits))
				bits, length = 0, 0
			}
		}
	}
	put(0x2f, 8)
	put(uint64(width-1), 14)
	put(uint64(height-1), 14)
	put(1, 1)   // has alpha
	put(0, 3)   // version
	put(0, 1+2) // no transform, no colour cache, one group of codes
	for _, channel := range []uint8{c.G, c.R, c.B, c.A} {
		put(0b101, 3) // simple code, one symbol, of eight bits
		put(uint64(channel), 8)
	}
	put(0b0001, 4) // distances: simple code, one symbol of one bit, zero
	put(0, 15)     // to the end of the last byte
	if len(data)%2 == 1 {
		data = append(data, 0)
	}

	chunk := binary.LittleEndian.AppendUint32([]byte("WEBPVP8L"), uint32(len(data)))
	chunk = append(chunk, data...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(chunk))), chunk...)
}

const smallPDF = "%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"

// wave is a picture without edges, for comparisons between colour models.
func wave(width, height int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.SetGray(x, y, color.Gray{uint8(127 + 120*math.Sin(float64(x)/9)*math.Cos(float64(y)/7))})
		}
	}
	return img
}
