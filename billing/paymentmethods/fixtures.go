package paymentmethods

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/uptrace/bun"
	"gopkg.in/yaml.v3"

	"countersign/tenancy"
)

// Which methods a country usually has, to begin with. A new country is a new file, named by its code in lower case.
//
//go:embed fixtures/*.yaml
var fixtures embed.FS

// everywhereFixtures is the file whose rows hold in all countries.
const everywhereFixtures = "global"

// fixture is a row of a fixture file. What it leaves out is empty, and the row is on unless it says otherwise.
type fixture struct {
	PaymentMethod    string  `yaml:"payment_method"`
	DisplayName      string  `yaml:"display_name"`
	Instructions     string  `yaml:"instructions"`
	BankDetails      Details `yaml:"bank_details"`
	WalletDetails    Details `yaml:"wallet_details"`
	Currency         string  `yaml:"currency"`
	MinAmount        string  `yaml:"min_amount"`
	MaxAmount        string  `yaml:"max_amount"`
	RequiresEvidence bool    `yaml:"requires_evidence"`
	Disabled         bool    `yaml:"disabled"`
	SortOrder        int     `yaml:"sort_order"`
}

func (f fixture) input(country string) ConfigInput {
	enabled := !f.Disabled
	return ConfigInput{CountryCode: &country, Method: &f.PaymentMethod, DisplayName: &f.DisplayName, Instructions: &f.Instructions,
		BankDetails: orEmpty(f.BankDetails), WalletDetails: orEmpty(f.WalletDetails), Currency: &f.Currency,
		MinAmount: orZero(f.MinAmount), MaxAmount: orZero(f.MaxAmount), RequiresEvidence: &f.RequiresEvidence,
		IsEnabled: &enabled, SortOrder: &f.SortOrder}
}

func orEmpty(d Details) Details {
	if d == nil {
		return Details{}
	}
	return d
}

func orZero(amount string) *string {
	if amount == "" {
		amount = "0"
	}
	return &amount
}

// LoadFixtures gives the tenant of ctx the usual rows for everywhere and for the named countries; a country without a
// file adds nothing. Rows that are there are set back to what the files say, and a second run changes nothing.
func (s *Service) LoadFixtures(ctx context.Context, countries ...string) error {
	var inputs []ConfigInput
	for _, country := range append([]string{Everywhere}, countries...) {
		rows, err := readFixtures(country)
		if err != nil {
			return err
		}
		for _, row := range rows {
			inputs = append(inputs, row.input(country))
		}
	}
	return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		for _, in := range inputs {
			if err := s.upsertConfig(ctx, tx, in); err != nil {
				return fmt.Errorf("load payment method %s of %s: %w", *in.Method, *in.CountryCode, err)
			}
		}
		return nil
	})
}

func readFixtures(country string) ([]fixture, error) {
	name := strings.ToLower(country)
	if country == Everywhere {
		name = everywhereFixtures
	}
	raw, err := fixtures.ReadFile("fixtures/" + name + ".yaml")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read payment methods of %s: %w", country, err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	var rows []fixture
	if err := dec.Decode(&rows); err != nil {
		return nil, fmt.Errorf("read payment methods of %s: %w", country, err)
	}
	return rows, nil
}

func (s *Service) upsertConfig(ctx context.Context, tx bun.Tx, in ConfigInput) error {
	var found []*Config
	err := configs(ctx, tx).Where("pmc.country_code = ?", *in.CountryCode).Where("pmc.payment_method = ?", *in.Method).For("UPDATE").Scan(ctx, &found)
	if err != nil {
		return fmt.Errorf("look for the row: %w", err)
	}
	if len(found) == 0 {
		_, err := s.createConfig(ctx, tx, in)
		return err
	}
	wanted := *found[0]
	if err := in.apply(&wanted); err != nil {
		return err
	}
	unchanged, err := sameFacts(&wanted, found[0])
	if err != nil || unchanged {
		return err
	}
	return s.updateConfig(ctx, tx, found[0], in)
}

// sameFacts compares rows as JSON, in which details from YAML and from the database look the same.
func sameFacts(a, b *Config) (bool, error) {
	left, err := json.Marshal(configFacts(a))
	if err != nil {
		return false, fmt.Errorf("compare payment methods: %w", err)
	}
	right, err := json.Marshal(configFacts(b))
	if err != nil {
		return false, fmt.Errorf("compare payment methods: %w", err)
	}
	return bytes.Equal(left, right), nil
}
