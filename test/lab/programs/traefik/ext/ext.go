// Package ext is where other builds of Traefik add fields to its configuration. Traefik's own has
// none, but the Go proxy leaves the folder out of its module.
package ext

// HTTP has no more fields.
type HTTP struct{}

// Router has no more fields.
type Router struct{}

// RouterIng has no more fields.
type RouterIng struct{}

// ToRouter is what the fields of an Ingress are for a router.
func (RouterIng) ToRouter() Router { return Router{} }
