package paymentmethods

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/money"
	"countersign/internal/database"
	"countersign/tenancy"
)

// Query says for whom methods are looked for.
type Query struct {
	// Account is whose saved default counts; zero for nobody's.
	Account uuid.UUID
	Country string // ISO 3166 alpha-2
	// Currency is what will be paid in; empty: any. An Amount brings its own.
	Currency money.Currency
	// Allowed are the only methods that the account may use; empty: every one that the country offers.
	Allowed []Method
	// Default is the account's own default, behind what it has saved; empty: none.
	Default Method
	// Amount is what will be paid; nil: not known yet, and limits refuse nothing.
	Amount *money.Money
}

// QueryOf asks for what an account may pay with, in its own currency. Whoever bills in another sets that one.
func QueryOf(a *accounts.Account) Query {
	q := Query{Account: a.ID, Country: a.Country, Currency: a.Currency, Default: Method(a.DefaultPaymentMethod)}
	for _, m := range a.PaymentMethods {
		q.Allowed = append(q.Allowed, Method(m))
	}
	return q
}

func (q Query) currency() money.Currency {
	if q.Amount != nil {
		return q.Amount.Currency
	}
	return q.Currency
}

// Offer is a method that a payer may use, and how.
type Offer struct {
	ConfigID          uuid.UUID
	Method            Method
	DisplayName       string
	Instructions      string
	CountryCode       string         // of the row: the payer's country, or Everywhere
	Currency          money.Currency // of the row, else of the query; may be empty
	SortOrder         int
	IsDefault         bool // exactly one of the list of Available, unless that is empty; never set by Check
	RequiresReference bool
	RequiresEvidence  bool
	Min, Max          *money.Money // both may be paid
	BankDetails       Details
	WalletDetails     Details
	PublishableKey    string // of the method's gateway; set by what shows offers
}

// Available reads the candidates and gives the methods that the payer of q may use.
func Available(ctx context.Context, _ bun.Tx, q Query) ([]Offer, error) {
	var among Candidates
	if err := database.Send(ctx, SelectCandidates(ctx, &among, q.Country, q.Account)); err != nil {
		return nil, err
	}
	return among.Offers(q), nil
}

// Offers gives the methods that the payer of q may use, in the order that staff gave them.
func (among Candidates) Offers(q Query) []Offer {
	offers := []Offer{}
	for _, row := range among.rows {
		if offer, err := decide(row, q); err == nil {
			offers = append(offers, offer)
		}
	}
	slices.SortFunc(offers, func(a, b Offer) int {
		return cmp.Or(cmp.Compare(a.SortOrder, b.SortOrder), cmp.Compare(a.Method, b.Method))
	})
	markDefault(offers, among.saved, q.Default)
	return offers
}

// Check gives the offer under which the payer of q may pay amount by method: the one that Available lists for this
// amount. Otherwise it fails with ErrMethodUnavailable, ErrBelowMinimum or ErrAboveMaximum.
func (among Candidates) Check(q Query, method Method, amount money.Money) (Offer, error) {
	q.Amount = &amount
	for _, row := range among.rows {
		if row.Method == method {
			return decide(row, q)
		}
	}
	return Offer{}, ErrMethodUnavailable
}

// decide is the decision of S3-17: whether the row that counts for a method is an offer to the payer of q.
func decide(row *Config, q Query) (Offer, error) {
	switch {
	case !row.IsEnabled:
		return Offer{}, ErrMethodUnavailable
	case len(q.Allowed) > 0 && !slices.Contains(q.Allowed, row.Method):
		return Offer{}, ErrMethodUnavailable
	case row.Currency != nil && q.currency() != "" && *row.Currency != q.currency():
		return Offer{}, ErrMethodUnavailable
	}
	offer := Offer{ConfigID: row.ID, Method: row.Method, DisplayName: row.DisplayName, Instructions: row.Instructions,
		CountryCode: row.CountryCode, Currency: q.currency(), SortOrder: row.SortOrder, RequiresReference: row.Method.IsManual(),
		RequiresEvidence: row.RequiresEvidence, Min: row.limit(row.MinAmountMinor), Max: row.limit(row.MaxAmountMinor),
		BankDetails: row.BankDetails, WalletDetails: row.WalletDetails}
	if row.Currency != nil {
		offer.Currency = *row.Currency
	}
	if q.Amount == nil {
		return offer, nil
	}
	// A row with limits has a currency, and it is the amount's.
	if offer.Min != nil && q.Amount.Minor < offer.Min.Minor {
		return Offer{}, ErrBelowMinimum.With("limit", offer.Min.String()).With("currency", offer.Min.Currency)
	}
	if offer.Max != nil && q.Amount.Minor > offer.Max.Minor {
		return Offer{}, ErrAboveMaximum.With("limit", offer.Max.String()).With("currency", offer.Max.Currency)
	}
	return offer, nil
}

