package durability

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// pusher pushes to a repository of its own, one request after the other, and remembers
// everything that it was told.
type pusher struct {
	repo   string
	rng    *rand.Rand
	c      *client
	market *market

	images  []*heldImage
	tags    []*fact[string] // by number: the digest, or "" for none
	blobs   []*heldBlob
	byBlob  map[string]*heldBlob
	uploads []*upload
	policy  fact[string] // a word in it, or "" for none
	last    change       // by the request that may be without an answer
	acks    int

	// large says to push now and then what is stored in several parts.
	large bool
	// lossy says that what was said of an upload may have been lost, but for its end.
	lossy bool
	lost  int // chunks
}

// heldImage is an image that was pushed, or nearly so.
type heldImage struct {
	image
	there   fact[bool]
	checked bool
}

// heldBlob is a blob that was pushed, or nearly so.
type heldBlob struct {
	blob
	there   fact[bool]
	checked bool
}

// upload is one that was begun. Its end is the fact that is known of it.
type upload struct {
	location string
	blob     *heldBlob
	end      fact[int]
}

// gone is the end of an upload that is finished or canceled.
const gone = -1

// tagCount is how many tags a pusher moves about.
const tagCount = 4

func newPusher(repo string, seed uint64, n int, m *market) *pusher {
	p := &pusher{repo: repo, rng: rand.New(rand.NewPCG(seed, uint64(n))), market: m, byBlob: map[string]*heldBlob{}}
	for range tagCount {
		p.tags = append(p.tags, &fact[string]{})
	}
	return p
}

func (p *pusher) path(kind, ref string) string { return "/v2/" + p.repo + "/" + kind + "/" + ref }

// hold returns what is known of a blob in the repository.
func (p *pusher) hold(b blob) *heldBlob {
	h := p.byBlob[b.digest]
	if h == nil {
		h = &heldBlob{blob: b}
		p.byBlob[b.digest] = h
		p.blobs = append(p.blobs, h)
	}
	h.checked = false
	return h
}

// market is the blobs that all pushers have to do with: each takes what others have pushed,
// and some push the same at the same time.
type market struct {
	mu     sync.Mutex
	common []blob
	stalls []stall
}

type stall struct {
	repo string
	blob blob
}

func (m *market) offer(repo string, b blob) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stalls = append(m.stalls, stall{repo, b})
}

func (m *market) pick(r *rand.Rand) (stall, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.stalls) == 0 {
		return stall{}, false
	}
	return m.stalls[len(m.stalls)-1-r.IntN(min(8, len(m.stalls)))], true
}

// step does one thing that pushers do. Of its errors only a [statusError] is a fault.
func (p *pusher) step(ctx context.Context) error {
	switch n := p.rng.IntN(21); {
	case n < 10:
		return p.pushImage(ctx)
	case n < 12:
		return p.moveTag(ctx)
	case n < 14:
		return p.deleteTag(ctx)
	case n < 15:
		return p.deleteImage(ctx)
	case n < 18:
		return p.leaveUpload(ctx)
	case n < 20:
		return p.deleteBlob(ctx)
	default:
		return p.changePolicy(ctx)
	}
}

// largeSize is what no object has that is sent to S3 in one request.
const largeSize = 8<<20 + 128<<10

// size draws one: mostly small, now and then large, and often under 512 bytes.
func (p *pusher) size() int {
	if p.large && p.rng.IntN(30) == 0 {
		return largeSize + 1 + p.rng.IntN(1<<20)
	}
	switch p.rng.IntN(8) {
	case 0:
		return 1 + p.rng.IntN(400<<10)
	case 1, 2, 3:
		return 2 + p.rng.IntN(510)
	default:
		return 2 + p.rng.IntN(16<<10)
	}
}

func (p *pusher) pushImage(ctx context.Context) error {
	var layers []blob
	for range 1 + p.rng.IntN(2) {
		layers = append(layers, newBlob(p.rng, p.size()))
	}
	if p.rng.IntN(3) == 0 {
		layers = append(layers, p.market.common[p.rng.IntN(len(p.market.common))])
	}
	if s, found := p.market.pick(p.rng); found && p.rng.IntN(3) == 0 && s.repo != p.repo {
		if err := p.mount(ctx, s); err != nil {
			return err
		}
		layers = append(layers, s.blob)
	}
	img := newImage(p.rng, layers...)
	for _, b := range img.blobs() {
		if err := p.pushBlob(ctx, b); err != nil {
			return err
		}
	}
	h := &heldImage{image: img}
	p.images = append(p.images, h)
	switch p.rng.IntN(4) {
	case 0:
		return p.putManifest(ctx, h, img.digest)
	case 1:
		a := p.rng.IntN(tagCount)
		b := (a + 1) % tagCount
		return p.putManifest(ctx, h, fmt.Sprintf("%s?tag=t%d&tag=t%d", img.digest, a, b), a, b)
	default:
		return p.tag(ctx, h)
	}
}

