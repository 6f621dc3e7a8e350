package registry

import (
	"context"
	"maps"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// The bounds of a repository's tags (ECR Public User Guide).
const (
	MaxResourceTags = 50
	maxTagKey       = 128
	maxTagValue     = 256
)

var tagSyntax = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// putTags adds tags to the operation's repository, or changes them.
func (r *Registry) putTags(ctx context.Context, tx meta.Tx, op *Op, tags map[string]string) error {
	if len(tags) == 0 {
		return nil
	}
	have, err := tagsOf(tx, op.Repository.ID)
	if err != nil {
		return err
	}
	maps.Copy(have, tags)
	if len(have) > MaxResourceTags {
		return says(ErrTooManyResourceTags, "the repository %s would have %d tags, the limit is %d", op.Name, len(have), MaxResourceTags)
	}
	for key, value := range tags {
		if err := tx.ResourceTags().Put(meta.ResourceTag{Repository: op.Repository.ID, Key: key, Value: value}); err != nil {
			return err
		}
	}
	return r.change(ctx, tx, op, &Change{Kind: ChangeTags})
}

// checkTags refuses tags before a policy is asked about them, which compares them with
// patterns: at a cost that grows with their length.
func checkTags(tags map[string]string) error {
	for key, value := range tags {
		if err := checkTag(key, value); err != nil {
			return err
		}
	}
	return nil
}

func checkTag(key, value string) error {
	switch n := utf8.RuneCountInString(key); {
	case n < 1 || n > maxTagKey || !tagSyntax.MatchString(key) || !utf8.ValidString(key):
		return says(ErrResourceTagInvalid, "the key of a tag must have 1 to %d letters, digits, spaces or characters of _.:/=+-@", maxTagKey)
	case len(key) >= 4 && strings.EqualFold(key[:4], "aws:"):
		return says(ErrResourceTagInvalid, "keys of tags that begin with aws: are reserved")
	case utf8.RuneCountInString(value) > maxTagValue || !tagSyntax.MatchString(value) || !utf8.ValidString(value):
		return says(ErrResourceTagInvalid, "the value of a tag must have at most %d letters, digits, spaces or characters of _.:/=+-@", maxTagValue)
	}
	return nil
}

// RepositoryTags returns the tags of a repository, which are no tags of images.
func (a *Actor) RepositoryTags(ctx context.Context, name string) (tags map[string]string, err error) {
	err = a.do(ctx, Op{Action: policy.ListTagsForResource, Name: name, asks: true}, func(ctx context.Context, op *Op) error {
		tags, err = Policies{a.r.store}.RepositoryTags(ctx, int64(op.Repository.ID))
		return err
	})
	return tags, err
}

// TagRepository adds tags to a repository and changes those that it has already.
func (a *Actor) TagRepository(ctx context.Context, name string, tags map[string]string) error {
	if err := checkTags(tags); err != nil {
		return err
	}
	op := Op{Action: policy.TagResource, Name: name, asks: true, RequestTags: tags}
	for key := range tags {
		op.TagKeys = append(op.TagKeys, key)
	}
	return a.do(ctx, op, func(ctx context.Context, op *Op) error {
		return a.r.update(ctx, op, func(tx meta.Tx) error { return a.r.putTags(ctx, tx, op, tags) })
	})
}

// UntagRepository removes tags from a repository, as far as it has them.
func (a *Actor) UntagRepository(ctx context.Context, name string, keys ...string) error {
	for _, key := range keys {
		if err := checkTag(key, ""); err != nil {
			return err
		}
	}
	return a.do(ctx, Op{Action: policy.UntagResource, Name: name, asks: true, TagKeys: keys}, func(ctx context.Context, op *Op) error {
		return a.r.update(ctx, op, func(tx meta.Tx) error {
			for _, key := range keys {
				if err := tx.ResourceTags().Delete(meta.ResourceTagKey{Repository: op.Repository.ID, Key: key}); err != nil {
					return err
				}
			}
			return a.r.change(ctx, tx, op, &Change{Kind: ChangeTags})
		})
	})
}

func tagsOf(tx meta.Tx, repo meta.RepositoryID) (map[string]string, error) {
	tags := map[string]string{}
	for t, err := range tx.ResourceTags().Scan(meta.Range[meta.ResourceTagKey]{Prefix: meta.ResourceTagKey{Repository: repo}}) {
		if err != nil {
			return nil, err
		}
		tags[t.Key] = t.Value
	}
	return tags, nil
}
