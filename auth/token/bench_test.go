package token_test

import (
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/token"
)

func BenchmarkVerify(b *testing.B) {
	keys := &memoryKeys{}
	s := token.New(keys)
	g := auth.Grant{Kind: auth.AccessToken, Principal: alice, Audience: registry, Lifetime: time.Hour, Scope: &auth.Scope{
		Access: []auth.Access{{Account: alice.Account, Repository: "team/app", Verbs: []auth.Verb{auth.Pull, auth.Push}}},
	}}
	b.Run("cached", func(b *testing.B) {
		tok := issue(b, s, g)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Verify(b.Context(), g.Kind, g.Audience, tok.Value); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("uncached", func(b *testing.B) {
		tokens := make([]string, 8192) // more than any cache of this size remembers
		for i := range tokens {
			tokens[i] = issue(b, s, g).Value
		}
		b.ReportAllocs()
		b.ResetTimer()
		for i := 0; b.Loop(); i++ {
			if _, err := s.Verify(b.Context(), g.Kind, g.Audience, tokens[i%len(tokens)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("forged", func(b *testing.B) {
		header, claims := parse(b, issue(b, s, g).Value)
		forged := sign(b, header, claims, newKey(b))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Verify(b.Context(), g.Kind, g.Audience, forged); err == nil {
				b.Fatal("accepted")
			}
		}
	})
}

func BenchmarkIssue(b *testing.B) {
	s := token.New(&memoryKeys{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Issue(b.Context(), access()); err != nil {
			b.Fatal(err)
		}
	}
}
