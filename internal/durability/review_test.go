package durability

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// review compares what the server has after a kill with what the pusher was told, of
// everything or of what has changed since the review before. It settles what was open, and
// finishes the uploads.
func (p *pusher) review(ctx context.Context, everything bool) error {
	var problems []error
	found := func(what string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %s: %w", p.repo, what, err))
		}
	}
	for _, u := range p.uploads {
		end, err := p.endOf(ctx, u)
		found("upload "+u.location, err)
		if err == nil && p.lossy && end < u.end.is {
			u.end.answer(end)
			u.end.outcome, p.last = unknown, nil
			p.lost++
		} else if err == nil {
			found("upload "+u.location, u.end.find(end))
		}
	}
	for _, h := range p.blobs {
		if h.checked && !everything {
			continue
		}
		there, err := p.isThere(ctx, p.path("blobs", h.digest), h.bytes())
		found("blob", err)
		found("blob "+h.digest, h.there.find(there))
		h.checked = true
	}
	for _, h := range p.images {
		if h.checked && !everything {
			continue
		}
		there, err := p.isThere(ctx, p.path("manifests", h.digest), h.raw)
		found("manifest", err)
		found("manifest "+h.digest, h.there.find(there))
		for _, b := range h.blobs() {
			if held := p.byBlob[b.digest]; there && !held.there.is {
				found("manifest "+h.digest, fmt.Errorf("its blob %s is not there", b.digest))
			}
		}
		h.checked = true
	}
	found("tags", p.reviewTags(ctx))
	word, err := p.c.getPolicy(ctx, p.repo)
	found("policy", err)
	if err == nil {
		found("policy", p.policy.find(word))
	}
	found("the last request", p.last.check())
	p.last = nil
	left := p.uploads
	p.uploads = nil
	for _, u := range left {
		if u.end.is != gone {
			found("finishing "+u.location, p.finish(ctx, u))
			u.blob.checked = false
		}
	}
	for _, u := range left {
		if there, err := p.isThere(ctx, p.path("blobs", u.blob.digest), u.blob.bytes()); err != nil || there != u.blob.there.is {
			found("blob of an upload that was finished", fmt.Errorf("found: %v, %w", there, err))
		}
	}
	return errors.Join(problems...)
}

// endOf asks where an upload ends.
func (p *pusher) endOf(ctx context.Context, u *upload) (int, error) {
	a, err := p.c.sendFor(ctx, []int{http.StatusNoContent, http.StatusNotFound}, "GET", u.location, nil)
	if err != nil || a.status == http.StatusNotFound {
		return gone, err
	}
	var last int
	if _, err := fmt.Sscanf(a.header.Get("Range"), "0-%d", &last); err != nil {
		return 0, fmt.Errorf("Range %q: %w", a.header.Get("Range"), err)
	}
	if last == 0 {
		return 0, nil // no chunk is of one byte
	}
	return last + 1, nil
}

// reviewTags finds where the tags lead, each time.
func (p *pusher) reviewTags(ctx context.Context) error {
	var problems []error
	var names []string
	for n, f := range p.tags {
		name := fmt.Sprintf("t%d", n)
		a, err := p.c.sendFor(ctx, []int{http.StatusOK, http.StatusNotFound}, "GET", p.path("manifests", name), nil)
		if err != nil {
			return err
		}
		digest := ""
		if a.status == http.StatusOK {
			digest = sha(a.body)
			names = append(names, `"`+name+`"`)
		}
		if err := f.find(digest); err != nil {
			problems = append(problems, fmt.Errorf("tag %s: %w", name, err))
		}
		for _, h := range p.images {
			if h.digest == digest && !h.there.is {
				problems = append(problems, fmt.Errorf("tag %s leads to %s, which is not there", name, digest))
			}
		}
	}
	list, err := p.tagList(ctx)
	if want := "[" + strings.Join(names, ",") + "]}"; err != nil || list != want && len(names) > 0 {
		problems = append(problems, fmt.Errorf("tags are listed as %s, %w; want %s", list, err, want))
	}
	return errors.Join(problems...)
}
