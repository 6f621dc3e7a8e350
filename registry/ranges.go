package registry

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// maxRanges bounds a request for several ranges; lazy pullers ask for a handful.
const maxRanges = 16

// span is bytes of a blob.
type span struct{ first, length int64 }

// length adds up what is asked for.
func length(asked []span) (n int64) {
	for _, s := range asked {
		n += s.length
	}
	return n
}

// ranged returns the request to serve content of a size for, and what it asks for of it, all
// of it if there are no ranges. Ranges that cannot be satisfied are an error of ours, and what the specification
// says to ignore is taken away, before net/http answers in its own words.
func (c *call) ranged(size int64) (req *http.Request, asked []span, err error) {
	header := c.req.Header.Get("Range")
	if header == "" {
		return c.req, []span{{0, size}}, nil
	}
	list, ok := strings.CutPrefix(header, "bytes=")
	if !ok || size == 0 {
		req := c.req.Clone(c.req.Context())
		req.Header.Del("Range")
		return req, []span{{0, size}}, nil
	}
	n := 0
	for spec := range strings.SplitSeq(list, ",") {
		spec = textproto.TrimString(spec)
		if spec == "" {
			continue
		}
		first, last, ok := strings.Cut(spec, "-")
		from, err := strconv.ParseUint(first, 10, 63)
		to, errTo := strconv.ParseUint(last, 10, 63)
		switch n++; {
		case !ok || n > maxRanges, first != "" && err != nil, last != "" && errTo != nil, first == "" && last == "", first != "" && last != "" && to < from:
			return nil, nil, rangeError(size)
		case first == "" && to > 0:
			from = uint64(max(0, size-int64(to)))
		case first == "" || int64(from) >= size:
			continue
		}
		end := size
		if first != "" && last != "" {
			end = min(size-1, int64(to)) + 1
		}
		asked = append(asked, span{int64(from), end - int64(from)})
	}
	if len(asked) == 0 {
		return nil, nil, rangeError(size)
	}
	return c.req, asked, nil
}

func rangeError(size int64) error {
	return &Error{
		Err: ErrContentRange, Message: "the blob has " + strconv.FormatInt(size, 10) + " bytes; the Range is beyond them, cannot be read, or has too many parts",
		Header: http.Header{"Content-Range": {"bytes */" + strconv.FormatInt(size, 10)}},
	}
}

// parts answers with several ranges (RFC 9110, section 14.6). net/http would copy them through a
// pipe, which holds a goroutine and 64 KiB for as long as the client reads.
// A reply that cannot be finished is shorter than it says, and net/http cuts the connection.
func (c *call) parts(content io.ReadSeeker, asked []span, size int64) {
	boundary := rand.Text()
	end := "\r\n--" + boundary + "--\r\n"
	total := int64(len(end))
	heads := make([]string, len(asked))
	for i, s := range asked {
		heads[i] = fmt.Sprintf("\r\n--%s\r\nContent-Range: bytes %d-%d/%d\r\nContent-Type: %s\r\n\r\n", boundary, s.first, s.first+s.length-1, size, octetStream[0])
		if i == 0 {
			heads[i] = strings.TrimPrefix(heads[i], "\r\n")
		}
		total += int64(len(heads[i])) + s.length
	}
	h := c.Header()
	h["Content-Type"] = []string{"multipart/byteranges; boundary=" + boundary}
	h["Content-Length"] = []string{strconv.FormatInt(total, 10)}
	c.WriteHeader(http.StatusPartialContent)
	for i, s := range asked {
		_, err := content.Seek(s.first, io.SeekStart)
		if err == nil {
			_, err = io.WriteString(c, heads[i])
		}
		if err == nil {
			_, err = io.CopyN(c, content, s.length)
		}
		if err != nil {
			return
		}
	}
	io.WriteString(c, end) //nolint:errcheck // the client has gone
}
