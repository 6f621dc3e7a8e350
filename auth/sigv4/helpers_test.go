package sigv4_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/sigv4"
)

const (
	service = "ecr-public"
	region  = "us-east-1"
	layout  = "20060102T150405Z"
	empty   = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // the digest of nothing
)

var (
	alice  = auth.Principal{Account: "123456789012", Name: "alice"}
	robot  = auth.Principal{Account: "123456789012", Name: "assumed-role/builder/42"}
	ever   = aws.Credentials{AccessKeyID: "AKIAEVEREVEREVEREVER", SecretAccessKey: "ever-secret-0123456789"}
	hourly = aws.Credentials{AccessKeyID: "ASIAHOURLYHOURLYHOUR", SecretAccessKey: "hourly-secret-0123456789", SessionToken: "c2Vzc2lvbg=="}
	gone   = aws.Credentials{AccessKeyID: "ASIAGONEGONEGONEGONE", SecretAccessKey: "gone-secret-0123456789", SessionToken: "Z29uZQ=="}
)

// keys are the access keys of most tests.
func keys() auth.StaticKeys {
	return auth.StaticKeys{
		ever.AccessKeyID: {ID: ever.AccessKeyID, Secret: ever.SecretAccessKey, Principal: alice},
		hourly.AccessKeyID: {
			ID: hourly.AccessKeyID, Secret: hourly.SecretAccessKey, Principal: robot, Session: hourly.SessionToken, Expires: time.Now().Add(time.Hour),
		},
		gone.AccessKeyID: {
			ID: gone.AccessKeyID, Secret: gone.SecretAccessKey, Principal: robot, Session: gone.SessionToken, Expires: time.Now().Add(-time.Second),
		},
		"AKIASECRETLESSSECRET": {ID: "AKIASECRETLESSSECRET", Principal: alice},
	}
}

func verifier() *sigv4.Verifier { return &sigv4.Verifier{Keys: keys(), Service: service} }

// keysFunc is a function as auth.AccessKeys.
type keysFunc func(ctx context.Context, id string) (auth.AccessKey, error)

func (f keysFunc) AccessKey(ctx context.Context, id string) (auth.AccessKey, error) {
	return f(ctx, id)
}

// call is a request before it is signed.
type call struct {
	method, url     string
	header          map[string]string
	body            string
	key             aws.Credentials
	service, region string
	date            time.Time
	length          bool // the length of the body is signed, as the Go SDK does
}

// describe is a call of the control plane, as botocore makes it.
func describe() call {
	return call{
		method: "POST", url: "https://api.ecr-public.example/", body: "{}",
		header: map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "SpencerFrontendService.DescribeRepositories"},
		key:    ever, service: service, region: region, date: time.Now(),
	}
}

func (c call) request(tb testing.TB) *http.Request {
	tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), c.method, c.url, strings.NewReader(c.body))
	if err != nil {
		tb.Fatal(err)
	}
	for name, value := range c.header {
		r.Header.Set(name, value)
	}
	return r
}

// bySDK signs with AWS's own signer.
func (c call) bySDK(tb testing.TB) *http.Request {
	tb.Helper()
	r := c.request(tb)
	length := r.ContentLength
	if !c.length {
		r.ContentLength = 0
	}
	if err := v4.NewSigner().SignHTTP(context.Background(), c.key, r, digest(c.body), c.service, c.region, c.date); err != nil {
		tb.Fatal(err)
	}
	r.ContentLength = length
	return r
}

// byHand signs the named headers, and host and x-amz-date, by the text of AWS's
// specification, without its library, whose choice of headers is its own.
func (c call) byHand(tb testing.TB, names ...string) *http.Request {
	tb.Helper()
	r := c.request(tb)
	r.Header.Set("X-Amz-Date", c.date.UTC().Format(layout))
	names = append(names, "host", "x-amz-date")
	slices.Sort(names)
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s",
		c.key.AccessKeyID, c.date.UTC().Format("20060102"), c.region, c.service, strings.Join(names, ";"),
		signature(r, []byte(c.body), c.key.SecretAccessKey, c.date.UTC().Format("20060102"), c.region, c.service, names)))
	return r
}

// signature is that of AWS's specification over what a request says, the date as it stands
// in its header.
func signature(r *http.Request, body []byte, secret, day, region, service string, names []string) string {
	var canonical strings.Builder
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	fmt.Fprintf(&canonical, "%s\n%s\n%s\n", r.Method, strings.ReplaceAll(escape(path), "%2F", "/"), query(r.URL.RawQuery))
	for _, name := range names {
		values := slices.Clone(r.Header.Values(name))
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		}
		for i, v := range values {
			values[i] = strings.Join(strings.FieldsFunc(v, func(c rune) bool { return c == ' ' }), " ")
		}
		fmt.Fprintf(&canonical, "%s:%s\n", name, strings.Join(values, ","))
	}
	fmt.Fprintf(&canonical, "\n%s\n%s", strings.Join(names, ";"), digest(string(body)))
	scope := strings.Join([]string{day, region, service, "aws4_request"}, "/")
	key := []byte("AWS4" + secret)
	for _, part := range []string{day, region, service, "aws4_request"} {
		key = mac(key, part)
	}
	return hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+r.Header.Get("X-Amz-Date")+"\n"+scope+"\n"+digest(canonical.String())))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// query is the canonical query: every pair, even one that cannot be read, escaped and in order.
func query(raw string) string {
	var pairs [][2]string
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		pairs = append(pairs, [2]string{escape(plain(name)), escape(plain(value))})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		return strings.Compare(a[0]+"\x00"+a[1], b[0]+"\x00"+b[1])
	})
	var list []string
	for _, p := range pairs {
		list = append(list, p[0]+"="+p[1])
	}
	return strings.Join(list, "&")
}

func plain(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// got is a request as a server reads it.
type got struct {
	*http.Request
	body []byte
}

// receive sends a request through the wire's text, which is where spaces go and the fields
// of http.Request come from.
func receive(tb testing.TB, r *http.Request) *got {
	tb.Helper()
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		tb.Fatal(err)
	}
	in, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		tb.Fatal(err)
	}
	body, err := io.ReadAll(in.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return &got{in, body}
}

// edit replaces text in the Authorization header.
func edit(old, new string) func(*got) {
	return func(g *got) {
		before := g.Header.Get("Authorization")
		g.Header.Set("Authorization", strings.Replace(before, old, new, 1))
		if before == g.Header.Get("Authorization") {
			panic("the header has no " + old)
		}
	}
}

func authorization(value string) func(*got) {
	return func(g *got) { g.Header.Set("Authorization", value) }
}

// codeOf is the code of an error, "" for one that has none.
func codeOf(err error) string {
	if e := (*sigv4.Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	return ""
}
