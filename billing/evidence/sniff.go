package evidence

import (
	"regexp"

	"github.com/gabriel-vasile/mimetype"
)

// The content types that are taken as evidence.
const (
	TypePDF  = "application/pdf"
	TypePNG  = "image/png"
	TypeJPEG = "image/jpeg"
	TypeWebP = "image/webp"
)

// SniffLength is how many bytes from the start of a file Sniff wants to see; a shorter file is given whole.
const SniffLength = 4096

// Sniff tells what a file is from its first bytes alone. It answers with one of the Type constants, ErrEmpty for no
// bytes, or ErrUnsupportedType. An animated PNG is refused as well: it shows more than the one picture that is
// fingerprinted.
func Sniff(head []byte) (string, error) {
	if len(head) == 0 {
		return "", ErrEmpty
	}
	switch found := mimetype.Detect(head).String(); found {
	case TypePNG, TypeJPEG, TypeWebP:
		return found, nil
	case TypePDF:
		if pdfStart.Match(head) {
			return found, nil
		}
	}
	return "", ErrUnsupportedType
}

// pdfStart asks for more than PDF readers do. They accept the marker anywhere in the first kilobyte, which makes a PDF
// of a web page or a script that mentions it there; and it is nothing without the version behind it.
var pdfStart = regexp.MustCompile(`^\x{FEFF}?[\r\n\t ]*%PDF-[12]\.[0-9]`)
