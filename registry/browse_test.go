package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// hidden denies everyone but the owner what is in a repository.
func hidden(name string) policy.Evaluator {
	return policy.EvaluatorFunc(func(_ context.Context, req *policy.Request) (policy.Decision, error) {
		if req.Resource.Repository == name && req.Principal.Account != registrytest.Account {
			return policy.Decision{Effect: policy.Deny, Reason: "it is hidden"}, nil
		}
		return policy.Decision{}, nil
	})
}

func TestBrowse(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t, func(c *registry.Config) {
		c.Evaluators = []policy.Evaluator{policy.Public{}, policy.Owner{}, hidden("secret")}
	})
	ctx, anyone := t.Context(), s.As(auth.Principal{})
	amd := s.Push("test/hat", registrytest.Image{Layers: [][]byte{[]byte("a")}}, "1.0", "latest")
	arm := s.Push("test/hat", registrytest.Image{OS: "linux", Architecture: "arm64", Layers: [][]byte{[]byte("b")}})
	amd.Platform, arm.Platform = &manifest.Platform{OS: "linux", Architecture: "amd64"}, &manifest.Platform{OS: "linux", Architecture: "arm64"}
	index := s.PushIndex("test/hat", []manifest.Descriptor{amd, arm, {MediaType: manifest.MediaTypeImage, Digest: amd.Digest, Size: amd.Size, Platform: &manifest.Platform{OS: "unknown", Architecture: "unknown"}}}, "1.10")
	s.Push("test/secret", registrytest.Image{}, "1")
	for i := range 5 {
		s.Push(fmt.Sprintf("test/more-%d", i), registrytest.Image{}, "1")
	}
	if err := s.Owner().TagRepository(ctx, "test/hat", map[string]string{"gallery:keywords": "felt", "cost-centre": "7"}); err != nil {
		t.Fatal(err)
	}

	o, err := anyone.Overview(ctx, "test/hat")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"keywords": "felt"}, o.Tags); diff != "" || o.Alias != "test" || o.Name != "hat" || o.Updated.IsZero() {
		t.Errorf("the overview is %+v (-want +got):\n%s", o, diff)
	}

	names, more, err := anyone.RepositoriesUnder(ctx, "test", "", 4)
	if diff := cmp.Diff([]string{"hat", "more-0", "more-1", "more-2"}, names); diff != "" || !more || err != nil {
		t.Errorf("repositories: %v, %v (-want +got):\n%s", more, err, diff)
	}
	names, more, err = anyone.RepositoriesUnder(ctx, "test", "more-2", 4)
	if diff := cmp.Diff([]string{"more-3", "more-4"}, names); diff != "" || more || err != nil {
		t.Errorf("the rest: %v, %v (-want +got):\n%s", more, err, diff)
	}
	names, _, _ = s.Owner().RepositoriesUnder(ctx, "test", "more-4", 4)
	if diff := cmp.Diff([]string{"secret"}, names); diff != "" {
		t.Errorf("the owner's (-want +got):\n%s", diff)
	}

	tags, more, err := anyone.TagsInOrder(ctx, "test/hat", "", 2)
	if err != nil || !more || len(tags) != 2 || tags[0].Name != "latest" || tags[1].Name != "1.10" {
		t.Fatalf("tags: %+v, %v, %v", tags, more, err)
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, tags[1].Platforms); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}

	i, err := anyone.Inspect(ctx, "test/hat", "1.10")
	if err != nil || i.Digest != index.Digest || len(i.Children) != 3 || i.Children[1].Image.Digest != arm.Digest || i.Children[1].Image.Size == 0 {
		t.Errorf("the index: %+v, %v", i, err)
	}
	i, err = anyone.Inspect(ctx, "test/hat", string(amd.Digest))
	if diff := cmp.Diff([]string{"1.0", "latest"}, i.Tags); diff != "" || err != nil || i.Platform != "linux/amd64" {
		t.Errorf("the image: %+v, %v (-want +got):\n%s", i, err, diff)
	}

	moves, more, err := anyone.History(ctx, "test/hat", "", 0, 2)
	if err != nil || !more || len(moves) != 2 || moves[0].Tag != "1.10" {
		t.Errorf("history: %+v, %v, %v", moves, more, err)
	}
	moves, more, err = anyone.History(ctx, "test/hat", "latest", 0, 2)
	if err != nil || more || len(moves) != 1 || moves[0].To != amd.Digest {
		t.Errorf("history of a tag: %+v, %v, %v", moves, more, err)
	}

	// What is hidden, and what is not there, are not told apart.
	for _, name := range []string{"test/secret", "test/nothing", "nobody/hat"} {
		_, overview := anyone.Overview(ctx, name)
		_, _, tags := anyone.TagsInOrder(ctx, name, "", 1)
		_, inspect := anyone.Inspect(ctx, name, "1")
		_, _, history := anyone.History(ctx, name, "", 0, 1)
		for what, err := range map[string]error{"Overview": overview, "TagsInOrder": tags, "Inspect": inspect, "History": history} {
			if !errors.Is(err, registry.ErrNameUnknown) {
				t.Errorf("%s of %s: %v", what, name, err)
			}
		}
	}
	if _, err := s.Owner().Overview(ctx, "test/secret"); err != nil {
		t.Errorf("the owner's: %v", err)
	}
	if _, err := anyone.Publisher(ctx, "nobody"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an alias of nobody's: %v", err)
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	var types []event.Type
	stop := s.Follow(func(e event.Event) {
		if e.Account != registrytest.Account || e.Repository != "hat" {
			t.Errorf("%+v", e)
		}
		types = append(types, e.Type)
	})
	s.Push("test/hat", registrytest.Image{}, "1")
	if diff := cmp.Diff([]event.Type{event.RepositoryCreated, event.BlobLinked, event.ManifestPushed, event.TagMoved}, types); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := s.Owner().PushManifest(t.Context(), "test/hat", "", []byte("no manifest")); err == nil || len(types) != 4 {
		t.Errorf("a push that fails: %v, %v", err, types)
	}
	stop()
	s.Push("test/hat", registrytest.Image{Layers: [][]byte{{1}}}, "1")
	if len(types) != 4 {
		t.Errorf("events after the end: %v", types)
	}
}
