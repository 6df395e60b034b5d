package evidence

// EventUploaded tells of a new file. It belongs to the account.
const EventUploaded = "evidence.uploaded"

// UploadedEvent is the payload of evidence.uploaded.
type UploadedEvent struct {
	ID          string `json:"id"`
	AccountID   string `json:"account_id"`
	ContentType string `json:"content_type"`
	SizeBytes   int64  `json:"size_bytes"`
}
