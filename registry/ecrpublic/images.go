package ecrpublic

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
)

type imageID struct {
	Digest string `json:"imageDigest,omitempty"`
	Tag    string `json:"imageTag,omitempty"`
}

func (id imageID) reference() manifest.Reference {
	return manifest.Reference{Tag: id.Tag, Digest: manifest.Digest(id.Digest)}
}

// detail is what an image and a tag's image have in common.
type detail struct {
	Digest       string    `json:"imageDigest"`
	Size         int64     `json:"imageSizeInBytes"`
	Pushed       timestamp `json:"imagePushedAt"`
	MediaType    string    `json:"imageManifestMediaType,omitempty"`
	ArtifactType string    `json:"artifactMediaType,omitempty"`
}

func detailOf(img registry.Image) detail {
	return detail{string(img.Digest), img.Size, timestamp(img.Pushed), img.MediaType, img.ArtifactType}
}

type imageDetail struct {
	RegistryID string   `json:"registryId"`
	Repository string   `json:"repositoryName"`
	Tags       []string `json:"imageTags,omitempty"`
	detail
}

func (v *checks) imageIDs(list []imageID) {
	v.between("imageIds", len(list), 1, 100)
	for _, id := range list {
		v.length("imageIds.member.imageTag", &id.Tag, 0, 300)
	}
}

func (c *call) describeImages(in *struct {
	named
	ImageIDs   []imageID `json:"imageIds"`
	NextToken  *string   `json:"nextToken"`
	MaxResults *int      `json:"maxResults"`
}) (any, error) {
	var v checks
	in.check(c, &v)
	v.page(in.MaxResults)
	var refs []manifest.Reference
	if in.ImageIDs != nil {
		v.imageIDs(in.ImageIDs)
		if in.NextToken != nil || in.MaxResults != nil {
			v.constraint("imageIds", "Member must not be specified along with nextToken or maxResults")
		}
		for _, id := range in.ImageIDs {
			if id == (imageID{}) {
				v.constraint("imageIds", "Member must have an imageDigest or an imageTag")
			}
			refs = append(refs, id.reference())
		}
	}
	if v.err != nil {
		return nil, v.err
	}
	account, name := c.account(in.RegistryID), value(in.Repository)
	after, err := c.after(account+"/"+name, in.NextToken)
	if err != nil {
		return nil, err
	}
	var (
		list []registry.Image
		next *string
	)
	if refs != nil {
		list, err = c.actor.DescribeImages(c.req.Context(), account+"/"+name, refs...)
	} else {
		images := c.actor.Images(c.req.Context(), account+"/"+name, manifest.Digest(after))
		list, next, err = collect(c, account+"/"+name, in.MaxResults, images, func(img registry.Image) string { return string(img.Digest) })
	}
	if own, ok := errors.AsType[*registry.Error](err); ok && errors.Is(err, registry.ErrManifestUnknown) {
		ref, _ := own.Detail.(manifest.Reference)
		null := func(s string) string {
			if s == "" {
				return "null"
			}
			return s
		}
		return nil, &exception{Type: "ImageNotFoundException", Message: fmt.Sprintf(
			"The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within the repository with name '%s' in the registry with id '%s'",
			null(string(ref.Digest)), null(ref.Tag), name, account)}
	}
	if err != nil {
		return nil, notFound(err, account, name)
	}
	out := struct {
		Details   []imageDetail `json:"imageDetails"`
		NextToken *string       `json:"nextToken,omitempty"`
	}{[]imageDetail{}, next}
	for _, img := range list {
		out.Details = append(out.Details, imageDetail{account, name, img.Tags, detailOf(img)})
	}
	return out, nil
}

func (c *call) describeImageTags(in *struct {
	named
	NextToken  *string `json:"nextToken"`
	MaxResults *int    `json:"maxResults"`
}) (any, error) {
	var v checks
	in.check(c, &v)
	if v.page(in.MaxResults); v.err != nil {
		return nil, v.err
	}
	account, name := c.account(in.RegistryID), value(in.Repository)
	after, err := c.after(account+"/"+name, in.NextToken)
	if err != nil {
		return nil, err
	}
	tags := c.actor.ImageTags(c.req.Context(), account+"/"+name, after)
	list, next, err := collect(c, account+"/"+name, in.MaxResults, tags, func(t registry.ImageTag) string { return t.Name })
	if err != nil {
		return nil, notFound(err, account, name)
	}
	type tagDetail struct {
		Tag     string    `json:"imageTag"`
		Created timestamp `json:"createdAt"`
		Image   detail    `json:"imageDetail"`
	}
	out := struct {
		Details   []tagDetail `json:"imageTagDetails"`
		NextToken *string     `json:"nextToken,omitempty"`
	}{[]tagDetail{}, next}
	for _, t := range list {
		out.Details = append(out.Details, tagDetail{t.Name, timestamp(t.Moved), detailOf(t.Image)})
	}
	return out, nil
}

// anyNamed is the input of operations that take an alias too.
type anyNamed struct {
	RegistryID *string `json:"registryId"`
	Repository *string `json:"repositoryName"`
}

