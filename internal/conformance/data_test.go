package conformance

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

func manifests(repo, reference string) string { return "/v2/" + repo + "/manifests/" + reference }

func (d document) digest() digest.Digest { return d.descriptor.Digest }

// served is what a GET or HEAD of the manifest must come to.
func (d document) served(method string) want {
	w := status(http.StatusOK).has("Content-Type", d.descriptor.MediaType).length(len(d.raw)).digest(d.digest())
	if method == http.MethodHead {
		return w.content(nil)
	}
	return w.content(d.raw)
}

// push pushes the manifest, by tag or digest, and with these tags as parameters.
func (d document) push(repo, reference string, tags ...string) []step {
	put := to(http.MethodPut, manifests(repo, reference)).manifest(d)
	if d.bad {
		return []step{{"PUT of a manifest with another digest", put, status(http.StatusBadRequest)}}
	}
	w := status(http.StatusCreated).digest(d.digest()).saving("manifest")
	if d.subject != "" {
		w = w.has("OCI-Subject", string(d.subject))
	}
	for _, tag := range tags {
		put, w = put.param("tag", tag), w.lists("OCI-Tag", tag)
	}
	return []step{
		{"PUT of a manifest", put, w},
		{"what its Location has", to(http.MethodGet, "{manifest}").accepting(), d.served(http.MethodGet)},
	}
}

// ask asks for the manifest by tag or digest.
func (d document) ask(method, repo, reference string) step {
	return step{method + " of a manifest", to(method, manifests(repo, reference)).accepting(), d.served(method)}
}

// remove deletes a tag or a manifest. It is gone at once.
func remove(repo, reference string, statuses ...int) []step {
	return []step{
		{"DELETE", to(http.MethodDelete, manifests(repo, reference)), status(statuses...)},
		{"HEAD of what was deleted", to(http.MethodHead, manifests(repo, reference)).accepting(), status(http.StatusNotFound)},
	}
}

// sortedTags returns the tags in the order of lists.
func (c *content) sortedTags() []string { return slices.Sorted(maps.Keys(c.tags)) }

// tagsOf returns the tags of a manifest.
func (c *content) tagsOf(d digest.Digest) (tags []string) {
	for _, tag := range c.sortedTags() {
		if c.tags[tag] == d {
			tags = append(tags, tag)
		}
	}
	return tags
}

func (c *content) find(d digest.Digest) document {
	return c.documents[slices.IndexFunc(c.documents, func(doc document) bool { return doc.digest() == d })]
}

// push pushes blobs, then manifests by digest, then tags.
func (c *content) push(repo string) (steps []step) {
	for _, b := range c.blobs {
		steps = append(steps, postPut(repo, b)...)
	}
	for _, d := range c.documents {
		var tags []string
		if c.tagged {
			tags = c.tagsOf(d.digest())
		}
		steps = append(steps, d.push(repo, string(d.digest()), tags...)...)
	}
	if !c.tagged {
		for _, tag := range c.sortedTags() {
			steps = append(steps, c.find(c.tags[tag]).push(repo, tag)...)
		}
	}
	return steps
}

// list lists the tags, all of them and those after one in the middle. Nothing else has tags
// at the time.
func (c *content) list(repo string) []step {
	all := c.sortedTags()
	r := to(http.MethodGet, "/v2/"+repo+"/tags/list")
	steps := []step{{"list of tags", r, listed(all)}}
	if half := len(all) / 2; half > 0 {
		steps = append(steps, step{"list of tags after one", r.param("last", all[half-1]), listed(all[half:])})
	}
	return steps
}

func listed(tags []string) want {
	return status(http.StatusOK).reading(func(body []byte) string {
		var list struct {
			Name string
			Tags []string
		}
		if err := json.Unmarshal(body, &list); err != nil {
			return err.Error()
		}
		return gocmp.Diff(append([]string{}, tags...), list.Tags)
	})
}

