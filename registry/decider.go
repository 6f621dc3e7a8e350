package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/esplanade-registry/esplanade/storage/meta"
)

// AliasDecider decides which registry gets which alias. It is asked when an alias is
// requested, and again while Run runs for as long as it does not decide.
type AliasDecider interface {
	// DecideAlias approves or rejects a request, or leaves it pending. An error leaves it
	// pending too, and is logged.
	DecideAlias(ctx context.Context, req meta.AliasRequest) (AliasDecision, error)
}

// AliasDecision is what becomes of a request; the zero AliasDecision leaves it pending.
type AliasDecision struct {
	Status meta.AliasStatus // meta.AliasActive, meta.AliasRejected or ""
	Reason string           // of a rejection, for the publisher
}

// Always approves every alias that is free.
type Always struct{}

// DecideAlias implements [AliasDecider].
func (Always) DecideAlias(context.Context, meta.AliasRequest) (AliasDecision, error) {
	return AliasDecision{Status: meta.AliasActive}, nil
}

// ByHand leaves every request to the host, who lists them with [Registry.PendingAliases]
// and decides with [Registry.DecideAlias].
type ByHand struct{}

// DecideAlias implements [AliasDecider].
func (ByHand) DecideAlias(context.Context, meta.AliasRequest) (AliasDecision, error) {
	return AliasDecision{}, nil
}

// ByDNS approves an alias once a TXT record proves that the domain it stands for is the
// publisher's: at _esplanade-challenge.DOMAIN., with the text esplanade-alias=CHALLENGE,
// where the challenge is that of the request.
type ByDNS struct {
	// Domain returns the domain that an alias stands for, or "" if for none, which
	// rejects it. If it is nil, an alias with a dot stands for itself.
	Domain func(alias string) string
	// LookupTXT asks the DNS: net.DefaultResolver.LookupTXT if nil.
	LookupTXT func(ctx context.Context, name string) ([]string, error)
}

// DecideAlias implements [AliasDecider].
func (d ByDNS) DecideAlias(ctx context.Context, req meta.AliasRequest) (AliasDecision, error) {
	domain := string(req.Alias)
	if d.Domain != nil {
		domain = d.Domain(domain)
	} else if !strings.Contains(domain, ".") {
		domain = ""
	}
	if domain == "" {
		return AliasDecision{meta.AliasRejected, "the alias stands for no domain"}, nil
	}
	lookup := d.LookupTXT
	if lookup == nil {
		lookup = net.DefaultResolver.LookupTXT
	}
	records, err := lookup(ctx, "_esplanade-challenge."+strings.TrimSuffix(domain, ".")+".") // not below a search domain
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return AliasDecision{}, nil // not published yet
	}
	if err != nil {
		return AliasDecision{}, fmt.Errorf("TXT records of %s: %w", domain, err)
	}
	if slices.Contains(records, "esplanade-alias="+req.Challenge) {
		return AliasDecision{Status: meta.AliasActive}, nil
	}
	return AliasDecision{}, nil
}
