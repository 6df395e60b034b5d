package evidence_test

import (
	"bytes"
	"errors"
	"image/color"
	"strings"
	"testing"

	"countersign/billing/evidence"
)

func TestSniff(t *testing.T) {
	t.Parallel()
	picture := photo(1, 40, 30)
	tests := []struct {
		name string
		head string
		want string
		err  error
	}{
		{"knows a PDF", smallPDF, evidence.TypePDF, nil},
		{"knows a PDF after a byte order mark", "\xef\xbb\xbf" + smallPDF, evidence.TypePDF, nil},
		{"knows a PDF after an empty line", "\r\n" + smallPDF, evidence.TypePDF, nil},
		{"knows a PNG", string(asPNG(t, picture)), evidence.TypePNG, nil},
		{"knows a JPEG", string(asJPEG(t, picture, 80)), evidence.TypeJPEG, nil},
		{"knows a WebP", string(plainWebP(3, 3, color.NRGBA{1, 2, 3, 255})), evidence.TypeWebP, nil},
		{"takes a PNG that goes on as a script for a PNG", pngHeader(9, 9) + "<script>alert(1)</script>", evidence.TypePNG, nil},

		{"refuses nothing", "", "", evidence.ErrEmpty},
		{"refuses HTML", "<!DOCTYPE html><html><script>alert(1)</script></html>", "", evidence.ErrUnsupportedType},
		{"refuses a script", "<script>alert(1)</script>", "", evidence.ErrUnsupportedType},
		{"refuses a script that mentions a PDF", "<script>/*%PDF-1.7*/alert(1)</script>", "", evidence.ErrUnsupportedType},
		{"refuses a PDF without a version", "%PDF-<script>alert(1)</script>", "", evidence.ErrUnsupportedType},
		{"refuses a PDF of a version that is none", "%PDF-9.9\n", "", evidence.ErrUnsupportedType},
		{"refuses a shell script that mentions a PDF", "#!/bin/sh\n#%PDF-1.7\n", "", evidence.ErrUnsupportedType},
		{"refuses a PDF in the middle of something", "junk " + smallPDF, "", evidence.ErrUnsupportedType},
		{"refuses HTML that mentions a PNG", "<html>" + pngHeader(9, 9), "", evidence.ErrUnsupportedType},
		{"refuses SVG", `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`, "", evidence.ErrUnsupportedType},
		{"refuses SVG without a declaration", `<svg xmlns="http://www.w3.org/2000/svg" onload="x()"/>`, "", evidence.ErrUnsupportedType},
		{"refuses zip", "PK\x03\x04\x14\x00\x00\x00\x08\x00" + strings.Repeat("\x00", 40), "", evidence.ErrUnsupportedType},
		{"refuses an office document", "PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00\x21\x00" + strings.Repeat("\x00", 12) + "\x13\x00\x00\x00[Content_Types].xml", "", evidence.ErrUnsupportedType},
		{"refuses an old office document", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 600), "", evidence.ErrUnsupportedType},
		{"refuses GIF", "GIF89a\x01\x00\x01\x00\x00\x00\x00;", "", evidence.ErrUnsupportedType},
		{"refuses a GIF that is a script", "GIF89a=1;alert(1)", "", evidence.ErrUnsupportedType},
		{"refuses HEIC", "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "", evidence.ErrUnsupportedType},
		{"refuses an animated PNG", pngHeader(9, 9) + pngChunk("acTL", "\x00\x00\x00\x02\x00\x00\x00\x00"), "", evidence.ErrUnsupportedType},
		{"refuses a program", "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 60), "", evidence.ErrUnsupportedType},
		{"refuses plain text", "paid, honestly", "", evidence.ErrUnsupportedType},
		{"refuses half a signature", "\x89PNG\r\n", "", evidence.ErrUnsupportedType},
		{"refuses zero bytes", strings.Repeat("\x00", 5000), "", evidence.ErrUnsupportedType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := evidence.Sniff([]byte(tt.head))
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// Whatever is accepted starts with the signature of its type, so that no browser could be talked into another.
func FuzzSniff(f *testing.F) {
	f.Add([]byte(smallPDF))
	f.Add([]byte(pngHeader(1, 1)))
	f.Add([]byte("\xff\xd8\xff\xe0"))
	f.Add(plainWebP(1, 1, color.NRGBA{}))
	f.Add([]byte("<script>%PDF-"))
	f.Add([]byte("\n<html>"))
	signatures := map[string]string{
		evidence.TypePNG: pngSignature, evidence.TypeJPEG: "\xff\xd8\xff", evidence.TypeWebP: "RIFF", evidence.TypePDF: "%PDF-",
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		got, err := evidence.Sniff(head)
		if err != nil {
			return
		}
		want, known := signatures[got]
		if got == evidence.TypePDF {
			head = bytes.TrimLeft(head, "\xef\xbb\xbf\r\n\t ")
		}
		if !known || !bytes.HasPrefix(head, []byte(want)) {
			t.Errorf("%.20q is said to be %q", head, got)
		}
	})
}
