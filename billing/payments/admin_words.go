package payments

import (
	"slices"
	"strconv"

	"countersign/billing/evidence"
	"countersign/billing/paymentmethods"
	"countersign/internal/admin"
)

// signalLabel is what a signal is called in a row, and how much it weighs.
func signalLabel(code string) (admin.Tone, string) {
	switch code {
	case SignalSameReceipt:
		return admin.ToneBad, "receipt seen before"
	case SignalSamePixels:
		return admin.ToneBad, "same picture"
	case SignalReferenceUsed:
		return admin.ToneBad, "reference seen before"
	case SignalReferenceSeen:
		return admin.ToneWait, "reference used elsewhere"
	case SignalOtherInvoice:
		return admin.ToneWait, "another invoice"
	case SignalSimilarReceipt:
		return admin.ToneWait, "similar receipt"
	case SignalAmountDiffers:
		return admin.ToneWait, "amount differs"
	case SignalManySubmissions:
		return admin.ToneWait, "many submissions"
	case SignalFirstPayment:
		return admin.ToneInfo, "first payment"
	case SignalNoEvidence:
		return admin.ToneInfo, "receipt missing"
	default:
		return admin.ToneMute, code
	}
}

// SignalOptions lists the signals for a select, the weightiest first.
func SignalOptions() []admin.Option {
	var options []admin.Option
	for _, code := range SignalCodes() {
		_, label := signalLabel(code)
		options = append(options, admin.Option{Value: code, Label: label})
	}
	return options
}

func signalTags(r admin.Reader, signals []Signal) []admin.Tag {
	var tags []admin.Tag
	for _, s := range translated(r.Language, signals) {
		tone, label := signalLabel(s.Code)
		tags = append(tags, admin.Tag{Tone: tone, Label: label, Title: s.Sentence})
	}
	return tags
}

func signalNotes(r admin.Reader, signals []Signal) []admin.Note {
	var notes []admin.Note
	for _, s := range translated(r.Language, signals) {
		tone, _ := signalLabel(s.Code)
		notes = append(notes, admin.Note{Tone: tone, Text: s.Sentence})
	}
	return notes
}

func hasSignal(signals []Signal, code string) bool {
	return slices.ContainsFunc(signals, func(s Signal) bool { return s.Code == code })
}

// statusOptions are the statuses of manual payments, for a filter.
func statusOptions() []admin.Option {
	var options []admin.Option
	for _, s := range []Status{StatusPendingApproval, StatusProcessing, StatusSucceeded, StatusPartiallyRefunded, StatusRefunded, StatusFailed, StatusCancelled,
		StatusExpired, StatusCreated, StatusPending, StatusAuthorized} {
		options = append(options, admin.Option{Value: string(s), Label: admin.StatusBadge(string(s)).Label})
	}
	return options
}

func methodOptions(methods ...paymentmethods.Method) []admin.Option {
	var options []admin.Option
	for _, m := range methods {
		options = append(options, admin.Option{Value: string(m), Label: paymentmethods.Label(m)})
	}
	return options
}

// typeLabel names the type of a file.
func typeLabel(contentType string) string {
	switch contentType {
	case evidence.TypePDF:
		return "PDF"
	case "image/png":
		return "PNG picture"
	case "image/jpeg":
		return "JPEG picture"
	case "image/webp":
		return "WebP picture"
	default:
		return contentType
	}
}

// sizeText gives a size in the unit that says enough.
func sizeText(bytes int64) string {
	switch {
	case bytes < 1000:
		return strconv.FormatInt(bytes, 10) + " B"
	case bytes < 1_000_000:
		return strconv.FormatInt((bytes+500)/1000, 10) + " KB"
	default:
		return strconv.FormatInt(bytes/1_000_000, 10) + "." + strconv.FormatInt(bytes%1_000_000/100_000, 10) + " MB"
	}
}

// eventText says what an event of a payment means to people; empty for events that only repeat another one.
func eventText(kind string, p *Payment, payload Snapshot) (admin.Tone, string) {
	claim := p.Gateway == string(paymentmethods.GatewayManual)
	switch kind {
	case EventCreated:
		if claim {
			return "", ""
		}
		return admin.ToneInfo, "Begun: {{.amount}}"
	case EventUpdated:
		return changeText(payload.Status, claim)
	case EventSubmitted:
		return admin.ToneWait, "Submitted for approval"
	case EventApprovalRecorded:
		return admin.ToneInfo, "First approval recorded"
	case EventApproved:
		return admin.ToneInfo, "Approved"
	case EventRejected:
		return admin.ToneBad, "Refused"
	case EventAuthorized:
		return admin.ToneInfo, "The money is held"
	case EventFailed:
		return admin.ToneBad, "Declined"
	case EventExpired:
		return admin.ToneMute, "Expired"
	case EventCancelled:
		if claim {
			return admin.ToneMute, "Withdrawn"
		}
		return admin.ToneMute, "Cancelled"
	case EventSucceeded:
		return admin.ToneOK, "Posted to the ledger: {{.amount}}"
	case EventPartiallyRefunded, EventRefunded:
		return admin.ToneInfo, "Given back so far: {{.amount}}"
	case EventAnomaly:
		return admin.ToneBad, "Something was said of it that does not fit"
	case EventAnomalyResolved:
		return admin.ToneInfo, "Somebody has dealt with what does not fit"
	case EventGatewayAlarm:
		return admin.ToneBad, "The provider does not accept the settings"
	case EventSetAside:
		return admin.ToneBad, "The settlement could not take it"
	case EventResumed:
		return admin.ToneInfo, "Given back to the worker"
	default:
		return "", ""
	}
}

// changeText says what a change without a name of its own means.
func changeText(now Status, claim bool) (admin.Tone, string) {
	switch {
	case claim:
		return admin.ToneMute, "The customer's note was changed"
	case now == StatusPending:
		return admin.ToneWait, "Waiting for somebody to act"
	case now == StatusProcessing:
		return admin.ToneInfo, "The provider is working on it"
	default:
		return "", ""
	}
}

// shownStatus is the console's word for where a payment stands: one word of ours means different things for a claim, for
// cash, and for what a provider is asked for.
func shownStatus(p *Payment) string {
	cash := p.Gateway == string(paymentmethods.GatewayCash)
	switch {
	case p.Gateway == string(paymentmethods.GatewayManual):
	case p.Status == StatusPending && cash:
		return "to_complete"
	case p.Status == StatusPending:
		return "awaiting_payer"
	case p.Status == StatusProcessing:
		return "at_provider"
	case p.Status == StatusAuthorized:
		return "held"
	case p.Status == StatusFailed:
		return "declined"
	case p.Status == StatusCancelled:
		return "called_off"
	}
	return string(p.Status)
}

// reasons are offered for a refusal; they can be changed before they are sent.
func reasons(r admin.Reader) []string {
	return []string{r.Say("The transfer is not on the bank statement."), r.Say("The amount does not match."), r.Say("The receipt cannot be read."),
		r.Say("The receipt belongs to another payment.")}
}
