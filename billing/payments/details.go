package payments

import (
	"maps"
	"slices"
	"strings"

	"countersign/billing/paymentmethods"
)

// kind is what a value of the details is, and so how it is compared.
type kind string

// The kinds.
const (
	kindText    kind = "text"
	kindNumber  kind = "number"
	kindInteger kind = "integer"
	kindTime    kind = "time" // a text; without a zone it is taken as UTC
	kindBoolean kind = "boolean"
	kindAny     kind = "any" // what its sender made of it
)

// shape is what the details of a gateway may hold (S0-23, S0-45 to S0-50), by paths: keys joined by a slash, and * for each
// place of a list.
type shape struct {
	texts, numbers, integers, times, booleans []string
	// free are objects whose keys are their sender's own. What stands there under a key that looks personal is sealed.
	free []string
	// sealed are texts about a person: stored encrypted, shown by their end, found by the whole value only.
	sealed []string
	// secret is never stored: it could be used to act in the tenant's name (W-34).
	secret []string
	// keyed are those of the plain paths whose value names one payment or a few, so that equality asks an index (W-30).
	keyed []string
}

// processor is what is kept of a processor that the tenant has connected by himself.
var processor = shape{texts: []string{"error_code", "error_note"}, free: []string{"data"}}

// shapes are the details of all gateways. What stands in none of them is neither stored nor looked for.
var shapes = map[string]shape{
	"click": {
		texts:    []string{"merchant_trans_id", "error_note", "link"},
		integers: []string{"service_id", "merchant_id", "merchant_user_id", "merchant_prepare_id", "merchant_confirm_id", "pay_doc_id", "payment_id", "payment_status", "error_code"},
		times:    []string{"sign_time"},
		free:     []string{"params"},
		secret:   []string{"sign_string"},
		keyed:    []string{"merchant_trans_id", "merchant_prepare_id", "merchant_confirm_id", "pay_doc_id", "payment_id"},
	},
	"payme": {
		texts:    []string{"merchant_id", "id", "transaction", "link", "receivers/*/id"},
		integers: []string{"state", "time", "created_time", "perform_time", "cancel_time", "receivers/*/amount", "reason", "error_code"}, // times in milliseconds
		free:     []string{"account", "additional", "params"},
		keyed:    []string{"id", "transaction"},
	},
	"octo": {
		texts: []string{"shop_transaction_id", "octo_payment_uuid", "status", "description", "card_type", "card_country", "rrn", "return_url", "octo_pay_url",
			"err_message"},
		numbers:  []string{"refunded_sum", "transfer_sum"},
		integers: []string{"octo_shop_id", "risk_level", "error"},
		times:    []string{"init_time", "payed_time"},
		booleans: []string{"auto_capture", "test", "card_is_physical"},
		sealed:   []string{"card_masked_pan"},
		secret:   []string{"signature", "hash_key", "notify_url"}, // the address holds the token by which the provider's calls are known
		keyed:    []string{"shop_transaction_id", "octo_payment_uuid", "rrn"},
	},
	"stripe": {
		texts: []string{"mode", "billing_reason", "session_id", "client_reference_id", "invoice_id", "subscription_id", "customer_id", "subscription_data/description",
			"items/*/price_id", "success_url", "cancel_url", "url", "payment_intent", "charge", "refund", "refund_status", "decline_code", "stripe_code"},
		integers: []string{"subscription_data/trial_period_days", "items/*/quantity", "items/*/adjustable_quantity/minimum", "items/*/adjustable_quantity/maximum"},
		booleans: []string{"items/*/adjustable_quantity/enabled"},
		keyed:    []string{"session_id", "client_reference_id", "invoice_id", "subscription_id", "customer_id", "payment_intent", "charge", "refund"},
	},
	"manual": {
		texts:  []string{"payer_name", "bank_name", "branch", "account_last4", "wallet_provider"},
		sealed: []string{"sender_number", "sender_phone", "wallet_number", "account_number", "voucher_number"},
		keyed:  []string{"payer_name"},
	},
	"sandbox":    {texts: []string{"sandbox_reference"}, keyed: []string{"sandbox_reference"}},
	"cash":       {free: []string{"data"}},
	"integrator": processor,
	"paypal":     processor,
	"voucher":    processor,
	"bkash":      processor,
	"nagad":      processor,
	"rocket":     processor,
	"dbbl":       processor,
	"sslcommerz": processor,
}

// detailField is one place in the details of a gateway. The zero value holds other places and no value.
type detailField struct {
	kind   kind
	sealed bool
	secret bool
	keyed  bool
	free   bool // so is everything below
	below  map[string]*detailField
}

// fields are the shapes as trees.
var fields = func() map[string]*detailField {
	trees := map[string]*detailField{}
	for gateway, s := range shapes {
		root := &detailField{}
		each := func(paths []string, set func(*detailField)) {
			for _, path := range paths {
				set(root.plant(path))
			}
		}
		for of, paths := range map[kind][]string{kindText: s.texts, kindNumber: s.numbers, kindInteger: s.integers, kindTime: s.times, kindBoolean: s.booleans} {
			each(paths, func(f *detailField) { f.kind = of })
		}
		each(s.free, func(f *detailField) { f.free = true }) // an object: of no kind itself
		each(s.sealed, func(f *detailField) { f.kind, f.sealed = kindText, true })
		each(s.secret, func(f *detailField) { f.secret = true })
		each(s.keyed, func(f *detailField) { f.keyed = true })
		trees[gateway] = root
	}
	return trees
}()

func (f *detailField) plant(path string) *detailField {
	for key := range strings.SplitSeq(path, "/") {
		if f.below == nil {
			f.below = map[string]*detailField{}
		}
		if f.below[key] == nil {
			f.below[key] = &detailField{}
		}
		f = f.below[key]
	}
	return f
}

// at gives the place that key leads to, nil when there is none. list: the key is a place in a list.
func (f *detailField) at(key string, list bool) *detailField {
	switch {
	case f.free:
		return &detailField{kind: kindAny, free: true, keyed: true, sealed: f.sealed || !list && paymentmethods.IsPersonal(key)}
	case list:
		return f.below["*"]
	case key == "*":
		return nil
	default:
		return f.below[key]
	}
}

// isIndex says whether a key may be a place in a list.
func isIndex(key string) bool {
	return key != "" && len(key) <= 6 && strings.Trim(key, "0123456789") == "" && (key == "0" || key[0] != '0')
}

// find gives the place of a whole path, nil when nothing is stored there.
func (f *detailField) find(path []string) *detailField {
	for _, key := range path {
		next := f.at(key, false)
		if next == nil && isIndex(key) {
			next = f.at(key, true)
		}
		if f = next; f == nil {
			return nil
		}
	}
	if f.kind == "" {
		return nil
	}
	return f
}

// searchable lists the paths of a gateway that can be searched, for people to read.
func searchable(gateway string) []string {
	var list []string
	var walk func(f *detailField, path string)
	walk = func(f *detailField, path string) {
		switch {
		case f.free:
			list = append(list, path+"/…")
		case f.kind != "":
			list = append(list, path)
		}
		for key, next := range f.below {
			walk(next, strings.TrimPrefix(path+"/"+key, "/"))
		}
	}
	walk(fields[gateway], "")
	slices.Sort(list)
	return list
}

// gatewayNames lists the gateways that payments may come by.
func gatewayNames() []string { return slices.Sorted(maps.Keys(shapes)) }

// detailKeys are what the details of a manual payment may say (S0-23).
func detailKeys() []string { return slices.Sorted(maps.Keys(fields["manual"].below)) }
