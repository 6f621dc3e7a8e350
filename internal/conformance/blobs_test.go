package conformance

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/opencontainers/go-digest"
)

// chunkSize is that of the suite, where the registry names no larger one.
const chunkSize = 1024

// blob is a blob to push. A bad one has other content than its digest says.
type blob struct {
	digest  digest.Digest
	content []byte
	bad     bool
}

func uploads(repo string) string       { return "/v2/" + repo + "/blobs/uploads/" }
func (b blob) path(repo string) string { return "/v2/" + repo + "/blobs/" + string(b.digest) }

// finish makes a request one that ends an upload.
func (b blob) finish(r request) request { return r.param("digest", string(b.digest)) }

// begun is the reply to a POST that begins an upload. A registry that demanded larger chunks
// would say so here.
func begun() want {
	return status(http.StatusAccepted).saving("upload").lacks("OCI-Chunk-Min-Length")
}

// pushed is what the request that ends an upload must come to.
func (b blob) pushed(name string, end request) []step {
	if b.bad {
		return []step{{name, end, status(http.StatusBadRequest)}}
	}
	return []step{
		{name, end, status(http.StatusCreated).digest(b.digest).saving("blob")},
		{"what its Location has", to(http.MethodGet, "{blob}"), status(http.StatusOK).content(b.content)},
	}
}

// postOnly pushes a blob with the POST.
func postOnly(repo string, b blob) []step {
	return b.pushed("POST of the whole blob", b.finish(to(http.MethodPost, uploads(repo)).sending(b.content)))
}

// postPut pushes a blob with one PUT.
func postPut(repo string, b blob) []step {
	return append([]step{{"POST", to(http.MethodPost, uploads(repo)), begun()}},
		b.pushed("PUT of the whole blob", b.finish(to(http.MethodPut, "{upload}").sending(b.content)))...)
}

// stream pushes a blob with a PATCH that does not announce its length.
func stream(repo string, b blob) []step {
	return append([]step{
		{"POST", to(http.MethodPost, uploads(repo)), begun()},
		{"PATCH without a length", to(http.MethodPatch, "{upload}").streaming(b.content), status(http.StatusAccepted).saving("upload")},
	}, b.pushed("PUT without a body", b.finish(to(http.MethodPut, "{upload}").with("Content-Type", octetStream)))...)
}

// order is how chunks are sent.
type order struct {
	put   bool // the last one with the PUT
	wrong bool // before each of them, one that is not its turn
}

// someRange is what a registry says of an upload, also of one that is empty.
var someRange = regexp.MustCompile(`^0-[0-9]+$`)

// chunked returns how to push a blob in chunks.
func chunked(o order) func(repo string, b blob) []step {
	return func(repo string, b blob) []step {
		total := len(b.content)
		size := min(max(total/3+1, chunkSize), total)
		send := func(from, end int) (r request, last bool) {
			last = o.put && end == total
			r = to(http.MethodPatch, "{upload}")
			if last {
				r = b.finish(to(http.MethodPut, "{upload}"))
			}
			return r.sending(b.content[from:end]).with("Content-Range", fmt.Sprintf("%d-%d", from, end-1)), last
		}
		steps := []step{{"POST", to(http.MethodPost, uploads(repo)), begun()}}
		for from := 0; from < total; from += size {
			if o.wrong {
				ahead := from + size
				if ahead >= total {
					ahead = 0
				}
				r, last := send(ahead, min(ahead+size, total))
				ask := to(http.MethodGet, "{upload}")
				if last {
					ask = b.finish(ask) // the URL of the PUT again
				}
				here := status(http.StatusNoContent).saving("upload").matches("Range", someRange)
				if from > 0 {
					here = here.has("Range", fmt.Sprintf("0-%d", from-1))
				}
				steps = append(steps,
					step{fmt.Sprintf("chunk at %d instead of %d", ahead, from), r, status(http.StatusRequestedRangeNotSatisfiable).updating("upload")},
					step{"where the upload ends", ask, here})
			}
			end := min(from+size, total)
			r, last := send(from, end)
			name := fmt.Sprintf("chunk at %d", from)
			if last {
				return append(steps, b.pushed(name, r)...)
			}
			steps = append(steps, step{name, r, status(http.StatusAccepted).saving("upload").has("Range", fmt.Sprintf("0-%d", end-1))})
		}
		return append(steps, b.pushed("PUT without a body", b.finish(to(http.MethodPut, "{upload}").with("Content-Type", octetStream)))...)
	}
}

