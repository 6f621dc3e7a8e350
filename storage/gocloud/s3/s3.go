// Package s3 is a bucket of Amazon S3, or of a server that speaks its protocol, made to be
// written to by many pushes at once: package gocloud with the writing done anew.
//
//	bucket, err := s3.Open(ctx, "s3://images?region=eu-west-1", nil)
//
// The URL is that of gocloud.dev/blob/s3blob, with all its parameters: endpoint and
// use_path_style for servers other than Amazon's, disable_https, ssetype, profile and so on.
// Credentials come from where the AWS SDK finds them. A bucket belongs to one registry.
//
// # Memory
//
// S3 wants to know the size of what it is sent, and takes what is larger than a part only in
// parts of 5 MiB or more, so that bytes wait in memory. All writes of a bucket share
// [Options.Buffers] for it: one that finds no buffer free waits, without reading on, until
// another has sent a part. Objects up to 128 KiB need none: they wait in 32 MiB of smaller
// buffers, or those up to 16 KiB in one each. A client that sends no more holds its buffer all the
// same, for as long as the host's server lets it; see http.Server.ReadTimeout and
// http.ResponseController.SetReadDeadline.
//
// # Failures
//
// What S3 refuses because it is busy (503 SlowDown, 500, a lost connection) is tried again for
// some 20 seconds. A write that fails leaves nothing; one whose process is killed may leave
// an unfinished upload, which S3 keeps, and charges for, until [Bucket.SweepUnfinished].
package s3

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"gocloud.dev/blob/s3blob"

	"github.com/esplanade-registry/esplanade/storage/gocloud"
)

const (
	// PartSize is that of the parts of large objects. S3 takes 10,000 of an object, which is
	// 78 GiB.
	PartSize = 8 << 20
	// DefaultBuffers is what [Options.Buffers] is if 0.
	DefaultBuffers = 256 << 20
)

// Options are the options of [Open]; nil means the defaults.
type Options struct {
	// Buffers is how much memory all writes together may use for parts, in bytes:
	// [DefaultBuffers] if 0, and at least one part.
	Buffers int64
}

// Bucket implements storage.Bucket and storage.Sweeper.
type Bucket struct {
	*gocloud.Bucket
	client   *s3.Client
	name     string
	sse      s3blob.Options
	checksum types.ChecksumAlgorithm // of parts
	sizes    [3]*buffers             // the last is of parts
}

// What an object is read into before it is known to be larger. Of the first size there is one for
// each write: a client that then sends nothing holds no more.
const (
	firstSize  = 16 << 10
	secondSize = 128 << 10
	maxSecond  = 256 // 32 MiB
)

// How often, and after which pauses, what S3 refuses is tried again.
const (
	attempts = 10
	maxPause = 5 * time.Second
)

// Open opens the bucket that a URL such as s3://name?region=eu-west-1 names. It does not ask
// the server whether there is one.
func Open(ctx context.Context, bucketURL string, opts *Options) (*Bucket, error) {
	u, err := url.Parse(bucketURL)
	if err == nil && u.Scheme != s3blob.Scheme {
		err = fmt.Errorf("the URL %q does not begin with s3://", bucketURL)
	}
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	opener := &s3blob.URLOpener{}
	plain, err := opener.OpenBucketURL(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	var client *s3.Client
	if !plain.As(&client) {
		return nil, errors.Join(errors.New("s3: gocloud's bucket has no client"), plain.Close())
	}
	if err := plain.Close(); err != nil { // it was opened for what its URL says
		return nil, fmt.Errorf("s3: %w", err)
	}
	o := client.Options()
	o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff = attempts, maxPause
		o.RateLimiter = ratelimit.None // which gives up early when many requests fail at once
	})
	o.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = 256 })
	client = s3.New(o)
	bucket, err := s3blob.OpenBucket(ctx, client, u.Host, &opener.Options)
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	size := int64(DefaultBuffers)
	if opts != nil && opts.Buffers != 0 {
		size = opts.Buffers
	}
	b := &Bucket{Bucket: gocloud.New(bucket), client: client, name: u.Host, sse: opener.Options}
	b.sizes = [...]*buffers{newBuffers(firstSize, math.MaxInt), newBuffers(secondSize, maxSecond), newBuffers(PartSize, int(max(1, size/PartSize)))}
	if o.RequestChecksumCalculation != aws.RequestChecksumCalculationWhenRequired {
		b.checksum = types.ChecksumAlgorithmCrc32 // as the SDK has it where nothing is said; parts must have that of their upload
	}
	return b, nil
}

// SweepUnfinished implements storage.Sweeper: it ends the multi-part uploads that were begun
// before a time.
func (b *Bucket) SweepUnfinished(ctx context.Context, before time.Time) (removed int, err error) {
	pages := s3.NewListMultipartUploadsPaginator(b.client, &s3.ListMultipartUploadsInput{Bucket: &b.name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return removed, fmt.Errorf("s3: list of unfinished uploads: %w", err)
		}
		for _, u := range page.Uploads {
			if !aws.ToTime(u.Initiated).Before(before) {
				continue
			}
			if err := b.abort(ctx, aws.ToString(u.Key), aws.ToString(u.UploadId)); err != nil {
				return removed, err
			}
			removed++
		}
	}
	return removed, nil
}
