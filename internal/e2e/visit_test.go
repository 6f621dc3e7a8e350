package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

// visit is the visit of one client to the server.
type visit struct {
	client
	host, repo                        string // of the owner's images
	owner, stranger, nobody, impostor session

	image, index published
}

// published is what the owner has pushed.
type published struct {
	*fixture
	tag    string
	digest digest.Digest
}

// ref returns the reference of a tag or digest in a repository of an account.
func (v *visit) ref(repo string, id string) string {
	if strings.Contains(id, ":") {
		return v.host + "/" + repo + "@" + id
	}
	return v.host + "/" + repo + ":" + id
}

// at returns the wire for a test.
func (v *visit) at(t *testing.T, repo string) wire { return wire{t, v.host, repo} }

// actions are done in this order: one needs what those before it have pushed.
var actions = []struct {
	name action
	do   func(t *testing.T, v *visit) error
}{
	{login, func(t *testing.T, v *visit) error { return v.owner.login(t) }},
	{pushImage, func(t *testing.T, v *visit) (err error) {
		v.image, err = v.publish(t, v.repo, "1.0.0", newFixture(t, v.name, here))
		return err
	}},
	{pushIndex, func(t *testing.T, v *visit) (err error) {
		v.index, err = v.publish(t, v.repo, "2.0.0", newFixture(t, v.name, here, elsewhere))
		return err
	}},
	{pullTag, func(t *testing.T, v *visit) error { return v.pull(t, v.owner, published.byTag) }},
	{pullDigest, func(t *testing.T, v *visit) error { return v.pull(t, v.owner, published.byDigest) }},
	{pullTagNobody, func(t *testing.T, v *visit) error { return v.pull(t, v.nobody, published.byTag) }},
	{pullDigestNobody, func(t *testing.T, v *visit) error { return v.pull(t, v.nobody, published.byDigest) }},
	{pullTagStranger, func(t *testing.T, v *visit) error {
		if err := v.stranger.login(t); err != nil {
			return err
		}
		return v.pull(t, v.stranger, published.byTag)
	}},
	{listTags, func(t *testing.T, v *visit) error {
		got, err := v.nobody.tags(t, v.host+"/"+v.repo)
		slices.Sort(got)
		if diff := cmp.Diff(v.at(t, v.repo).tags(), got); diff != "" && err == nil {
			t.Errorf("tags (-served +listed):\n%s", diff)
		}
		return err
	}},
	{attach, func(t *testing.T, v *visit) error { return v.attach(t) }},
	{discover, func(t *testing.T, v *visit) error {
		got, err := v.nobody.referrers(t, v.ref(v.repo, v.image.byDigest()))
		var want []digest.Digest
		for _, d := range v.at(t, v.repo).referrers(v.image.digest) {
			want = append(want, d.Digest)
		}
		if diff := cmp.Diff(want, got); (diff != "" || len(got) == 0) && err == nil {
			t.Errorf("referrers (-served +discovered):\n%s", diff)
		}
		return err
	}},
	{deleteTag, func(t *testing.T, v *visit) error {
		repo := v.repo + "-tag"
		kept, err := v.publishTwice(t, repo)
		if err != nil {
			return err
		}
		err = v.owner.deleteTag(t, v.ref(repo, "2.0.0"))
		v.checkStatus(t, repo, map[string]int{"2.0.0": http.StatusNotFound, "1.0.0": http.StatusOK, kept.byDigest(): http.StatusOK})
		return err
	}},
	{deleteManifest, func(t *testing.T, v *visit) error {
		repo := v.repo + "-manifest"
		gone, err := v.publishTwice(t, repo)
		if err != nil {
			return err
		}
		err = v.owner.deleteManifest(t, v.ref(repo, gone.byDigest()))
		v.checkStatus(t, repo, map[string]int{
			"2.0.0": http.StatusNotFound, "1.0.0": http.StatusNotFound, gone.byDigest(): http.StatusNotFound,
		})
		return err
	}},
	{refusedPassword, func(t *testing.T, v *visit) error {
		// Clients that do not ask the registry when logging in are refused when they push.
		if err := v.impostor.login(t); err != nil {
			return err
		}
		return v.intrude(t, v.impostor)
	}},
	{refusedNobody, func(t *testing.T, v *visit) error { return v.intrude(t, v.nobody) }},
	{refusedElsewhere, func(t *testing.T, v *visit) error { return v.intrude(t, v.stranger) }},
	{pushLarge, func(t *testing.T, v *visit) error { return v.pushLarge(t) }},
}

func (p published) byTag() string    { return p.tag }
func (p published) byDigest() string { return string(p.digest) }

