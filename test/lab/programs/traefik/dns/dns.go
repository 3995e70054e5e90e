// Package dns stands for the DNS providers of lego, with which Traefik answers challenges of an
// authority by DNS: the SDKs of a hundred clouds, most of what Traefik is built of.
package dns

import (
	"fmt"

	"github.com/go-acme/lego/v5/challenge"
)

// NewDNSChallengeProviderByName knows no provider.
func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	return nil, fmt.Errorf("this build has no DNS provider %q", name)
}
