// One pass of external-dns, over the endpoints of a DNSEndpoint on standard input: its own plan, its
// TXT registry and its RFC 2136 provider, by its own flags. The providers of clouds and the watches
// of other sources, which are nearly all of it, are left out. Prints how many records it changes.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	log "github.com/sirupsen/logrus"
	"sigs.k8s.io/external-dns/endpoint"
	"sigs.k8s.io/external-dns/pkg/apis/externaldns"
	"sigs.k8s.io/external-dns/plan"
	"sigs.k8s.io/external-dns/provider/rfc2136"
	"sigs.k8s.io/external-dns/registry/txt"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	cfg := externaldns.NewConfig()
	if err := cfg.ParseFlags(os.Args[1:]); err != nil {
		return err
	}
	var wanted struct {
		Spec struct {
			Endpoints []*endpoint.Endpoint `json:"endpoints"`
		} `json:"spec"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&wanted); err != nil {
		return err
	}
	filter := endpoint.NewDomainFilter(cfg.DomainFilter)
	provider, err := rfc2136.New(ctx, cfg, filter)
	if err != nil {
		return err
	}
	registry, err := txt.New(cfg, provider)
	if err != nil {
		return err
	}
	current, err := registry.Records(ctx)
	if err != nil {
		return err
	}
	desired, err := registry.AdjustEndpoints(wanted.Spec.Endpoints)
	if err != nil {
		return err
	}
	policy, ok := plan.Policies[cfg.Policy]
	if !ok {
		return fmt.Errorf("no policy %q", cfg.Policy)
	}
	calculated := (&plan.Plan{
		Policies:       []plan.Policy{policy},
		Current:        current,
		Desired:        desired,
		DomainFilter:   endpoint.MatchAllDomainFilters{filter, registry.GetDomainFilter()},
		ManagedRecords: cfg.ManagedDNSRecordTypes,
		ExcludeRecords: cfg.ExcludeDNSRecordTypes,
		OwnerID:        registry.OwnerID(),
	}).Calculate()
	changes := calculated.Changes
	if changes.HasChanges() {
		if err := registry.ApplyChanges(ctx, changes); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]int{
		"created": len(changes.Create),
		"updated": len(changes.UpdateNew),
		"deleted": len(changes.Delete),
	})
}
