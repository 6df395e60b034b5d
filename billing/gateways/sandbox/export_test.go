package sandbox

import (
	"maps"
	"slices"
)

// Token is a payer's token and what it does.
type Token struct {
	Name  string
	About string
}

// Tokens lists the tokens, by name.
func Tokens() []Token {
	var list []Token
	for _, name := range slices.Sorted(maps.Keys(behaviours)) {
		list = append(list, Token{name, behaviours[name].about})
	}
	return list
}