func (p *pusher) tag(ctx context.Context, h *heldImage) error {
	n := p.rng.IntN(tagCount)
	return p.putManifest(ctx, h, fmt.Sprintf("t%d", n), n)
}

// putManifest pushes a manifest, which moves tags.
func (p *pusher) putManifest(ctx context.Context, h *heldImage, reference string, tags ...int) error {
	h.checked = false
	h.there.ask(true)
	p.last = change{&h.there}
	for _, n := range tags {
		p.tags[n].ask(h.digest)
		p.last = append(p.last, p.tags[n])
	}
	if err := p.c.manifest(ctx, p.repo, reference, h.image); err != nil {
		return err
	}
	h.there.answer(true)
	for _, n := range tags {
		p.tags[n].answer(h.digest)
	}
	p.acks++
	return nil
}

// choose returns an image that is there, or nil.
func (p *pusher) choose() *heldImage {
	for range 4 {
		if len(p.images) > 0 {
			if h := p.images[p.rng.IntN(len(p.images))]; h.there.is {
				return h
			}
		}
	}
	return nil
}

func (p *pusher) moveTag(ctx context.Context) error {
	h := p.choose()
	if h == nil {
		return nil
	}
	return p.tag(ctx, h)
}

func (p *pusher) deleteTag(ctx context.Context) error {
	n := p.rng.IntN(tagCount)
	f := p.tags[n]
	if f.is == "" {
		return nil
	}
	f.ask("")
	p.last = change{f}
	if err := p.c.remove(ctx, p.path("manifests", fmt.Sprintf("t%d", n))); err != nil {
		return err
	}
	f.answer("")
	p.acks++
	return nil
}

// deleteImage deletes a manifest, and with it its tags.
func (p *pusher) deleteImage(ctx context.Context) error {
	h := p.choose()
	if h == nil {
		return nil
	}
	h.checked = false
	h.there.ask(false)
	p.last = change{&h.there}
	var lost []*fact[string]
	for _, f := range p.tags {
		if f.is == h.digest {
			f.ask("")
			lost, p.last = append(lost, f), append(p.last, f)
		}
	}
	if err := p.c.remove(ctx, p.path("manifests", h.digest)); err != nil {
		return err
	}
	h.there.answer(false)
	for _, f := range lost {
		f.answer("")
	}
	p.acks++
	return nil
}

// mount takes a blob from another repository.
func (p *pusher) mount(ctx context.Context, s stall) error {
	h := p.hold(s.blob)
	h.there.ask(true)
	p.last = change{&h.there}
	mounted, err := p.c.mount(ctx, p.repo, s.blob.digest, s.repo)
	if err == nil && !mounted {
		err = &statusError{text: fmt.Sprintf("%s was acknowledged in %s and cannot be mounted", s.blob.digest, s.repo)}
	}
	if err == nil {
		h.there.answer(true)
	}
	return err
}

// pushBlob pushes a blob in one of the ways that clients have, unless it is there.
func (p *pusher) pushBlob(ctx context.Context, b blob) error {
	h := p.hold(b)
	if h.there.is {
		return nil
	}
	var err error
	if p.rng.IntN(3) == 0 {
		h.there.ask(true)
		p.last = change{&h.there}
		err = p.c.whole(ctx, p.repo, b)
	} else {
		err = p.pushChunks(ctx, h)
	}
	if err != nil {
		return err
	}
	h.there.answer(true)
	p.market.offer(p.repo, b)
	return nil
}

// pushChunks pushes some chunks, or none, and then the rest.
func (p *pusher) pushChunks(ctx context.Context, h *heldBlob) error {
	u, err := p.begin(ctx, h)
	if err != nil {
		return err
	}
	if err := p.chunks(ctx, u); err != nil {
		return err
	}
	return p.finish(ctx, u)
}

// begin begins an upload.
func (p *pusher) begin(ctx context.Context, h *heldBlob) (*upload, error) {
	p.last = nil
	location, err := p.c.post(ctx, p.repo)
	if err != nil {
		return nil, err
	}
	u := &upload{location: location, blob: h}
	p.uploads = append(p.uploads, u)
	return u, nil
}

