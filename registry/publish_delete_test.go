package registry_test

import (
	"bytes"
	"errors"
	"image/color"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

func TestDeleteRepositoryThatIsNotEmpty(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		ctx := t.Context()
		owner := w.Owner()
		told := recordEvents(t, w.Store)
		repo, err := owner.CreateRepository(ctx, "test/hat", nil)
		if err != nil {
			t.Fatal(err)
		}
		p := w.pushImage("test/hat", "", "hat") // without a tag
		wantErr(t, "without force", second(owner.DeleteRepository(ctx, "test/hat", false)), registry.ErrRepositoryNotEmpty)
		w.send("GET", "/v2/test/hat/manifests/"+p.digest, nil).is(200)
		wantErr(t, "not there", second(owner.DeleteRepository(ctx, "test/cap", true)), registry.ErrNameUnknown)
		wantErr(t, "delete the image", owner.DeleteManifest(ctx, "test/hat", manifest.Digest(p.digest)), nil)
		// blobs are no images
		before := len(told())
		deleted, err := owner.DeleteRepository(ctx, "test/hat", false)
		if wantErr(t, "empty", err, nil); err == nil {
			same(t, "what was deleted", deleted, repo)
		}
		events := told()[before:]
		same(t, "events", typesOf(events), []event.Type{event.RepositoryDeleted})
		if len(events) == 1 && (events[0].Repository != "hat" || events[0].RepositoryID != int64(repo.ID) || events[0].Account != string(repo.Account)) {
			t.Errorf("event %+v", events[0])
		}
		wantErr(t, "deleted twice", second(owner.DeleteRepository(ctx, "test/hat", false)), registry.ErrNameUnknown)
	})
}