// mountFrom mounts a blob from another repository, or from any if that is "".
func mountFrom(repo, from string, b blob) []step {
	r := to(http.MethodPost, uploads(repo)).param("mount", string(b.digest))
	if from != "" {
		r = r.param("from", from)
	}
	return b.pushed("mount", r)
}

// mountMissing tries to mount a blob that is nowhere, and then goes on with the upload that
// it gets instead.
func mountMissing(repo, from string, b blob) []step {
	post := to(http.MethodPost, uploads(repo)).param("mount", string(b.digest)).param("from", from)
	return append([]step{{"mount of what is not there", post, begun()}},
		b.pushed("PUT of the whole blob", b.finish(to(http.MethodPut, "{upload}").sending(b.content)))...)
}

// cancel begins an upload and gives it up.
func cancel(repo string, _ blob) []step {
	return []step{
		{"POST", to(http.MethodPost, uploads(repo)), begun()},
		{"cancel", to(http.MethodDelete, "{upload}"), status(http.StatusNoContent)},
	}
}

// pull asks for a blob that is there.
func (b blob) pull(repo string) []step { return append(b.head(repo), b.get(repo)...) }

func (b blob) head(repo string) []step {
	return []step{{"HEAD of a blob", to(http.MethodHead, b.path(repo)), status(http.StatusOK).digest(b.digest).length(len(b.content)).content(nil)}}
}

func (b blob) get(repo string) []step {
	return []step{{"GET of a blob", to(http.MethodGet, b.path(repo)), status(http.StatusOK).digest(b.digest).length(len(b.content)).content(b.content)}}
}

// remove deletes a blob. It is gone at once.
func (b blob) remove(repo string, statuses ...int) []step {
	return []step{
		{"DELETE of a blob", to(http.MethodDelete, b.path(repo)), status(statuses...)},
		{"HEAD of a deleted blob", to(http.MethodHead, b.path(repo)), status(http.StatusNotFound)},
	}
}

// uploadTests are the ways to push a blob, in the suite's order. In between, a blob is
// pulled and deleted.
var uploadTests = []struct {
	name  string
	size  int
	there bool // it is pushed to the other repository first
	none  bool // it comes to no blob
	steps func(repo, other string, b blob) []step
}{
	{name: "POST only", size: 512, steps: alone(postOnly)},
	{name: "POST and PUT", size: 512, steps: alone(postPut)},
	{name: "one chunk", size: 512, steps: alone(chunked(order{}))},
	{name: "stream", size: 512, steps: alone(stream)},
	{name: "mount", size: 512, there: true, steps: mountFrom},
	{name: "mount from anywhere", size: 512, there: true, steps: func(repo, _ string, b blob) []step { return mountFrom(repo, "", b) }},
	{name: "mount of what is missing", size: 512, steps: mountMissing},
	{name: "cancel", size: 512, none: true, steps: alone(cancel)},
	{name: "chunks", size: 3*chunkSize - 5, steps: alone(chunked(order{}))},
	{name: "chunks, the last with the PUT", size: 3*chunkSize - 5, steps: alone(chunked(order{put: true}))},
	{name: "chunks out of order", size: 3*chunkSize - 5, steps: alone(chunked(order{wrong: true}))},
	{name: "chunks out of order, the last with the PUT", size: 3*chunkSize - 5, steps: alone(chunked(order{put: true, wrong: true}))},
}