// each asks for everything: manifests by tag, manifests by digest, blobs.
func (c *content) each(method, repo string) (steps []step) {
	for _, tag := range c.sortedTags() {
		steps = append(steps, c.find(c.tags[tag]).ask(method, repo, tag))
	}
	for _, d := range c.documents {
		if !d.bad {
			steps = append(steps, d.ask(method, repo, string(d.digest())))
		}
	}
	for _, b := range c.blobs {
		if method == http.MethodHead {
			steps = append(steps, b.head(repo)...)
		} else {
			steps = append(steps, b.get(repo)...)
		}
	}
	return steps
}

// refer asks for the referrers of every subject, all and those of each type.
func (c *content) refer(repo string) (steps []step) {
	for _, subject := range slices.Sorted(maps.Keys(c.referrers)) {
		list := c.referrers[subject]
		r := to(http.MethodGet, "/v2/"+repo+"/referrers/"+string(subject))
		steps = append(steps, step{"referrers", r, refers(list...)})
		byType := map[string][]referrer{}
		for _, one := range list {
			byType[one.ArtifactType] = append(byType[one.ArtifactType], one)
		}
		for _, artifactType := range slices.Sorted(maps.Keys(byType)) {
			steps = append(steps, step{
				"referrers of type " + artifactType, r.param("artifactType", artifactType),
				refers(byType[artifactType]...).lists("OCI-Filters-Applied", "artifactType"),
			})
		}
	}
	return steps
}

// refers is a list of referrers, in any order.
func refers(list ...referrer) want {
	return status(http.StatusOK).has("Content-Type", ociIndex).reading(func(body []byte) string {
		type index struct {
			SchemaVersion int
			MediaType     string
			Manifests     []referrer
		}
		var got index
		if err := json.Unmarshal(body, &got); err != nil {
			return err.Error()
		}
		wanted := index{2, ociIndex, append([]referrer{}, list...)}
		for _, l := range [][]referrer{got.Manifests, wanted.Manifests} {
			slices.SortFunc(l, func(a, b referrer) int { return cmp.Compare(a.Digest, b.Digest) })
		}
		return gocmp.Diff(wanted, got)
	})
}

// delete deletes tags, then manifests from the last that was pushed, then blobs.
func (c *content) delete(repo string) (steps []step) {
	for _, tag := range c.sortedTags() {
		steps = append(steps, remove(repo, tag, http.StatusAccepted)...)
	}
	for _, d := range slices.Backward(c.documents) {
		w := http.StatusAccepted
		if d.bad {
			w = http.StatusNotFound
		}
		steps = append(steps, remove(repo, string(d.digest()), w)...)
	}
	for _, b := range c.blobs {
		steps = append(steps, b.remove(repo, http.StatusAccepted)...)
	}
	return steps
}

// data goes through the kinds of content, either those that are sparse or the others.
func (s *session) data(repo string, sparse bool) {
	for _, kind := range dataTests {
		if kind.sparse != sparse {
			continue
		}
		algorithm := digest.SHA256
		if kind.algorithm != "" {
			algorithm = kind.algorithm
		}
		c := s.content(algorithm)
		kind.fill(c)
		s.table(kind.name, slices.Concat(
			c.push(repo), c.list(repo), c.each(http.MethodHead, repo), c.each(http.MethodGet, repo), c.refer(repo), c.delete(repo),
		)...)
	}
}

// errors asks for manifests that are not there, and pushes one to what is no digest.
func (s *session) errors(repo string) {
	c := s.content(digest.SHA256)
	c.image(options{layers: 1})
	const noDigest = "sha256:baddigeststring"
	get := func(reference string) request { return to(http.MethodGet, manifests(repo, reference)).accepting() }
	steps := []step{
		{"missing digest", get(string(c.random(1024).digest)), status(http.StatusNotFound)},
		{"missing tag", get("missing-tag"), status(http.StatusNotFound)},
	}
	for _, b := range c.blobs {
		steps = append(steps, postPut(repo, b)...)
	}
	steps = append(steps,
		step{"PUT to what is no digest", to(http.MethodPut, manifests(repo, noDigest)).manifest(c.documents[0]), status(http.StatusBadRequest)},
		step{"GET of what is no digest", get(noDigest), status(http.StatusNotFound, http.StatusBadRequest)})
	c.documents[0].bad = true // it was never pushed
	s.table("manifest errors", append(steps, c.delete(repo)...)...)
}