func (in *anyNamed) check(c *call, v *checks) {
	v.registryIDOrAlias(in.RegistryID)
	v.repositoryName(c, in.Repository)
}

// unknown says of an error of such an operation whether it is the registry that does not
// exist: the caller's own, for of others nothing is told.
func (c *call) unknown(err error, in *anyNamed) error {
	if !errors.Is(err, registry.ErrNameUnknown) {
		return err
	}
	if c.account(in.RegistryID) == c.identity.Account {
		if _, err := c.actor.Registry(c.req.Context()); errors.Is(err, fs.ErrNotExist) {
			return &exception{Type: "RegistryNotFoundException", Message: "The registry with id '" + c.identity.Account + "' does not exist"}
		}
	}
	return c.about(err, in.RegistryID, in.Repository)
}

func (c *call) batchDeleteImage(in *struct {
	anyNamed
	ImageIDs *[]imageID `json:"imageIds"`
}) (any, error) {
	var v checks
	in.check(c, &v)
	require(&v, "imageIds", in.ImageIDs)
	if v.imageIDs(value(in.ImageIDs)); v.err != nil {
		return nil, v.err
	}
	var refs []manifest.Reference
	for _, id := range *in.ImageIDs {
		refs = append(refs, id.reference())
	}
	results, err := c.actor.DeleteImages(c.req.Context(), c.repository(in.RegistryID, in.Repository), refs...)
	if err != nil {
		return nil, c.about(err, in.RegistryID, in.Repository)
	}
	type failure struct {
		ID     imageID              `json:"imageId"`
		Code   registry.FailureCode `json:"failureCode"`
		Reason string               `json:"failureReason"`
	}
	out := struct {
		IDs      []imageID `json:"imageIds"`
		Failures []failure `json:"failures"`
	}{[]imageID{}, []failure{}}
	for _, r := range results {
		id := imageID{string(r.Digest), r.Tag}
		if r.Code != "" {
			out.Failures = append(out.Failures, failure{id, r.Code, r.Reason})
		} else {
			out.IDs = append(out.IDs, id)
		}
	}
	return out, nil
}

func (c *call) putImage(in *struct {
	anyNamed
	Manifest  *string `json:"imageManifest"`
	MediaType *string `json:"imageManifestMediaType"`
	Tag       *string `json:"imageTag"`
	Digest    *string `json:"imageDigest"`
}) (any, error) {
	var v checks
	in.check(c, &v)
	require(&v, "imageManifest", in.Manifest)
	v.length("imageManifest", in.Manifest, 1, manifest.MaxSize)
	v.length("imageTag", in.Tag, 1, 300)
	if in.Tag != nil && manifest.CheckTag(*in.Tag) != nil {
		v.constraint("imageTag", "Member must satisfy regular expression pattern: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
	}
	if in.Digest != nil {
		if _, err := manifest.ParseDigest(*in.Digest); err != nil {
			v.constraint("imageDigest", "Member must satisfy regular expression pattern: %s", `[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+`)
		}
	}
	if v.err != nil {
		return nil, v.err
	}
	m, err := c.actor.PutImage(c.req.Context(), c.repository(in.RegistryID, in.Repository), value(in.MediaType), []byte(*in.Manifest), value(in.Tag), manifest.Digest(value(in.Digest)))
	switch {
	case errors.Is(err, registry.ErrImageExists):
		return nil, &exception{Type: "ImageAlreadyExistsException", Message: "Image with digest '" + string(m.Digest) + "' and tag '" + value(in.Tag) +
			"' already exists in the repository with name '" + value(in.Repository) + "' in registry with id '" + c.account(in.RegistryID) + "'"}
	case errors.Is(err, registry.ErrDigestInvalid):
		return nil, &exception{Type: "ImageDigestDoesNotMatchException", Message: "The digest of the image manifest does not match the digest that was given"}
	case errors.Is(err, registry.ErrManifestBlobUnknown):
		name, what := "LayersNotFoundException", "Layers"
		if m.IsIndex() {
			name, what = "ReferencedImagesNotFoundException", "Images"
		}
		digests := ""
		if own, ok := errors.AsType[*registry.Error](err); ok {
			if d, ok := own.Detail.(map[string]any); ok {
				digests = fmt.Sprint(d["digests"])
			}
		}
		return nil, &exception{Type: name, Message: what + " with digests '" + digests + "' do not exist in the repository with name '" +
			value(in.Repository) + "' in the registry with id '" + c.account(in.RegistryID) + "'"}
	case err != nil:
		return nil, c.unknown(err, &in.anyNamed)
	}
	id, err := c.id(in.RegistryID)
	return map[string]any{"image": struct {
		RegistryID string  `json:"registryId"`
		Repository string  `json:"repositoryName"`
		ID         imageID `json:"imageId"`
		Manifest   string  `json:"imageManifest"`
		MediaType  string  `json:"imageManifestMediaType"`
	}{id, value(in.Repository), imageID{string(m.Digest), value(in.Tag)}, *in.Manifest, m.MediaType}}, err
}
