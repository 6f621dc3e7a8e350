package gocloud_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
	"google.golang.org/api/googleapi"

	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
)

// remote is a driver of which every call fails with an error that it calls NotFound, as
// gcsblob and azureblob do. What is written it keeps, unless the context has ended.
type remote struct {
	driver.Bucket
	err  error
	kept map[string]string
}

func (r *remote) ErrorCode(error) gcerrors.ErrorCode { return gcerrors.NotFound }
func (r *remote) ErrorAs(error, any) bool            { return false }
func (r *remote) Close() error                       { return nil }

func (r *remote) Attributes(context.Context, string) (*driver.Attributes, error) { return nil, r.err }

func (r *remote) Delete(context.Context, string, *driver.DeleteOptions) error { return r.err }

func (r *remote) ListPaged(context.Context, *driver.ListOptions) (*driver.ListPage, error) {
	return nil, r.err
}

func (r *remote) NewRangeReader(context.Context, string, int64, int64, *driver.ReaderOptions) (driver.Reader, error) {
	return nil, r.err
}

func (r *remote) NewTypedWriter(ctx context.Context, key, _ string, _ *driver.WriterOptions) (driver.Writer, error) {
	return &upload{ctx: ctx, remote: r, key: key}, nil
}

// upload reads by itself, and takes whatever ends for whole, as azureblob's does.
type upload struct {
	driver.Writer
	ctx    context.Context
	remote *remote
	key    string
}

func (u *upload) Upload(r io.Reader) error {
	content, _ := io.ReadAll(r)
	if err := u.ctx.Err(); err != nil {
		return err
	}
	u.remote.kept[u.key] = string(content)
	return nil
}

func (u *upload) Close() error { return u.ctx.Err() }

// Only what says that an object is not there may be taken for that.
func TestNotFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"absent":         {errors.New("no such object"), true},
		"absent on GCS":  {&googleapi.Error{Code: http.StatusNotFound}, true},
		"denied on GCS":  {&googleapi.Error{Code: http.StatusForbidden}, false},
		"host not known": {&net.DNSError{Err: "no such host", Name: "account.blob.example", IsNotFound: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := gocloud.New(blob.NewBucket(&remote{err: c.err}))
			key := storage.NewKey()
			_, got := b.Get(t.Context(), key, 0, -1)
			_, stat := b.Stat(t.Context(), key)
			for call, err := range map[string]error{"Get": got, "Stat": stat, "Delete": b.Delete(t.Context(), key)} {
				if err == nil || errors.Is(err, fs.ErrNotExist) != c.want {
					t.Errorf("%s: %v; is fs.ErrNotExist: %v, want %v", call, err, !c.want, c.want)
				}
			}
			for _, err := range b.List(t.Context(), "", "") {
				if err == nil || errors.Is(err, fs.ErrNotExist) {
					t.Errorf("List: %v", err)
				}
			}
		})
	}
}

// A driver that reads by itself commits nothing of what ends early.
func TestUploadThatEndsEarly(t *testing.T) {
	t.Parallel()
	r := &remote{kept: map[string]string{}}
	b := gocloud.New(blob.NewBucket(r))
	broken := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if err := b.Put(t.Context(), "00/broken", broken); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Put of what ends early: %v", err)
	}
	if err := b.Put(t.Context(), "00/whole", strings.NewReader("whole")); err != nil {
		t.Error(err)
	}
	if len(r.kept) != 1 || r.kept["00/whole"] != "whole" {
		t.Errorf("kept: %q", r.kept)
	}
}