// alone is for what needs no other repository.
func alone(f func(repo string, b blob) []step) func(repo, other string, b blob) []step {
	return func(repo, _ string, b blob) []step { return f(repo, b) }
}

// badTests push what does not have the digest.
var badTests = []struct {
	name  string
	steps func(repo string, b blob) []step
}{
	{"bad digest: POST only", postOnly},
	{"bad digest: POST and PUT", postPut},
	{"bad digest: chunks", chunked(order{})},
	{"bad digest: chunks, the last with the PUT", chunked(order{put: true})},
	{"bad digest: stream", stream},
}

// rangeTests are requests for parts of a blob of rangeSize bytes. A part that does not exist
// is no content at all.
const rangeSize = 2048

var rangeTests = []struct {
	header   string
	from, to int
}{
	{"bytes=500-1499", 500, 1500},
	{"bytes=500-", 500, rangeSize},
	{"bytes=-500", rangeSize - 500, rangeSize},
	{"bytes=2000-5000", 2000, rangeSize},
	{"bytes=500-0", 0, 0},
	{"bytes=5000-10000", 0, 0},
}

func ranges(repo string, b blob) (steps []step) {
	for _, r := range rangeTests {
		w := status(http.StatusRequestedRangeNotSatisfiable)
		if r.to > 0 {
			w = status(http.StatusPartialContent).length(r.to-r.from).content(b.content[r.from:r.to]).
				has("Content-Range", fmt.Sprintf("bytes %d-%d/%d", r.from, r.to-1, rangeSize))
		}
		steps = append(steps, step{r.header, to(http.MethodGet, b.path(repo)).with("Range", r.header), w})
	}
	return steps
}

// wellKnown are blobs that somebody pushes some day.
var wellKnown = []struct {
	name    string
	content []byte
}{
	{"the empty blob", []byte{}},
	{"the empty JSON", []byte("{}")},
}

// blobs goes through the tables above with digests of an algorithm.
func (s *session) blobs(algorithm digest.Algorithm, repo, other string) {
	c := s.content(algorithm)
	name := algorithm.String() + " blobs: "
	missing := c.random(512)
	s.table(name+"missing", step{"GET of a blob that is not there", to(http.MethodGet, missing.path(repo)), status(http.StatusNotFound)})
	for _, u := range uploadTests {
		b := c.random(u.size)
		var steps []step
		if u.there {
			steps = append(steps, postPut(other, b)...)
		}
		steps = append(steps, u.steps(repo, other, b)...)
		if u.none {
			steps = append(steps, b.remove(repo, http.StatusAccepted, http.StatusNotFound)...)
		} else {
			steps = append(append(steps, b.pull(repo)...), b.remove(repo, http.StatusAccepted)...)
		}
		if u.there {
			steps = append(steps, b.remove(other, http.StatusAccepted)...)
		}
		s.table(name+u.name, steps...)
	}
	part := c.random(rangeSize)
	s.table(name+"ranges", slices.Concat(postPut(repo, part), ranges(repo, part), part.remove(repo, http.StatusAccepted))...)
	for _, k := range wellKnown {
		b := blob{digest: algorithm.FromBytes(k.content), content: k.content}
		for _, way := range uploadTests[:4] { // the suite takes one of these
			s.table(name+k.name+", "+way.name, slices.Concat(way.steps(repo, other, b), b.pull(repo), b.remove(repo, http.StatusAccepted))...)
		}
	}
	for _, bad := range badTests {
		b := c.random(3*chunkSize - 5)
		b.content, b.bad = append(b.content, "oh no"...), true
		missing := step{"HEAD of what was refused", to(http.MethodHead, b.path(repo)), status(http.StatusNotFound)}
		s.table(name+bad.name, append(bad.steps(repo, b), missing)...)
	}
}
