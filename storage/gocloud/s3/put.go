package s3

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const contentType = "application/octet-stream"

// Put implements storage.Bucket.
func (b *Bucket) Put(ctx context.Context, key string, r io.Reader) error {
	// What gocloud would write in another way, it would not find where this wrote it.
	if strings.Contains(key, "..") || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' }) {
		return fmt.Errorf("s3: key %q", key)
	}
	if err := b.put(ctx, key, r); err != nil {
		return fmt.Errorf("s3: put %s: %w", key, err)
	}
	return nil
}

// put reads an object into larger and larger buffers, until it has all, or a part.
func (b *Bucket) put(ctx context.Context, key string, r io.Reader) error {
	held, n := (*buffer)(nil), 0
	for _, size := range b.sizes {
		next, err := size.take(ctx)
		if held != nil {
			if err == nil {
				copy(next.bytes, held.bytes)
			}
			held.give()
		}
		if err != nil {
			return err
		}
		held = next
		more, last, err := fill(r, held.bytes[n:])
		n += more
		if err != nil || last {
			defer held.give()
			if err != nil {
				return err
			}
			return b.putWhole(ctx, key, held.bytes[:n])
		}
	}
	return b.putParts(ctx, key, held, r)
}

// fill reads until p is full or r has no more, which last says.
func fill(r io.Reader, p []byte) (n int, last bool, err error) {
	n, err = io.ReadFull(r, p)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return n, true, nil
	}
	return n, false, err
}

func (b *Bucket) putWhole(ctx context.Context, key string, data []byte) error {
	in := &s3.PutObjectInput{
		Bucket: &b.name, Key: &key, Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))), ContentType: aws.String(contentType),
		ServerSideEncryption: b.sse.EncryptionType, SSEKMSKeyId: optional(b.sse.KMSEncryptionID),
	}
	if _, err := b.client.PutObject(ctx, in); err != nil {
		return errors.Join(err, b.undo(ctx, key, ""))
	}
	return nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// maxSending is how many parts of one object are on their way at once.
const maxSending = 4

// putParts sends an object of which the first part has been read, and gives the part back.
func (b *Bucket) putParts(ctx context.Context, key string, part *buffer, r io.Reader) error {
	begun, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &b.name, Key: &key, ContentType: aws.String(contentType), ChecksumAlgorithm: b.checksum,
		ServerSideEncryption: b.sse.EncryptionType, SSEKMSKeyId: optional(b.sse.KMSEncryptionID),
	})
	if err != nil {
		part.give()
		return err
	}
	id := aws.ToString(begun.UploadId)
	sent, err := b.sendParts(ctx, key, id, part, r)
	if err == nil {
		_, err = b.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: &b.name, Key: &key, UploadId: &id, MultipartUpload: &types.CompletedMultipartUpload{Parts: sent},
		})
	}
	if missing, ok := errors.AsType[*types.NoSuchUpload](err); ok {
		// Tried again after an answer was lost, it is not there any more: the object may be.
		if _, there := b.Stat(ctx, key); there == nil {
			return nil
		}
		err = missing
	}
	if err != nil {
		return errors.Join(err, b.undo(ctx, key, id))
	}
	return nil
}

// sendParts sends part after part, as many at once as there are buffers for, and returns them
// in order when all are sent.
func (b *Bucket) sendParts(ctx context.Context, key, id string, part *buffer, r io.Reader) ([]types.CompletedPart, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		sending sync.WaitGroup
		mu      sync.Mutex
		sent    []types.CompletedPart
		room    = make(chan struct{}, maxSending)
	)
	n, last, err := PartSize, false, error(nil)
	for number := int32(1); ; number++ {
		room <- struct{}{}
		full, data := part, part.bytes[:n]
		sending.Go(func() {
			defer func() { full.give(); <-room }()
			done, err := b.sendPart(ctx, key, id, number, data)
			if err != nil {
				cancel(err)
				return
			}
			mu.Lock()
			sent = append(sent, done)
			mu.Unlock()
		})
		if last {
			break
		}
		if part, err = b.sizes[len(b.sizes)-1].take(ctx); err != nil {
			break
		}
		if n, last, err = fill(r, part.bytes); err != nil || n == 0 {
			part.give()
			break
		}
	}
	if err != nil {
		cancel(err)
	}
	sending.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	slices.SortFunc(sent, func(a, b types.CompletedPart) int { return cmp.Compare(*a.PartNumber, *b.PartNumber) })
	return sent, nil
}

func (b *Bucket) sendPart(ctx context.Context, key, id string, number int32, data []byte) (types.CompletedPart, error) {
	out, err := b.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &b.name, Key: &key, UploadId: &id, PartNumber: &number, ChecksumAlgorithm: b.checksum,
		Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))),
	})
	if err != nil {
		return types.CompletedPart{}, err
	}
	return types.CompletedPart{
		PartNumber: &number, ETag: out.ETag,
		ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C, ChecksumCRC64NVME: out.ChecksumCRC64NVME,
		ChecksumSHA1: out.ChecksumSHA1, ChecksumSHA256: out.ChecksumSHA256,
	}, nil
}

// undoTime is how long a write that failed may take to leave nothing. What it cannot remove is
// named by the registry's row of the upload, or is swept.
const undoTime = 10 * time.Second

// undo removes what a write that failed may have left: its unfinished upload, and the object,
// if the answer alone was lost.
func (b *Bucket) undo(ctx context.Context, key, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	var err error
	if id != "" {
		err = b.abort(ctx, key, id)
	}
	_, deleted := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &key})
	return errors.Join(err, deleted)
}

// abort ends an unfinished upload; that it has ended already is no error.
func (b *Bucket) abort(ctx context.Context, key, id string) error {
	_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: &key, UploadId: &id})
	if _, gone := errors.AsType[*types.NoSuchUpload](err); err != nil && !gone {
		return fmt.Errorf("end of the unfinished upload of %s: %w", key, err)
	}
	return nil
}
