package paymentmethods

import (
	"fmt"
	"io/fs"
	"strings"
)

// FixtureCountries lists the countries that have a file of rows.
func FixtureCountries() []string {
	entries, err := fs.ReadDir(fixtures, "fixtures")
	if err != nil {
		panic(fmt.Sprintf("paymentmethods: read embedded fixtures: %v", err))
	}
	var codes []string
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".yaml")
		if name != everywhereFixtures {
			codes = append(codes, strings.ToUpper(name))
		}
	}
	return codes
}
