package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"time"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/webhook"
)

// Tell a deployment server in the same network where tags lead. Requests are signed under two
// secrets while the new one is on its way there.
func ExampleNew() {
	current, next := []byte("0123456789abcdef01234567"), []byte("76543210fedcba9876543210")
	sink, err := webhook.New(webhook.Config{
		URL:     "https://deploy.example.com/events",
		Secrets: [][]byte{next, current},
		Source:  "https://registry.example.com",
		Types:   []event.Type{event.TagMoved, event.TagDeleted},
		Allow:   []netip.Prefix{netip.MustParsePrefix("10.1.2.0/24")},
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		log.Fatal(err)
	}
	// Give this to registry.New, and start Registry.Run.
	_ = registry.Config{Sinks: map[string]event.Sink{"deploy": sink}}
}

// Receive events: verify, read, answer.
func ExampleVerify() {
	secrets := [][]byte{[]byte("0123456789abcdef01234567")}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "the body cannot be read", http.StatusBadRequest)
			return
		}
		if err := webhook.Verify(secrets, r.Header, body, time.Now()); err != nil {
			http.Error(w, "the signature is not valid", http.StatusUnauthorized)
			return
		}
		var message struct {
			Data event.Event `json:"data"`
		}
		if err := json.Unmarshal(body, &message); err != nil {
			http.Error(w, "the body is no event", http.StatusBadRequest)
			return
		}
		if e := message.Data; e.Type == event.TagMoved { // of others it wants to know nothing
			fmt.Println("deploy", e.Repository, e.Tag, e.Digest)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer receiver.Close()

	// What a registry does with the sink:
	sink, err := webhook.New(webhook.Config{
		URL:     receiver.URL,
		Secrets: secrets,
		Source:  "https://registry.example.com",
		Allow:   []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Logger:  slog.Default(),
	})
	if err != nil {
		log.Fatal(err)
	}
	err = sink.Deliver(context.Background(), event.Event{
		ID: "NLSIY2CJBZUD7N4NCI7WFNHMUH", Type: event.TagMoved, Time: time.Now(),
		Account: "123456789012", Repository: "hat", Tag: "v1", Digest: "sha256:e3b0c442",
	})
	fmt.Println(err)
	// Output:
	// deploy hat v1 sha256:e3b0c442
	// <nil>
}
