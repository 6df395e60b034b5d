package sandbox

import (
	"countersign/billing/gateways"
)

// The operations of the log.
const (
	begin   = "begin"
	capture = "capture"
	release = "release"
	refund  = "refund"
	status  = "status"
)

// behaviour is what a token makes the sandbox do. The zero value pays at once.
type behaviour struct {
	about   string
	fails   string         // the failure's code: the payer is refused
	answers gateways.State // what Begin ends in, instead of paid or authorised
	becomes gateways.State // where the order goes by itself, after the delay of callbacks
	lost    bool           // the request never arrives
	slow    bool
	drops   string // the operation whose first answer is dropped after acting
	down    string // the operation that fails twice before it acts
	refuses string // the operation that is refused by the provider's rules
	short   int64  // how much less than was asked is taken, in minor units
	news    []news
}

// news is a callback. Several with one name are copies of one message.
type news struct {
	name  string
	state gateways.State
	wait  int // in delays of callbacks
}

// behaviours are the tokens. What is not here is refused as invalid_token.
var behaviours = map[string]behaviour{
	"tok_visa":       {about: "pays"},
	"tok_mastercard": {about: "pays"},

	"tok_decline":            {about: "is declined", fails: "card_declined"},
	"tok_insufficient_funds": {about: "is declined for lack of money", fails: "insufficient_funds"},
	"tok_expired_card":       {about: "is declined as expired", fails: "expired_card"},

	"tok_timeout":         {about: "pays, and the first answer is lost", drops: begin},
	"tok_timeout_decline": {about: "is declined, and the first answer is lost", drops: begin, fails: "card_declined"},
	"tok_lost":            {about: "never reaches the provider, which knows nothing of it", lost: true},
	"tok_slow":            {about: "pays, and answers after the delay of the setting slow_ms", slow: true},
	"tok_down":            {about: "finds the provider down twice, and pays at the third attempt", down: begin},
	"tok_wrong_amount":    {about: "pays one minor unit less than was asked", short: 1},

	"tok_3ds":   {about: "needs the payer, who approves or declines on the provider's page", answers: gateways.StateAwaitingCustomer},
	"tok_async": {about: "is processing, and pays later, which a callback says", answers: gateways.StateProcessing, becomes: gateways.StatePaid, news: []news{{"outcome", gateways.StatePaid, 1}}},
	"tok_late_decline": {about: "is processing, and is declined later, which a callback says", answers: gateways.StateProcessing, becomes: gateways.StateFailed,
		news: []news{{"outcome", gateways.StateFailed, 1}}},

	"tok_duplicate_callback": {about: "pays at once, and says so in three equal callbacks", news: []news{{"outcome", gateways.StatePaid, 1}, {"outcome", gateways.StatePaid, 1}, {"outcome", gateways.StatePaid, 2}}},
	"tok_reordered_callbacks": {about: "is processing, pays later, and says so before it says that it is processing", answers: gateways.StateProcessing, becomes: gateways.StatePaid,
		news: []news{{"outcome", gateways.StatePaid, 1}, {"progress", gateways.StateProcessing, 2}}},
	"tok_contradiction": {about: "pays, and a callback says that it has failed", news: []news{{"contradiction", gateways.StateFailed, 1}}},

	"tok_capture_timeout": {about: "loses the first answer to a capture", drops: capture},
	"tok_capture_down":    {about: "is down for the first two attempts to capture", down: capture},
	"tok_capture_decline": {about: "refuses to capture", refuses: capture},
	"tok_release_timeout": {about: "loses the first answer to a release", drops: release},
	"tok_refund_timeout":  {about: "loses the first answer to a refund", drops: refund},
	"tok_refund_down":     {about: "is down for the first two attempts to refund", down: refund},
	"tok_refund_decline":  {about: "refuses to refund", refuses: refund},
}

// invalid is what any other token gets.
var invalid = behaviour{fails: "invalid_token"}

// reasons are the provider's words for its failures.
var reasons = map[string]string{
	"card_declined":      "The card was declined.",
	"insufficient_funds": "The card has too little money.",
	"expired_card":       "The card has expired.",
	"invalid_token":      "There is no such payment token.",
}

func behaviourOf(token string) behaviour {
	if b, ok := behaviours[token]; ok {
		return b
	}
	return invalid
}
