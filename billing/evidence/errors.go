package evidence

import (
	"errors"

	"countersign/internal/errs"
)

// ErrUnsupportedType means that the content of a file is not one of the accepted types, whatever its name says.
var ErrUnsupportedType = errs.UnsupportedMedia("unsupported_evidence_type", "Only PDF, PNG, JPEG and WebP files are accepted as evidence.")

// ErrFilename means that a file is named by a path.
var ErrFilename = errs.Invalid("evidence_filename", "The file's name holds / or \\. Send the name alone, without folders.")

// ErrEmpty means that a file has no content.
var ErrEmpty = errs.Invalid("evidence_empty", "The file is empty.")

// ErrUnreadable means that a file begins like a picture and cannot be decoded: it is damaged, cut off, or of a variety
// that hardly any program shows. Nobody could look at it.
var ErrUnreadable = errs.Invalid("evidence_unreadable",
	"This picture cannot be opened: the file is damaged, incomplete or of a rare kind. Please send another photo, or a screenshot.")

// ErrPictureTooLarge means that a picture has more pixels than are decoded, however small its file is.
var ErrPictureTooLarge = errs.TooLarge("evidence_picture_too_large",
	"This picture is too large: at most {{.limit}} megapixels, and {{.side}} pixels on a side. Please send a smaller copy.")

// ErrTooLarge means that a file has more bytes than the limit.
var ErrTooLarge = errs.TooLarge("evidence_too_large", "The file is larger than {{.limit}}.")

// ErrIncomplete means that the client stopped before the end of the file.
var ErrIncomplete = errs.Invalid("evidence_incomplete", "The upload broke off before the end of the file. Please send it again.")

// ErrFileRequired means that the form has no file in its file field.
var ErrFileRequired = errs.Invalid("evidence_file_required", "Send the file in this form field.")

// ErrTooManyFiles means that the form has more files than the call takes.
var ErrTooManyFiles = errs.Invalid("too_many_files", "At most {{.limit}} files are taken at once here.")

// ErrFormRequired means that the body is declared as something else than a form with files.
var ErrFormRequired = errs.UnsupportedMedia("multipart_required", "Send a form with files, with Content-Type: multipart/form-data.")

// ErrMalformedForm means that the body is not the form that it says it is.
var ErrMalformedForm = errs.Invalid("malformed_form", "The body is not a valid multipart form.")

// ErrUnknownEvidence means that an id names no evidence of the account.
var ErrUnknownEvidence = errs.Invalid("unknown_evidence", "There is no such evidence of this account. Upload it first.")

// ErrStorageUnavailable means that the object store does not answer. Nothing was stored; try again later.
var ErrStorageUnavailable = errs.Unavailable("evidence_storage_unavailable", "Files cannot be stored or read right now. Please try again.")

// The errors of Storage below are not for clients: behind a row in the database each of them is a fault of ours.
var (
	// ErrObjectMissing means that nothing is stored under the key.
	ErrObjectMissing = errors.New("evidence: no object under this key")
	// ErrBadKey means that a key is not of the form <hex or dash>/<hex or dash>.
	ErrBadKey = errors.New("evidence: malformed storage key")
	// ErrSizeMismatch means that a reader held more or fewer bytes than was announced, or that none were announced.
	ErrSizeMismatch = errors.New("evidence: content does not have the announced size")
)
