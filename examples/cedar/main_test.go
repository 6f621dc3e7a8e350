package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestTeams begins uploads, as a push does: only a team's own repositories take them.
func TestTeams(t *testing.T) {
	t.Parallel()
	h, err := handler()
	if err != nil {
		t.Fatal(err)
	}
	do := func(method, user, path string) int {
		req := httptest.NewRequest(method, path, nil)
		if password, ok := map[string]string{"ann": "correct-horse-battery-staple", "bob": "another-horse-another-staple"}[user]; ok {
			req.SetBasicAuth(user, password)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		return w.Code
	}
	for _, c := range []struct {
		method, user, path string
		want               int
	}{
		{"POST", "ann", "/v2/acme/web/app/blobs/uploads/", http.StatusAccepted},
		{"POST", "ann", "/v2/acme/core/app/blobs/uploads/", http.StatusForbidden},
		{"POST", "bob", "/v2/acme/core/app/blobs/uploads/", http.StatusAccepted},
		{"POST", "bob", "/v2/acme/web/app/blobs/uploads/", http.StatusForbidden},
		{"POST", "", "/v2/acme/web/app/blobs/uploads/", http.StatusUnauthorized},
		{"POST", "ann", "/v2/acme/web/releases/blobs/uploads/", http.StatusAccepted},
		{"DELETE", "ann", "/v2/acme/web/releases/manifests/v1", http.StatusForbidden},
		{"DELETE", "ann", "/v2/acme/web/app/manifests/v1", http.StatusNotFound},
		{"GET", "", "/v2/acme/web/app/tags/list", http.StatusOK},
	} {
		if got := do(c.method, c.user, c.path); got != c.want {
			t.Errorf("%s %s by %q: %d, want %d", c.method, c.path, c.user, got, c.want)
		}
	}
}

// A policy that cannot be read is an error at start, not a refusal later.
func TestPoliciesParse(t *testing.T) {
	t.Parallel()
	e, err := newEvaluator(nil)
	if err != nil {
		t.Fatal(err)
	}
	read := len(maps.Collect(e.policies.All()))
	if n := strings.Count(string(policies), ";"); n != read {
		t.Errorf("%d policies were read of %d", read, n)
	}
}
