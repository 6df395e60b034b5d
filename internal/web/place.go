package web

import (
	"strconv"

	"countersign/internal/carddata"
)

// place is where a value stands in a body: under a key or in a list of what holds it; nil is the body itself. It is made
// for each value and becomes a text only for a fault, since the sender decides how many and how deep they are.
type place struct {
	holder *place
	key    string
	index  int // in a list; -1: there is a key
}

func (p *place) under(key string) *place { return &place{p, key, -1} }

func (p *place) item(index int) *place { return &place{p, "", index} }

// String is the path under which a fault is told. A key is the sender's own and is not given back at any length.
func (p *place) String() string {
	if p == nil {
		return ""
	}
	name := cut(p.key, maxName)
	if p.index >= 0 {
		name = strconv.Itoa(p.index)
	}
	if holder := p.holder.String(); holder != "" {
		return holder + "." + name
	}
	return name
}

// told is a path or a name as it is given back: the beginning of a longer number may be a card's, and so may the pieces of
// a path.
func told(name string) string { return carddata.Mask(name) }
