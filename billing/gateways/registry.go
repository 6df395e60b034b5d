package gateways

import (
	"maps"
	"slices"
)

// Registry knows the gateways of this build by name. It is built in one place, when the program is put together, and
// never changes afterwards.
type Registry struct {
	byName map[string]Gateway
}

// NewRegistry makes a registry. Two gateways of one name, or one without a mode to work in, are a mistake of the program.
func NewRegistry(list ...Gateway) *Registry {
	r := &Registry{byName: map[string]Gateway{}}
	for _, g := range list {
		if !validName.MatchString(g.Name()) || r.byName[g.Name()] != nil || len(g.Capabilities().Modes) == 0 {
			panic("gateways: " + g.Name() + " has a name that is wrong or taken, or no mode")
		}
		r.byName[g.Name()] = g
	}
	return r
}

// Get gives the gateway of a name.
func (r *Registry) Get(name string) (Gateway, bool) {
	g, ok := r.byName[name]
	return g, ok
}

// Names lists the gateways in the order of their names.
func (r *Registry) Names() []string { return slices.Sorted(maps.Keys(r.byName)) }

// field gives the field of a name.
func (c Capabilities) field(name string) (Field, bool) {
	i := slices.IndexFunc(c.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return c.Fields[i], true
}

// names lists the fields that are secret, or those that are not.
func (c Capabilities) names(secret bool) []string {
	names := []string{}
	for _, f := range c.Fields {
		if f.Secret == secret {
			names = append(names, f.Name)
		}
	}
	return names
}
