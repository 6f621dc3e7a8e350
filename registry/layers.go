package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// The sizes of the parts of a layer, in bytes (ECR Public's quotas and API model).
const (
	MinLayerPart = 5 << 20  // but for the last part
	LayerPart    = 10 << 20 // what clients are told to send
	MaxLayerPart = 20 << 20
)

// HasLayers reports of digests whether the repository has them, as blobs with their sizes.
// Those that it has stay for a while, so that an image with them can be pushed.
func (a *Actor) HasLayers(ctx context.Context, name string, digests ...manifest.Digest) (found map[manifest.Digest]int64, err error) {
	found = map[manifest.Digest]int64{}
	err = a.do(ctx, Op{Action: policy.BatchCheckLayerAvailability, Name: name, asks: true}, func(ctx context.Context, op *Op) error {
		for _, d := range digests {
			b, err := a.r.blob(ctx, op, d)
			if err == nil {
				err = a.r.renew(ctx, op, d)
			}
			if errors.Is(err, ErrBlobUnknown) {
				continue
			}
			if err != nil {
				return err
			}
			found[d] = b.Size
		}
		return nil
	})
	return found, err
}

// StartLayer begins an upload in parts and returns its id.
func (a *Actor) StartLayer(ctx context.Context, name string) (id meta.UploadID, err error) {
	err = a.do(ctx, Op{Action: policy.InitiateLayerUpload, Name: name, asks: true}, func(ctx context.Context, op *Op) error {
		u, err := a.r.startUpload(ctx, op, manifest.SHA256)
		id = u.ID
		return err
	})
	return id, err
}

// PartError is the error of a part that does not follow the ones before it. It wraps
// [ErrRange].
type PartError struct{ LastByte int64 } // the last that was received; -1 if none was

// Error says where to go on.
func (e *PartError) Error() string {
	return fmt.Sprintf("the part does not follow the last valid byte, %d", e.LastByte)
}

// Unwrap returns [ErrRange].
func (e *PartError) Unwrap() error { return ErrRange }

// PutLayerPart adds a part to an upload: the bytes from first on. One that does not begin
// where the last one ended is a [*PartError].
func (a *Actor) PutLayerPart(ctx context.Context, name string, id meta.UploadID, first int64, part []byte) (last int64, err error) {
	op := Op{Action: policy.UploadLayerPart, Name: name, asks: true, uploadID: id}
	err = a.do(ctx, op, func(ctx context.Context, op *Op) error {
		u, err := a.r.upload(op)
		if err != nil {
			return err
		}
		if first != u.Offset {
			return &PartError{u.Offset - 1}
		}
		if len(u.Segments) >= a.r.cfg.Quotas.LayerParts {
			return says(ErrQuota, "the upload has %d parts, which is the limit", len(u.Segments))
		}
		u, err = a.r.appendUpload(ctx, op, u, chunk{start: first, size: int64(len(part)), body: bytes.NewReader(part)})
		if errors.Is(err, ErrRange) {
			return &PartError{u.Offset - 1}
		}
		last = u.Offset - 1
		return err
	})
	return last, err
}

// LayerReceived returns how many bytes of an upload have come.
func (a *Actor) LayerReceived(ctx context.Context, name string, id meta.UploadID) (n int64, err error) {
	err = a.do(ctx, Op{Action: policy.UploadLayerPart, Name: name, asks: true, uploadID: id}, func(ctx context.Context, op *Op) error {
		u, err := a.r.upload(op)
		n = u.Offset
		return err
	})
	return n, err
}

// FinishLayer makes an upload a layer of the repository. The parts but the last must have
// [MinLayerPart] bytes.
func (a *Actor) FinishLayer(ctx context.Context, name string, id meta.UploadID, d manifest.Digest) error {
	if _, err := manifest.ParseDigest(string(d)); err != nil {
		return err
	}
	op := Op{Action: policy.CompleteLayerUpload, Name: name, asks: true, uploadID: id, Reference: manifest.Reference{Digest: d}}
	return a.do(ctx, op, func(ctx context.Context, op *Op) error {
		u, err := a.r.upload(op)
		if err != nil {
			return err
		}
		if u.Offset == 0 {
			return says(ErrUploadEmpty, "the upload has no bytes")
		}
		for _, s := range u.Segments[:len(u.Segments)-1] {
			if s.Size < MinLayerPart {
				return says(ErrLayerPartTooSmall, "a part has %d bytes, all but the last must have %d or more", s.Size, MinLayerPart)
			}
		}
		if _, err := a.r.store.Linked(ctx, op.Repository.ID, d); err == nil {
			return says(ErrLayerExists, "the repository %s has the layer %s already", op.Name, d)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return a.r.finishUpload(ctx, op, u, d, chunk{start: -1})
	})
}
