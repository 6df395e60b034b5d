// Package evidence keeps what a payer shows to prove a payment: the receipt, the screenshot, the bank's PDF.
//
// It owns the way of an uploaded file into the house (received once, measured, recognised by its content, hashed), the
// place where its bytes lie, outside the database, and a row for each upload. It does not own what a file proves:
// payments link evidence and people decide.
//
//	receive into a temporary file  →  Store puts the bytes away, outside any transaction  →  Record adds the row
//
// A crash between the last two leaves an object without a row. It is harmless: nobody can read it, and the same file
// sent again finds it in its place, because an object's key is its tenant and its content.
//
// A file is never trusted. Its name and its declared type are ignored; only PDF, PNG, JPEG and WebP are taken, by
// content. A picture is decoded before anything of it is kept, and refused when that fails or would take too much
// memory: evidence is there to be looked at. A PDF is not opened, so that nothing in it unfolds here; only its start
// is looked at, and two of them can be compared by their bytes alone.
//
// What is kept may still be a polyglot: telephones and editors write their own data behind the end of a picture, so
// that cannot be refused. It is harmless because files are only ever served under the type that was recognised, with
// X-Content-Type-Options: nosniff, in a sandbox without scripts, and as attachments unless a picture is asked for.
//
// Three fingerprints tell a receipt that was used before:
//
//	SHA-256 of the bytes     the same file
//	PixelHash                the same picture, whatever the file format and its metadata
//	PerceptualHash           a picture that looks the same after scaling and recompression: a hint, never a proof
package evidence
