package money

import (
	"maps"
	"slices"
)

// Currencies lists every code of the table in alphabetic order.
func Currencies() []Currency {
	return slices.Sorted(maps.Keys(exponents))
}