// A repository that is deleted is gone for everybody at once, whatever was remembered of it.
// What takes its name has nothing of it.
func TestDeletedRepositoryIsGone(t *testing.T) {
	t.Parallel()
	w := newWire(t, withIAM(nil))
	ctx := t.Context()
	owner := w.Owner()
	opts := &registry.CreateOptions{
		Tags:    map[string]string{"team": "hats"},
		Catalog: &registry.CatalogData{Description: "old", Logo: pngOf(t, picture(100, 80, color.White))},
	}
	repo, err := owner.CreateRepository(ctx, "test/hat", opts)
	if err != nil {
		t.Fatal(err)
	}
	p := w.pushImage("test/hat", "v1", "hat")
	sig := artifact("application/vnd.example").with(doc{"subject": descriptor(ociImage, p.raw)})
	w.pushBlob("test/hat", []byte("{}"))
	w.putDoc("test/hat", "sig", sig).want(201)
	if err := owner.SetRepositoryPolicy(ctx, "test/hat", policyOf(doc{"Effect": "Allow", "Principal": "*", "Action": "ecr-public:*"}), false); err != nil {
		t.Fatal(err)
	}
	catalog, err := owner.CatalogData(ctx, "test/hat")
	if err != nil {
		t.Fatal(err)
	}
	location := w.start("test/hat")
	w.send("PATCH", location, "half").want(202)
	part, err := owner.StartLayer(ctx, "test/hat")
	if err != nil {
		t.Fatal(err)
	}
	tokens := []*wire{w.anonymous(), w, w.withToken("repository:test/hat:pull,push,delete"), w.as(mateBasic)}
	pulls := []string{
		"/v2/test/hat/manifests/v1", "/v2/test/hat/manifests/" + p.digest, "/v2/test/hat/blobs/" + sha(p.layer), "/v2/test/hat/blobs/" + sha(p.config),
	}
	for _, c := range tokens {
		for _, path := range append(pulls, "/v2/test/hat/tags/list") {
			for range 2 {
				c.send("GET", path, nil).want(200)
			}
			c.send("HEAD", path, nil).want(200)
		}
	}
	open, err := owner.Blob(ctx, "test/hat", manifest.Digest(sha(p.layer))) // a download that is under way
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if _, err := owner.CreateRepository(ctx, "test/cap", nil); err != nil {
		t.Fatal(err)
	}

	deleted, err := owner.DeleteRepository(ctx, "test/hat", true)
	if err != nil || deleted.ID != repo.ID || deleted.Name != "hat" {
		t.Fatalf("%+v, %v", deleted, err)
	}
	// whether the rest of the download comes is not said; that it does no harm is
	if got, err := io.ReadAll(open); err == nil && !bytes.Equal(got, p.layer) {
		t.Errorf("the download under way got %q", got)
	}
	gone := func(state string) {
		t.Helper()
		for _, c := range tokens {
			for _, path := range pulls {
				c.send("GET", path, nil).is(404)
				c.send("HEAD", path, nil).is(404)
			}
			r := c.send("GET", "/v2/test/hat/referrers/"+p.digest, nil).is(200)
			if strings.Contains(string(r.body), "sha256:") {
				t.Errorf("%s: a referrer of the old one: %s", state, r.body)
			}
		}
		for _, query := range []string{"", "&from=test/hat", "&from=test/hat/"} {
			r := w.send("POST", "/v2/test/cap/blobs/uploads/?mount="+sha(p.layer)+query, nil)
			if r.status == 201 {
				t.Errorf("%s: mounted with %q", state, query)
			}
		}
		mounted, err := owner.MountBlob(ctx, "test/cap", manifest.Digest(sha(p.layer)), "test/hat")
		if mounted || err != nil {
			t.Errorf("%s: mounted %v, %v", state, mounted, err)
		}
		w.send("PATCH", location, "more").is(404)
		w.send("GET", location, nil).is(404)
		w.send("PUT", closing(location, sha([]byte("half"))), nil).is(404)
		_, err = owner.PutLayerPart(ctx, "test/hat", part, 0, []byte("x"))
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: part of an upload: %v", state, err)
		}
		_, _, err = owner.Logo(ctx, catalog.LogoURL)
		wantErr(t, state+": logo", err, fs.ErrNotExist)
		wantErr(t, state+": manifest", second(owner.Manifest(ctx, "test/hat", "v1")), fs.ErrNotExist)
	}
	gone("deleted")
	for _, c := range tokens {
		c.send("GET", "/v2/test/hat/tags/list", nil).is(404)
	}
	for what, err := range map[string]error{
		"policy":  second(owner.RepositoryPolicy(ctx, "test/hat")),
		"tags":    second(owner.RepositoryTags(ctx, "test/hat")),
		"catalog": second(owner.CatalogData(ctx, "test/hat")),
		"row":     second(owner.Repository(ctx, "test/hat")),
		"images":  second(owner.DescribeImages(ctx, "test/hat")),
	} {
		wantErr(t, what, err, registry.ErrNameUnknown)
	}
	var review meta.Review
	err = w.Store.View(ctx, func(tx meta.Tx) (err error) {
		review, err = tx.Reviews().Get(meta.ReviewKey{Kind: meta.ReviewRepository, Repository: repo.ID})
		return err
	})
	if err != nil || review.Due.IsZero() {
		t.Errorf("review %+v, %v", review, err)
	}

	again, err := owner.CreateRepository(ctx, "test/hat", nil)
	if err != nil || again.ID == repo.ID || again.HasPolicy {
		t.Fatalf("%+v, %v; the old one was %d", again, err, repo.ID)
	}
	gone("made again")
	if tags := w.tags("test/hat"); len(tags) > 0 {
		t.Errorf("tags %v", tags)
	}
	same(t, "images", collect(t, owner.Images(ctx, "test/hat", "")), []registry.Image(nil))
	same(t, "image tags", collect(t, owner.ImageTags(ctx, "test/hat", "")), []registry.ImageTag(nil))
	wantErr(t, "policy", second(owner.RepositoryPolicy(ctx, "test/hat")), registry.ErrPolicyUnknown)
	tags, err := owner.RepositoryTags(ctx, "test/hat")
	if wantErr(t, "tags", err, nil); len(tags) > 0 {
		t.Errorf("tags of the repository: %v", tags)
	}
	c, err := owner.CatalogData(ctx, "test/hat")
	if wantErr(t, "catalog", err, nil); err == nil {
		same(t, "catalog", c, registry.CatalogData{})
	}
	found, err := owner.HasLayers(ctx, "test/hat", manifest.Digest(sha(p.layer)), manifest.Digest(sha(p.config)))
	if err != nil || len(found) > 0 {
		t.Errorf("layers %v, %v", found, err)
	}
	// the old policy let everybody of the account push
	w.as(mateBasic).send("POST", "/v2/test/hat/blobs/uploads/", nil).is(403)
	w.put("test/hat", "v1", ociImage, p.raw).is(404).code("MANIFEST_BLOB_UNKNOWN")
	// the same image once more: its blobs are stored already
	w.pushImage("test/hat", "v1", "hat")
	for _, path := range pulls {
		w.anonymous().send("GET", path, nil).is(200)
	}
	deleted, err = owner.DeleteRepository(ctx, "test/hat", true)
	if err != nil || deleted.ID != again.ID {
		t.Errorf("deleted again: %+v, %v", deleted, err)
	}
	w.anonymous().send("GET", pulls[0], nil).is(404)
}