// publish pushes as the owner, and compares what the server then has with the fixture.
func (v *visit) publish(t *testing.T, repo, tag string, f *fixture) (published, error) {
	t.Helper()
	if v.verbatim {
		f.makeLayout(t)
	}
	got, err := v.owner.push(t, v.ref(repo, tag), f)
	if err != nil {
		return published{}, err
	}
	if v.verbatim && got != f.desc.Digest {
		t.Errorf("the client says that it pushed %s, but it was given %s", got, f.desc.Digest)
	}
	w := v.at(t, repo)
	if served := w.resolve(tag).Digest; served != got {
		t.Errorf("the tag leads to %s, but the client pushed %s", served, got)
	}
	if diff := cmp.Diff(v.owner.expect(f), w.content(string(got))); diff != "" {
		t.Errorf("content (-made +served):\n%s", diff)
	}
	return published{f, tag, got}, nil
}

// publishTwice gives one image two tags, 1.0.0 and 2.0.0.
func (v *visit) publishTwice(t *testing.T, repo string) (p published, err error) {
	f := newFixture(t, repo, here)
	for _, tag := range []string{"2.0.0", "1.0.0"} {
		if p, err = v.publish(t, repo, tag, f); err != nil {
			return p, err
		}
	}
	return p, nil
}

// pull pulls all that was published, and compares it with that.
func (v *visit) pull(t *testing.T, s session, by func(published) string) error {
	list := []published{v.image, v.index}
	if table[v.name][pushIndex].blank != "" {
		list = list[:1]
	}
	for _, p := range list {
		if p.fixture == nil {
			t.Fatal("nothing was pushed")
		}
		got, err := s.pull(t, v.ref(v.repo, by(p)))
		if err != nil {
			return err
		}
		v.compare(t, p, got)
	}
	return nil
}

// compare compares what was pulled with what was pushed. Clients that run images take no
// more of an index than the machine's own platform.
func (v *visit) compare(t *testing.T, p published, got pulled) {
	t.Helper()
	if !slices.Contains(got.digests, p.digest) {
		t.Errorf("pulled %s, want %s", got.digests, p.digest)
	}
	want := v.owner.expect(p.fixture)
	if !v.verbatim && len(want) > 1 {
		want = want.of(here)
	}
	if diff := cmp.Diff(want, got.content); diff != "" {
		t.Errorf("content (-pushed +pulled):\n%s", diff)
	}
}

func (v *visit) attach(t *testing.T) error {
	w := v.at(t, v.repo)
	got, err := v.owner.attach(t, v.host+"/"+v.repo, w.resolve(v.image.tag))
	if err != nil {
		return err
	}
	list := w.referrers(v.image.digest)
	if len(list) != 1 || list[0].Digest != got || list[0].ArtifactType != referrerType {
		t.Errorf("the referrers are %v, want only %s", list, got)
	}
	for _, tag := range w.tags() {
		if strings.HasPrefix(tag, "sha256-") {
			t.Errorf("there is a tag %s: the client takes the registry for one without referrers", tag)
		}
	}
	return nil
}

func (v *visit) checkStatus(t *testing.T, repo string, want map[string]int) {
	t.Helper()
	got := map[string]int{}
	for ref := range want {
		got[ref] = v.at(t, repo).status(ref)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status of the manifests (-want +got):\n%s", diff)
	}
}

// intrude pushes to the owner's alias as somebody else: over a tag that is there, and to a
// repository that is not. Neither may change anything.
func (v *visit) intrude(t *testing.T, s session) error {
	f := newFixture(t, "not a hat", here)
	if v.verbatim {
		f.makeLayout(t)
	}
	absent := owner.Alias + "/taken/" + v.name
	var failed error
	for _, repo := range []string{v.repo, absent} {
		if _, err := s.push(t, v.ref(repo, "1.0.0"), f); err == nil {
			t.Errorf("the push to %s was not refused", repo)
		} else {
			failed = err
		}
	}
	if got := v.at(t, v.repo).resolve("1.0.0").Digest; got != v.image.digest {
		t.Errorf("the tag now leads to %s, not to %s", got, v.image.digest)
	}
	if v.at(t, absent).exists() {
		t.Errorf("there is a repository %s now", absent)
	}
	return failed
}

// disk lets one client at a time handle a gigabyte.
var disk sync.Mutex

func (v *visit) pushLarge(t *testing.T) error {
	if testing.Short() {
		t.Skip("1 GiB is not short")
	}
	disk.Lock()
	defer disk.Unlock()
	p, err := v.publish(t, v.repo+"-large", "1.0.0", newLarge(t, v.name))
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	got, err := v.owner.pull(t, v.ref(v.repo+"-large", p.tag))
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	v.compare(t, p, got)
	return nil
}