// markDefault chooses what a form should preselect: what the account saved, what its record says, a bank transfer,
// another method that people decide, the first of the list (seed 003, 3.6).
func markDefault(offers []Offer, saved, own Method) {
	for _, preferred := range []func(Method) bool{
		func(m Method) bool { return m == saved },
		func(m Method) bool { return m == own },
		func(m Method) bool { return m == BankTransfer },
		Method.IsManual,
		func(Method) bool { return true },
	} {
		if i := slices.IndexFunc(offers, func(o Offer) bool { return preferred(o.Method) }); i >= 0 {
			offers[i].IsDefault = true
			return
		}
	}
}

// One row for each method: the country's, else the one for everywhere. The account's saved default comes along.
const (
	configColumns = `pmc.id, pmc.country_code, pmc.payment_method, pmc.display_name, pmc.instructions, pmc.bank_details, pmc.wallet_details, pmc.currency,
  pmc.min_amount_minor, pmc.max_amount_minor, pmc.requires_evidence, pmc.is_enabled, pmc.sort_order`
	selectCandidates = `
SELECT DISTINCT ON (pmc.payment_method) ` + configColumns + `,
  coalesce((SELECT apm.payment_method FROM account_payment_methods AS apm WHERE apm.tenant_id = $1 AND apm.account_id = $3 AND apm.is_default), '')
FROM payment_method_configs AS pmc
WHERE pmc.tenant_id = $1 AND pmc.country_code IN ('*', coalesce(nullif($2, ''), (SELECT a.country FROM accounts AS a WHERE a.tenant_id = $1 AND a.id = $3)))
ORDER BY pmc.payment_method, pmc.country_code = '*'`
	selectForAccounts = `
SELECT DISTINCT ON (c.country, pmc.payment_method) c.country, ` + configColumns + `
FROM (SELECT DISTINCT a.country FROM accounts AS a WHERE a.tenant_id = $1 AND a.id = ANY($2::uuid[])) AS c
JOIN payment_method_configs AS pmc ON pmc.tenant_id = $1 AND pmc.country_code IN ('*', c.country)
ORDER BY c.country, pmc.payment_method, pmc.country_code = '*'`
)

// Candidates are the configured methods, and what the account prefers, among which offers are found.
type Candidates struct {
	rows  []*Config
	saved Method
}

// SelectCandidates reads the candidates for a payer in country, or, when country is empty, in the country of the account.
func SelectCandidates(ctx context.Context, into *Candidates, country string, account uuid.UUID) database.Statement {
	return database.Select("read payment methods", selectCandidates, func(row database.Row) error {
		c := &Config{}
		err := row.Scan(append(c.columns(), &into.saved)...)
		into.rows = append(into.rows, c)
		return err
	}, tenancy.ID(ctx), country, account)
}

// SelectForAccounts reads the candidates for payers in the countries of accounts, by country. What the accounts prefer does
// not come along.
func SelectForAccounts(ctx context.Context, found map[string]Candidates, accounts ...uuid.UUID) database.Statement {
	return database.Select("read payment methods of countries", selectForAccounts, func(row database.Row) error {
		var country string
		c := &Config{}
		err := row.Scan(append([]any{&country}, c.columns()...)...)
		found[country] = Candidates{rows: append(found[country].rows, c)}
		return err
	}, tenancy.ID(ctx), accounts)
}

// columns are what configColumns are read into.
func (c *Config) columns() []any {
	return []any{&c.ID, &c.CountryCode, &c.Method, &c.DisplayName, &c.Instructions, &c.BankDetails, &c.WalletDetails, &c.Currency,
		&c.MinAmountMinor, &c.MaxAmountMinor, &c.RequiresEvidence, &c.IsEnabled, &c.SortOrder}
}
