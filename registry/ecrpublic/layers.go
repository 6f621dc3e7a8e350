package ecrpublic

import (
	"errors"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

func (c *call) batchCheckLayerAvailability(in *struct {
	anyNamed
	Digests *[]string `json:"layerDigests"`
}) (any, error) {
	var v checks
	in.check(c, &v)
	require(&v, "layerDigests", in.Digests)
	v.between("layerDigests", len(value(in.Digests)), 1, 100)
	for _, s := range value(in.Digests) {
		v.length("layerDigests.member", &s, 0, 1000)
	}
	if v.err != nil {
		return nil, v.err
	}
	type layer struct {
		Digest       string `json:"layerDigest"`
		Availability string `json:"layerAvailability"`
		Size         *int64 `json:"layerSize,omitempty"`
		MediaType    string `json:"mediaType,omitempty"`
	}
	type failure struct {
		Digest string `json:"layerDigest"`
		Code   string `json:"failureCode"`
		Reason string `json:"failureReason"`
	}
	out := struct {
		Layers   []layer   `json:"layers"`
		Failures []failure `json:"failures"`
	}{[]layer{}, []failure{}}
	var digests []manifest.Digest
	for _, s := range *in.Digests {
		d, err := manifest.ParseDigest(s)
		switch {
		case s == "":
			out.Failures = append(out.Failures, failure{s, "MissingLayerDigest", "Invalid request parameters: layer digest cannot be empty"})
		case err != nil:
			out.Failures = append(out.Failures, failure{s, "InvalidLayerDigest", "Invalid request parameters: layer digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"})
		default:
			digests = append(digests, d)
		}
	}
	found, err := c.actor.HasLayers(c.req.Context(), c.repository(in.RegistryID, in.Repository), digests...)
	if err != nil {
		return nil, c.unknown(err, &in.anyNamed)
	}
	for _, d := range digests {
		if size, ok := found[d]; ok {
			out.Layers = append(out.Layers, layer{string(d), "AVAILABLE", &size, "application/vnd.docker.image.rootfs.diff.tar.gzip"})
		} else {
			out.Layers = append(out.Layers, layer{string(d), "UNAVAILABLE", nil, ""})
		}
	}
	return out, nil
}

func (c *call) initiateLayerUpload(in *anyNamed) (any, error) {
	var v checks
	if in.check(c, &v); v.err != nil {
		return nil, v.err
	}
	id, err := c.actor.StartLayer(c.req.Context(), c.repository(in.RegistryID, in.Repository))
	if err != nil {
		return nil, c.unknown(err, in)
	}
	return map[string]any{"uploadId": id, "partSize": registry.LayerPart}, nil
}

// upload is the input of operations on an upload.
type upload struct {
	anyNamed
	ID *string `json:"uploadId"`
}

func (in *upload) check(c *call, v *checks) {
	in.anyNamed.check(c, v)
	require(v, "uploadId", in.ID)
	v.pattern("uploadId", in.ID, uploadIDSyntax)
}

// gone gives the error of an upload that does not exist ECR's words.
func (c *call) gone(err error, in *upload) error {
	if errors.Is(err, registry.ErrBlobUploadUnknown) {
		return &exception{Type: "UploadNotFoundException", Message: "The upload with id '" + value(in.ID) + "' does not exist in the repository with name '" +
			value(in.Repository) + "' in the registry with id '" + c.account(in.RegistryID) + "'"}
	}
	return c.unknown(err, &in.anyNamed)
}

func (c *call) uploadLayerPart(in *struct {
	upload
	First *int64  `json:"partFirstByte"`
	Last  *int64  `json:"partLastByte"`
	Part  *[]byte `json:"layerPartBlob"`
}) (any, error) {
	var v checks
	in.check(c, &v)
	require(&v, "partFirstByte", in.First)
	require(&v, "partLastByte", in.Last)
	require(&v, "layerPartBlob", in.Part)
	for field, n := range map[string]*int64{"partFirstByte": in.First, "partLastByte": in.Last} {
		if n != nil && *n < 0 {
			v.constraint(field, "Member must have value greater than or equal to 0")
		}
	}
	if v.between("layerPartBlob", len(value(in.Part)), 0, registry.MaxLayerPart); v.err != nil {
		return nil, v.err
	}
	name := c.repository(in.RegistryID, in.Repository)
	invalidPart := func(lastValid int64, message string) error {
		id, err := c.id(in.RegistryID)
		if err != nil {
			return err
		}
		return &exception{
			Type: "InvalidLayerPartException", Message: message, RegistryID: id, RepositoryName: value(in.Repository),
			UploadID: *in.ID, LastValidByteReceived: &lastValid,
		}
	}
	if len(*in.Part) == 0 || *in.Last-*in.First+1 != int64(len(*in.Part)) {
		received, err := c.actor.LayerReceived(c.req.Context(), name, meta.UploadID(*in.ID))
		if err != nil {
			return nil, c.gone(err, &in.upload)
		}
		return nil, invalidPart(received-1, "The layer part blob does not have the bytes from partFirstByte to partLastByte")
	}
	last, err := c.actor.PutLayerPart(c.req.Context(), name, meta.UploadID(*in.ID), *in.First, *in.Part)
	if part, ok := errors.AsType[*registry.PartError](err); ok {
		return nil, invalidPart(part.LastByte, "Layer parts must be contiguous: the part does not follow the last valid byte received")
	}
	if err != nil {
		return nil, c.gone(err, &in.upload)
	}
	id, err := c.id(in.RegistryID)
	return struct {
		RegistryID string `json:"registryId"`
		Repository string `json:"repositoryName"`
		ID         string `json:"uploadId"`
		Last       int64  `json:"lastByteReceived"`
	}{id, value(in.Repository), *in.ID, last}, err
}

func (c *call) completeLayerUpload(in *struct {
	upload
	Digests *[]string `json:"layerDigests"`
}) (any, error) {
	var v checks
	in.check(c, &v)
	require(&v, "layerDigests", in.Digests)
	v.between("layerDigests", len(value(in.Digests)), 1, 100)
	var digest manifest.Digest
	for _, s := range value(in.Digests) {
		v.pattern("layerDigests.member", &s, layerDigestSyntax)
		if d, err := manifest.ParseDigest(s); err == nil && digest == "" {
			digest = d
		}
	}
	if v.err != nil {
		return nil, v.err
	}
	mismatch := &exception{Type: "InvalidLayerException", Message: "The layer digest that was given does not match the digest of the bytes that came"}
	if digest == "" {
		return nil, mismatch
	}
	err := c.actor.FinishLayer(c.req.Context(), c.repository(in.RegistryID, in.Repository), meta.UploadID(*in.ID), digest)
	if errors.Is(err, registry.ErrDigestInvalid) {
		return nil, mismatch
	}
	if err != nil {
		return nil, c.gone(err, &in.upload)
	}
	id, err := c.id(in.RegistryID)
	return struct {
		RegistryID string `json:"registryId"`
		Repository string `json:"repositoryName"`
		ID         string `json:"uploadId"`
		Digest     string `json:"layerDigest"`
	}{id, value(in.Repository), *in.ID, string(digest)}, err
}
