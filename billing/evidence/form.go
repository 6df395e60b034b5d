package evidence

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"countersign/internal/carddata"
	"countersign/internal/errs"
	"countersign/internal/web"
)

const (
	// formOverhead is what a form may have besides its files: the values of its other fields, and headers of parts.
	formOverhead = 128 << 10
	// maxParts bounds the loop over a form's parts, which may be as small as their headers.
	maxParts = 100
	// maxFilename is how many bytes of a file's name are kept.
	maxFilename = 200
)

// Upload is a received file with the name that its sender gave it, made safe to keep.
type Upload struct {
	*Received
	Filename string // at most 200 bytes, without folders and control characters; may be empty
}

// Form is a received form. Close it, and the files that were not stored are gone.
type Form struct {
	// Values are the other fields; web.DecodeForm reads them.
	Values map[string][]string
	// Files are those of the one file field, in the sender's order.
	Files []*Upload
}

// Close drops the temporary files.
func (f *Form) Close() error {
	var trouble []error
	for _, file := range f.Files {
		trouble = append(trouble, file.Close())
	}
	return errors.Join(trouble...)
}

// IsForm says whether a request declares its body as a form with files.
func IsForm(r *http.Request) bool {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && mediaType == "multipart/form-data"
}

// ReceiveForm reads a form whose files, at most maxFiles of at most MaxSize bytes each, are in one field. It reads the
// body once, keeps no file in memory, and stops at the first fault: ErrFormRequired, ErrMalformedForm, ErrTooManyFiles
// and web.ErrUnknownField at the field, web.ErrBodyTooLarge, or what Receive refuses, at the file field. A body that
// announces too much is refused before any of it is read. No file at all is for the caller to judge.
func ReceiveForm(r *http.Request, field string, maxFiles int) (*Form, error) {
	if !IsForm(r) {
		return nil, ErrFormRequired
	}
	limit := int64(maxFiles)*MaxSize + formOverhead
	if r.ContentLength > limit {
		return nil, formTooLarge(field, maxFiles)
	}
	body := *r
	body.Body = http.MaxBytesReader(nil, r.Body, limit)
	reader, err := body.MultipartReader()
	if err != nil {
		return nil, ErrMalformedForm.Because(err)
	}
	form := &Form{Values: map[string][]string{}}
	if err := form.read(r.Context(), reader, field, maxFiles); err != nil {
		if stopped := (*http.MaxBytesError)(nil); errors.As(err, &stopped) {
			err = formTooLarge(field, maxFiles)
		}
		return nil, errors.Join(err, form.Close())
	}
	return form, nil
}

// formTooLarge blames the file where there can be only one: nothing else in a form is that large.
func formTooLarge(field string, maxFiles int) error {
	if maxFiles == 1 {
		return ErrTooLarge.With("limit", "10 MiB").At(field)
	}
	return web.ErrBodyTooLarge
}

func (f *Form) read(ctx context.Context, reader *multipart.Reader, field string, maxFiles int) error {
	left := int64(formOverhead)
	for range maxParts {
		part, err := reader.NextPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return formError(err)
		}
		if carddata.Holds(part.FormName()) {
			return web.ErrCardData.At(carddata.Mask(part.FormName()))
		}
		if part.FormName() == field || part.FileName() != "" {
			if err := f.file(ctx, part, field, maxFiles); err != nil {
				return err
			}
			continue
		}
		value, err := io.ReadAll(io.LimitReader(part, left+1))
		if err != nil {
			return formError(err)
		}
		if left -= int64(len(value)); left < 0 {
			return web.ErrBodyTooLarge
		}
		f.Values[part.FormName()] = append(f.Values[part.FormName()], string(value))
	}
	return ErrMalformedForm
}

func (f *Form) file(ctx context.Context, part *multipart.Part, field string, maxFiles int) error {
	if part.FormName() != field {
		return web.ErrUnknownField.At(part.FormName())
	}
	name := originalName(part)
	if namesCard(name) {
		return web.ErrCardData.At(field)
	}
	if len(f.Files) == maxFiles {
		return ErrTooManyFiles.With("limit", maxFiles).At(field)
	}
	received, err := Receive(ctx, part, MaxSize)
	if errors.Is(err, ErrEmpty) && part.FileName() == "" {
		return nil // a browser's form in which no file was chosen
	}
	if refused := errs.As(err); refused != nil {
		return refused.At(field)
	}
	if err != nil {
		return err
	}
	if strings.ContainsAny(name, `/\`) {
		received.Close()
		return ErrFilename.At(field)
	}
	f.Files = append(f.Files, &Upload{Received: received, Filename: SafeFilename(name)})
	return nil
}

// originalName is the name as it was sent; that of part.FileName has lost what the path package takes for folders.
func originalName(part *multipart.Part) string {
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil {
		return part.FileName()
	}
	return params["filename"]
}

// namesCard looks for a card number in a name as it was sent, and as it is stored: what SafeFilename leaves out may have
// stood between the pieces of one, and an ending that is kept may come to stand behind others. In between, since a cut
// leaves all but a digit of a number that was whole.
func namesCard(name string) bool {
	plain := plainFilename(name)
	return carddata.Holds(name) || carddata.Holds(plain) || carddata.Holds(shortFilename(plain))
}

func formError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrIncomplete.Because(err)
	}
	return ErrMalformedForm.Because(err)
}

// SafeFilename makes a sender's file name one to keep and show: the last part, should it be a path of any system, without
// characters that control a terminal or turn the direction of writing, and at most 200 bytes, its ending preserved.
func SafeFilename(name string) string { return shortFilename(plainFilename(name)) }

func plainFilename(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) || c == utf8.RuneError {
			return -1
		}
		return c
	}, strings.ToValidUTF8(name, ""))
	return strings.Trim(name, " .")
}

func shortFilename(name string) string {
	if len(name) <= maxFilename {
		return name
	}
	ending := path.Ext(name)
	if len(ending) > 16 {
		ending = ""
	}
	return strings.TrimRight(strings.ToValidUTF8(name[:maxFilename-len(ending)], ""), " .") + ending
}
