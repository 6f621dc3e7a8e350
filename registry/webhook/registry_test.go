package webhook_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/webhook"
)

// run starts a registry whose events go to a sink, until the test ends.
func run(t *testing.T, s *webhook.Sink) *registrytest.Server {
	t.Helper()
	reg := registrytest.New(t, func(c *registry.Config) { c.Sinks = map[string]event.Sink{"webhook": s} })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- reg.Run(ctx) }()
	synctest.Wait() // the store knows of the sink
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return reg
}

// history returns what was told of each repository, each event once, in the order in which
// they came first.
func history(t *testing.T, got []request) map[string][]string {
	t.Helper()
	lists, seen := map[string][]string{}, map[string]event.Event{}
	for _, r := range got {
		e := r.Event
		if first, ok := seen[e.ID]; ok {
			if diff := cmp.Diff(first, e); diff != "" {
				t.Errorf("%s is another event the second time:\n%s", e.ID, diff)
			}
			continue
		}
		seen[e.ID] = e
		text := string(e.Type)
		if e.Tag != "" {
			text += " " + e.Tag
		}
		lists[e.Repository] = append(lists[e.Repository], text)
	}
	return lists
}

// An endpoint is down for an hour, in which events come in, some of which it got although the
// registry does not know: it ends with all of them, those of a repository in order.
func TestEndpointIsDownForAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t)
		e := connect(t, s)
		reg := run(t, s)
		want := map[string][]string{}
		push := func(repo, tag string) {
			if want[repo] == nil {
				want[repo] = []string{"repository.created", "manifest.pushed"}
			}
			reg.Push("test/"+repo, registrytest.Image{}, tag)
			want[repo] = append(want[repo], "tag.moved "+tag)
		}
		repos := []string{"hat", "coat", "scarf", "glove"}
		for _, repo := range repos {
			push(repo, "before")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if diff := cmp.Diff(want, history(t, e.take())); diff != "" {
			t.Fatalf("before (-want +got):\n%s", diff)
		}

		e.set(status(http.StatusServiceUnavailable))
		for minute := range 60 {
			for _, repo := range repos {
				push(repo, fmt.Sprint("v", minute))
			}
			time.Sleep(time.Minute)
		}
		tries := e.take()
		if len(tries) == 0 || len(tries) > 60*len(repos) {
			t.Fatalf("%d tries in an hour", len(tries))
		}

		e.set(nil)
		time.Sleep(time.Hour)
		got := append(tries[:1], e.take()...) // one was taken, and only its answer lost
		for _, repo := range repos {
			want[repo] = want[repo][3:]
		}
		if diff := cmp.Diff(want, history(t, got)); diff != "" {
			t.Errorf("after (-want +got):\n%s", diff)
		}
		push("hat", "late")
		time.Sleep(time.Second)
		synctest.Wait()
		if got := e.take(); len(got) != 1 {
			t.Errorf("%d requests for an event after all is well again", len(got))
		}
	})
}

// A refused event holds up its repository until it is too old, no other.
func TestRefusedEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dead letters
		s := newSink(t, func(c *webhook.Config) { c.MaxAge, c.Dead = time.Hour, dead.take })
		e := connect(t, s)
		reg := run(t, s)
		bad := func(r request) bool { return r.Event.Tag == "bad" }
		e.set(func(w http.ResponseWriter, r request) {
			if bad(r) {
				w.WriteHeader(http.StatusUnprocessableEntity)
			}
		})
		reg.Push("test/hat", registrytest.Image{}, "bad")
		reg.Push("test/hat", registrytest.Image{}, "good")
		reg.Push("test/coat", registrytest.Image{}, "good")
		time.Sleep(50 * time.Minute)
		taken := slices.DeleteFunc(e.take(), bad)
		want := map[string][]string{"hat": {"repository.created", "manifest.pushed"}, "coat": {"repository.created", "manifest.pushed", "tag.moved good"}}
		if diff := cmp.Diff(want, history(t, taken)); diff != "" || len(dead.all()) != 0 {
			t.Errorf("%d dead letters before their time; (-want +got):\n%s", len(dead.all()), diff)
		}
		time.Sleep(30 * time.Minute)
		taken = append(taken, slices.DeleteFunc(e.take(), bad)...)
		want["hat"] = append(want["hat"], "tag.moved good")
		if diff := cmp.Diff(want, history(t, taken)); diff != "" {
			t.Errorf("at the end (-want +got):\n%s", diff)
		}
		if got := dead.all(); len(got) != 1 || !bad(got[0]) {
			t.Errorf("dead letters: %+v", got)
		}
	})
}

// An endpoint that never answers again costs dead letters, not an outbox without end.
func TestEndpointThatIsAbandoned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dead letters
		s := newSink(t, func(c *webhook.Config) { c.MaxAge, c.Dead = time.Hour, dead.take })
		e := connect(t, s)
		e.set(hang(t))
		reg := run(t, s)
		want := []string{"repository.created", "manifest.pushed"}
		for i := range 1000 {
			tag := fmt.Sprint("v", i)
			reg.Push("test/hat", registrytest.Image{}, tag)
			want = append(want, "tag.moved "+tag)
		}
		time.Sleep(90 * time.Minute)
		if diff := cmp.Diff(want, history(t, dead.all())["hat"]); diff != "" {
			t.Errorf("dead letters (-want +got):\n%s", diff)
		}
	})
}