// A name that somebody else's registry has as well stays theirs.
func TestDeleteRepositoryOfOneAccount(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushImage("test/hat", "v1", "hat")
	p := w.as(otherBasic).pushImage("other/hat", "v1", "hat")
	if _, err := w.Owner().DeleteRepository(t.Context(), "test/hat", true); err != nil {
		t.Fatal(err)
	}
	w.send("GET", "/v2/test/hat/manifests/v1", nil).is(404)
	w.send("GET", "/v2/other/hat/manifests/v1", nil).is(200)
	w.send("GET", "/v2/other/hat/blobs/"+sha(p.layer), nil).is(200).content(p.layer)
	wantErr(t, "another's", second(w.Owner().DeleteRepository(t.Context(), "other/hat", true)), registry.ErrDenied)
	wantErr(t, "another's that is not there", second(w.Owner().DeleteRepository(t.Context(), "other/cap", true)), registry.ErrDenied)
	wantErr(t, "nobody's", second(w.As(auth.Principal{}).DeleteRepository(t.Context(), "other/hat", true)), registry.ErrUnauthorized)
}

// Pushes that are under way when a repository is deleted are refused, or are of the one that
// takes its name: to the old one nothing is added any more.
func TestPushesWhileARepositoryIsDeleted(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *wire) {
		ctx := t.Context()
		owner := w.Owner()
		var wg sync.WaitGroup
		var stop atomic.Bool
		for i := range 4 {
			wg.Go(func() {
				for n := 0; !stop.Load(); n++ {
					raw := numbered(1000*i + n%500)
					_, err := owner.PushManifest(ctx, "test/hat", "", raw, "v1")
					err = errors.Join(err, owner.PushBlob(ctx, "test/hat", manifest.SHA256.FromBytes(raw), bytes.NewReader(raw)))
					if err != nil && !errors.Is(err, registry.ErrNameUnknown) && !errors.Is(err, registry.ErrBlobUploadUnknown) {
						t.Errorf("push: %v", err)
						return
					}
				}
			})
		}
		rows := func(id meta.RepositoryID) (n int) {
			t.Helper()
			err := w.Store.View(ctx, func(tx meta.Tx) error {
				for _, err := range []error{
					countRows(&n, tx.Manifests(), meta.ManifestKey{Repository: id}), countRows(&n, tx.Tags(), meta.TagKey{Repository: id}),
					countRows(&n, tx.Links(), meta.LinkKey{Repository: id}), countRows(&n, tx.Moves(), meta.MoveKey{Repository: id}),
				} {
					if err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			return n
		}
		deleted := map[meta.RepositoryID]int{}
		for len(deleted) < 10 && !t.Failed() {
			repo, err := owner.DeleteRepository(ctx, "test/hat", true)
			if errors.Is(err, registry.ErrNameUnknown) {
				continue // not pushed yet
			}
			if err != nil {
				t.Error(err)
				break
			}
			if _, ok := deleted[repo.ID]; ok {
				t.Errorf("the id %d was used again", repo.ID)
			}
			deleted[repo.ID] = rows(repo.ID)
		}
		stop.Store(true)
		wg.Wait()
		for id, n := range deleted {
			if got := rows(id); got != n {
				t.Errorf("a deleted repository had %d rows and has %d", n, got)
			}
		}
	})
}

func countRows[K meta.Key, R any](n *int, table meta.Table[K, R], prefix K) error {
	for _, err := range table.Scan(meta.Range[K]{Prefix: prefix}) {
		if err != nil {
			return err
		}
		*n++
	}
	return nil
}