// chunks pushes up to three. None is of one byte, since the end of an upload of one byte
// looks like that of an empty one.
func (p *pusher) chunks(ctx context.Context, u *upload) error {
	raw := u.blob.bytes()
	for range p.rng.IntN(4) {
		left := len(raw) - u.end.is
		if left < 2 {
			break
		}
		n := 2 + p.rng.IntN(left-1)
		u.end.ask(u.end.is + n)
		p.last = change{&u.end}
		if err := p.c.patch(ctx, u.location, raw[u.end.is:u.end.is+n]); err != nil {
			return err
		}
		u.end.answer(u.end.is + n)
		p.acks++
	}
	return nil
}

// finish pushes the rest of an upload.
func (p *pusher) finish(ctx context.Context, u *upload) error {
	u.blob.there.ask(true)
	u.end.ask(gone)
	p.last = change{&u.end, &u.blob.there}
	if err := p.c.put(ctx, u.location, u.blob.digest, u.blob.bytes()[u.end.is:]); err != nil {
		return err
	}
	u.end.answer(gone)
	u.blob.there.answer(true)
	p.acks++
	return nil
}

// leaveUpload leaves an upload for later, or cancels it.
func (p *pusher) leaveUpload(ctx context.Context) error {
	u, err := p.begin(ctx, p.hold(newBlob(p.rng, p.size())))
	if err != nil {
		return err
	}
	if err := p.chunks(ctx, u); err != nil || p.rng.IntN(4) > 0 {
		return err
	}
	u.end.ask(gone)
	p.last = change{&u.end}
	if _, err := p.c.sendFor(ctx, empty, "DELETE", u.location, nil); err != nil {
		return err
	}
	u.end.answer(gone)
	p.acks++
	return nil
}

// deleteBlob pushes a blob that no image needs, and deletes it.
func (p *pusher) deleteBlob(ctx context.Context) error {
	h := p.hold(newBlob(p.rng, p.size()))
	h.there.ask(true)
	p.last = change{&h.there}
	if err := p.c.whole(ctx, p.repo, h.blob); err != nil {
		return err
	}
	h.there.answer(true)
	h.there.ask(false)
	if err := p.c.remove(ctx, p.path("blobs", h.digest)); err != nil {
		return err
	}
	h.there.answer(false)
	p.acks++
	return nil
}

// changePolicy sets the policy of the repository, or deletes it.
func (p *pusher) changePolicy(ctx context.Context) error {
	if p.acks == 0 {
		return nil // there may be no repository
	}
	word := ""
	if p.policy.is == "" || p.rng.IntN(3) > 0 {
		word = fmt.Sprintf("word%d", p.rng.Uint64())
	}
	p.policy.ask(word)
	p.last = change{&p.policy}
	if err := p.c.setPolicy(ctx, p.repo, word); err != nil {
		return err
	}
	p.policy.answer(word)
	p.acks++
	return nil
}

// forget forgets the blobs that no image needs: they may be collected from now on.
func (p *pusher) forget() {
	needed := map[string]bool{}
	for _, h := range p.images {
		if h.there.is {
			for _, b := range h.image.blobs() {
				needed[b.digest] = true
			}
		}
	}
	p.blobs = slices.DeleteFunc(p.blobs, func(h *heldBlob) bool {
		if !needed[h.digest] {
			delete(p.byBlob, h.digest)
		}
		return !needed[h.digest]
	})
}

// isThere asks whether something is on the server, and has the bytes that it should.
func (p *pusher) isThere(ctx context.Context, path string, want []byte) (bool, error) {
	a, err := p.c.sendFor(ctx, []int{http.StatusOK, http.StatusNotFound}, "GET", path, nil)
	if err != nil || a.status == http.StatusNotFound {
		return false, err
	}
	if string(a.body) != string(want) {
		return true, fmt.Errorf("%s: %d bytes of %s, want %d", path, len(a.body), sha(a.body), len(want))
	}
	return true, nil
}

// tagList returns the tags that the server lists.
func (p *pusher) tagList(ctx context.Context) (string, error) {
	a, err := p.c.sendFor(ctx, []int{http.StatusOK, http.StatusNotFound}, "GET", "/v2/"+p.repo+"/tags/list", nil)
	if err != nil || a.status == http.StatusNotFound {
		return "", err
	}
	_, list, _ := strings.Cut(string(a.body), `"tags":`)
	return strings.TrimSpace(list), nil
}
