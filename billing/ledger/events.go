package ledger

// EventIntegrityBroken says that the nightly task found transactions or balances that cannot be right: a bug or fraud
// (S1-28). Its payload is an IntegrityBroken.
const EventIntegrityBroken = "ledger.integrity_broken"

// IntegrityBroken is the payload of EventIntegrityBroken.
type IntegrityBroken struct {
	Count    int       `json:"count"`    // of all findings, each check giving up to 100
	Problems []Problem `json:"problems"` // the first of them
}
