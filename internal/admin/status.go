package admin

import "strings"

// Tone is the colour of a badge, note or dot: what it asks of the reader.
type Tone string

// The tones. Mute is for what is over and for what has not begun.
const (
	ToneOK   Tone = "ok"
	ToneWait Tone = "wait"
	ToneInfo Tone = "info"
	ToneBad  Tone = "bad"
	ToneMute Tone = "mute"
)

// Badge is a state in a word.
type Badge struct {
	Tone  Tone
	Label string
}

// statuses gives each state of any object its word and tone. States of different objects that share a word mean the
// same here.
var statuses = map[string]Badge{
	// payments
	"created":            {ToneMute, "Created"},
	"pending":            {ToneMute, "Started"},
	"pending_approval":   {ToneWait, "Awaiting approval"},
	"processing":         {ToneInfo, "Approved, being posted"},
	"authorized":         {ToneInfo, "Authorised"},
	"succeeded":          {ToneOK, "Succeeded"},
	"partially_refunded": {ToneInfo, "Partly refunded"},
	"refunded":           {ToneMute, "Refunded"},
	"failed":             {ToneBad, "Refused"},
	"cancelled":          {ToneMute, "Withdrawn"},
	"expired":            {ToneMute, "Expired"},
	// payments that are no claims
	"to_complete":    {ToneWait, "To be completed"},
	"awaiting_payer": {ToneWait, "Waiting for the payer"},
	"at_provider":    {ToneInfo, "At the provider"},
	"held":           {ToneInfo, "Held"},
	"declined":       {ToneBad, "Declined"},
	"called_off":     {ToneMute, "Cancelled"},
	// what does not fit
	"open_anomaly": {ToneBad, "Unresolved"},
	"resolved":     {ToneOK, "Resolved"},
	// invoices
	"draft":          {ToneMute, "Draft"},
	"open":           {ToneInfo, "Open"},
	"partially_paid": {ToneWait, "Partly paid"},
	"paid":           {ToneOK, "Paid"},
	"void":           {ToneMute, "Void"},
	"uncollectible":  {ToneBad, "Uncollectible"},
	"overdue":        {ToneBad, "Overdue"},
	// what lowers an invoice
	"credit_applied": {ToneOK, "Credit"},
	"credit_note":    {ToneInfo, "Credit note"},
	"written_off":    {ToneBad, "Written off"},
	"posted":         {ToneOK, "Written off"},
	"rejected":       {ToneBad, "Rejected"},
	"reversed":       {ToneMute, "Taken back"},
	"converted":      {ToneOK, "Converted"},
	// people, accounts, methods
	"active":   {ToneOK, "Active"},
	"inactive": {ToneMute, "Inactive"},
	"enabled":  {ToneOK, "On"},
	"disabled": {ToneMute, "Off"},
	// work
	"running": {ToneInfo, "Running"},
	"done":    {ToneOK, "Done"},
	"error":   {ToneBad, "Failed"},
	"waiting": {ToneMute, "Waiting"},
	"dead":    {ToneBad, "Given up"},
	"sent":    {ToneOK, "Sent"},
	// proofs
	"proven": {ToneOK, "Proven"},
	"broken": {ToneBad, "Broken"},
}

// StatusBadge gives the badge of a state by its stored word. An unknown word is shown as it is.
func StatusBadge(status string) Badge {
	if b, ok := statuses[status]; ok {
		return b
	}
	return Badge{ToneMute, strings.ReplaceAll(status, "_", " ")}
}

func toneIcon(tone Tone) string {
	switch tone {
	case ToneOK:
		return "check"
	case ToneWait, ToneBad:
		return "warn"
	default:
		return "info"
	}
}
