package event_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/registry/event"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	sink := event.Audit(&out)
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, e := range []event.Event{
		{ID: "1", Type: event.BlobLinked, Time: at},
		{ID: "2", Type: event.PolicyChanged, Time: at, Account: "123456789012", Repository: "hat", RepositoryID: 7, Principal: "123456789012/ann", Remote: "192.0.2.1", Request: "r1"},
		{ID: "3", Type: event.Suspended, Time: at, Alias: "acme", Principal: "bob", Reason: "a line\nand another", Paths: []string{"/v2/acme/"}},
	} {
		if err := sink.Deliver(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"id":"2","type":"repository.policy","time":"2026-11-21T12:00:00Z","account":"123456789012","repository":"hat","repositoryId":7,"principal":"123456789012/ann","remote":"192.0.2.1","request":"r1"}
{"id":"3","type":"takedown.suspended","time":"2026-11-21T12:00:00Z","account":"","repository":"","repositoryId":0,"principal":"bob","alias":"acme","reason":"a line\nand another","paths":["/v2/acme/"]}
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAuditThatCannotWrite(t *testing.T) {
	t.Parallel()
	_, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := event.Audit(w).Deliver(t.Context(), event.Event{Type: event.TagMoved}); !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}
