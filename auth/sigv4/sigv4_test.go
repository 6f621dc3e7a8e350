package sigv4_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/sigv4"
)

// What clients sign, and how: the header sets are those that were seen of each.
func TestAccepted(t *testing.T) {
	t.Parallel()
	sdk := func(change func(*call)) func(testing.TB) *http.Request {
		return func(tb testing.TB) *http.Request {
			c := describe()
			change(&c)
			return c.bySDK(tb)
		}
	}
	hand := func(change func(*call), names ...string) func(testing.TB) *http.Request {
		return func(tb testing.TB) *http.Request {
			c := describe()
			change(&c)
			return c.byHand(tb, names...)
		}
	}
	set := func(pairs ...string) func(*call) {
		return func(c *call) {
			for i := 0; i < len(pairs); i += 2 {
				c.header[pairs[i]] = pairs[i+1]
			}
		}
	}
	for name, tt := range map[string]struct {
		make func(testing.TB) *http.Request
		want auth.Principal
	}{
		"botocore":                {sdk(func(*call) {}), alice},
		"botocore, by hand":       {hand(func(*call) {}, "content-type", "x-amz-target"), alice},
		"botocore with a session": {sdk(func(c *call) { c.key = hourly }), robot},
		"botocore, no input":      {sdk(func(c *call) { c.body = "" }), alice},
		"Go SDK": {sdk(func(c *call) {
			c.length = true
			set("Amz-Sdk-Invocation-Id", "3f0c", "Amz-Sdk-Request", "attempt=1; max=3")(c)
		}), alice},
		"Go SDK with a session":            {sdk(func(c *call) { c.length, c.key = true, hourly }), robot},
		"curl, every header that it sends": {hand(set("Accept", "*/*"), "accept", "content-type", "x-amz-target"), alice},
		"JavaScript SDK":                   {hand(set("X-Amz-User-Agent", "aws-sdk-js/3", "X-Amz-Content-Sha256", digest("{}")), "content-length", "content-type", "x-amz-content-sha256", "x-amz-target", "x-amz-user-agent"), alice},
		// The specification lets any header be signed, and the .NET SDK signs this one.
		".NET SDK, which signs User-Agent":       {hand(set("User-Agent", "aws-sdk-dotnet-coreclr/3.7"), "content-type", "user-agent", "x-amz-target"), alice},
		"headers that nobody signs":              {sdk(func(*call) {}), alice}, // User-Agent and Content-Length are there
		"GET without a body":                     {sdk(func(c *call) { c.method, c.body = "GET", "" }), alice},
		"no path":                                {sdk(func(c *call) { c.url = "https://api.ecr-public.example" }), alice},
		"a path":                                 {sdk(func(c *call) { c.url += "a/b" }), alice},
		"a path with spaces and signs":           {sdk(func(c *call) { c.url += "a%20b/c+d/(e)!*'~" }), alice},
		"a path with an escaped slash":           {sdk(func(c *call) { c.url += "a%2Fb" }), alice},
		"a path beyond ASCII":                    {sdk(func(c *call) { c.url += "ümlaut/%E1%88%B4" }), alice},
		"a path by hand":                         {hand(func(c *call) { c.url += "a%20b/c" }, "content-type", "x-amz-target"), alice},
		"two slashes":                            {sdk(func(c *call) { c.url += "/a" }), alice},
		"a query":                                {sdk(func(c *call) { c.url += "?b=2&a=1" }), alice},
		"a query by hand":                        {hand(func(c *call) { c.url += "?b=2&a=1&a=0&c=x%20y%2Fz" }, "content-type", "x-amz-target"), alice},
		"a query of a name alone":                {sdk(func(c *call) { c.url += "?acl" }), alice},
		"a query with plus, slash and space":     {sdk(func(c *call) { c.url += "?q=a%2Bb&q=a/b&q=a-b&q=x%20y&q=a+b" }), alice},
		"spaces within a value":                  {sdk(set("X-Amz-Meta-Note", "a   b     c")), alice},
		"spaces around a value":                  {sdk(set("X-Amz-Meta-Note", "   a b  ")), alice},
		"an empty value":                         {sdk(set("X-Amz-Meta-Note", "")), alice},
		"a value of spaces":                      {hand(set("X-Amz-Meta-Note", "   "), "content-type", "x-amz-meta-note", "x-amz-target"), alice},
		"a header twice":                         {func(tb testing.TB) *http.Request { return twice(tb) }, alice},
		"a right x-amz-content-sha256":           {sdk(set("X-Amz-Content-Sha256", digest("{}"))), alice},
		"a right x-amz-content-sha256, no input": {sdk(func(c *call) { c.method, c.body = "GET", ""; set("X-Amz-Content-Sha256", empty)(c) }), alice},
		"a port":                                 {sdk(func(c *call) { c.url = "http://localhost:5000/" }), alice},
		"the port of http":                       {sdk(func(c *call) { c.url = "http://localhost:80/" }), alice},
		"the port of https":                      {sdk(func(c *call) { c.url = "https://localhost:443/" }), alice},
		"an address":                             {sdk(func(c *call) { c.url = "http://[::1]:5000/" }), alice},
		"another region":                         {sdk(func(c *call) { c.region = "eu-central-1" }), alice},
		"three minutes old":                      {sdk(func(c *call) { c.date = c.date.Add(-3 * time.Minute) }), alice},
		"from three minutes ahead":               {sdk(func(c *call) { c.date = c.date.Add(3 * time.Minute) }), alice},
		"a clock of another time zone":           {sdk(func(c *call) { c.date = c.date.In(time.FixedZone("", -11*3600)) }), alice},
		"a body of a megabyte":                   {sdk(func(c *call) { c.body = strings.Repeat("x", 1<<20) }), alice},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := receive(t, tt.make(t))
			who, err := verifier().Verify(g.Request, g.body)
			if err != nil || who.Principal != tt.want || who.Scope != nil {
				t.Fatalf("%+v, %v; want %s for\n%s", who, err, tt.want, g.Header.Get("Authorization"))
			}
		})
	}
}

// twice is a request with two values of one signed header.
func twice(tb testing.TB) *http.Request {
	tb.Helper()
	c := describe()
	r := c.request(tb)
	r.Header["X-Amz-Meta-Note"] = []string{"b", "a"}
	date := c.date.UTC().Format(layout)
	r.Header.Set("X-Amz-Date", date)
	names := []string{"content-type", "host", "x-amz-date", "x-amz-meta-note", "x-amz-target"}
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request,SignedHeaders=%s,Signature=%s",
		ever.AccessKeyID, date[:8], region, service, strings.Join(names, ";"), signature(r, []byte(c.body), ever.SecretAccessKey, date[:8], region, service, names)))
	return r
}

// The examples that AWS publishes with the specification (aws-sig-v4-test-suite), which
// neither the library nor the signer of these tests had a hand in.
func TestPublishedSignatures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		date := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
		time.Sleep(time.Until(date))
		v := &sigv4.Verifier{Service: "service", Regions: []string{"us-east-1"}, Keys: auth.StaticKeys{
			"AKIDEXAMPLE": {ID: "AKIDEXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", Principal: alice},
		}}
		for _, tt := range []struct{ name, method, target, more, moreNames, body, signature string }{
			{"get-vanilla", "GET", "/", "", "", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
			{"get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1", "", "", "", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
			{"post-vanilla", "POST", "/", "", "", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
			{"get-header-value-trim", "GET", "/", "My-Header1: value1\nMy-Header2: \"a   b   c\"", "my-header1;my-header2;", "", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
		} {
			r, err := http.NewRequestWithContext(t.Context(), tt.method, "https://example.amazonaws.com"+tt.target, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Amz-Date", "20150830T123600Z")
			for line := range strings.SplitSeq(tt.more, "\n") {
				if name, value, ok := strings.Cut(line, ":"); ok {
					r.Header.Add(name, value)
				}
			}
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;"+tt.moreNames+"x-amz-date, Signature="+tt.signature)
			g := receive(t, r)
			if who, err := v.Verify(g.Request, g.body); err != nil || who.Principal != alice {
				t.Errorf("%s: %+v, %v", tt.name, who, err)
			}
		}
	})
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	all := keys()
	v := &sigv4.Verifier{Keys: all, Service: service, Regions: []string{"us-west-2", region}}
	for _, key := range []aws.Credentials{ever, hourly} {
		c := describe()
		c.key = key
		g := receive(t, c.bySDK(t))
		k := all[key.AccessKeyID]
		who, err := v.Verify(g.Request, g.body)
		if diff := cmp.Diff(auth.Identity{Principal: k.Principal, AccessKey: k.ID, Expires: k.Expires}, who); err != nil || diff != "" {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	mismatch := "0000000000000000000000000000000000000000000000000000000000000000"
	drop := func(name string) func(*got) { return func(g *got) { g.Header.Del(name) } }
	put := func(name, value string) func(*got) { return func(g *got) { g.Header.Set(name, value) } }
	same := func(*call) {}
	for name, tt := range map[string]struct {
		call   func(*call) // before it is signed
		change func(*got)  // on its way
		want   string
	}{
		"no header":                 {same, drop("Authorization"), sigv4.CodeMissing},
		"an empty header":           {same, authorization(""), sigv4.CodeIncomplete},
		"Basic":                     {same, authorization("Basic QVdTOng="), sigv4.CodeIncomplete},
		"Bearer":                    {same, authorization("Bearer a.b.c"), sigv4.CodeIncomplete},
		"the algorithm alone":       {same, authorization("AWS4-HMAC-SHA256"), sigv4.CodeIncomplete},
		"the algorithm and a space": {same, authorization("AWS4-HMAC-SHA256 "), sigv4.CodeIncomplete},
		"Signature Version 4A":      {same, edit("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), sigv4.CodeIncomplete},
		"another digest":            {same, edit("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), sigv4.CodeIncomplete},
		"Signature Version 2":       {same, authorization("AWS AKIA:c2lnbmF0dXJl"), sigv4.CodeIncomplete},
		"the header twice": {same, func(g *got) {
			g.Header["Authorization"] = append(g.Header["Authorization"], g.Header["Authorization"]...)
		}, sigv4.CodeIncomplete},
		"a header of a megabyte":           {same, edit("Signature=", strings.Repeat("x", 1<<20)+"Signature="), sigv4.CodeIncomplete},
		"a megabyte of commas":             {same, authorization("AWS4-HMAC-SHA256 " + strings.Repeat(",", 1<<20)), sigv4.CodeIncomplete},
		"no Credential":                    {same, edit("Credential=", "Credentials="), sigv4.CodeIncomplete},
		"no SignedHeaders":                 {same, edit("SignedHeaders=", "Headers="), sigv4.CodeIncomplete},
		"no Signature":                     {same, edit("Signature=", "Sig="), sigv4.CodeIncomplete},
		"Signature twice":                  {same, edit("Signature=", "Signature="+mismatch+", Signature="), sigv4.CodeIncomplete},
		"one parameter more":               {same, edit("Signature=", "Region=us-east-1, Signature="), sigv4.CodeIncomplete},
		"an empty Signature":               {same, func(g *got) { cut(g, "Signature=") }, sigv4.CodeIncomplete},
		"a Signature that is too short":    {same, func(g *got) { shorten(g) }, sigv4.CodeIncomplete},
		"a Signature that is too long":     {same, edit("Signature=", "Signature=0"), sigv4.CodeIncomplete},
		"a Signature in upper case":        {same, func(g *got) { upper(g) }, sigv4.CodeIncomplete},
		"a Credential of four parts":       {same, edit("/aws4_request", ""), sigv4.CodeIncomplete},
		"a Credential of six parts":        {same, edit("/aws4_request", "/x/aws4_request"), sigv4.CodeIncomplete},
		"a Credential with another end":    {same, edit("/aws4_request", "/aws2_request"), sigv4.CodeIncomplete},
		"a Credential without a key":       {same, edit(ever.AccessKeyID, ""), sigv4.CodeIncomplete},
		"a Credential without a region":    {same, edit("/"+region+"/", "//"), sigv4.CodeIncomplete},
		"a Credential without a day":       {same, func(g *got) { edit("/"+g.Header.Get("X-Amz-Date")[:8]+"/", "//")(g) }, sigv4.CodeIncomplete},
		"a key of 129 characters":          {same, edit(ever.AccessKeyID, strings.Repeat("A", 129)), sigv4.CodeIncomplete},
		"a key with a NUL":                 {same, edit(ever.AccessKeyID, ever.AccessKeyID+"\x00"), sigv4.CodeIncomplete},
		"SignedHeaders in upper case":      {same, edit("content-type", "Content-Type"), sigv4.CodeIncomplete},
		"SignedHeaders out of order":       {same, edit("content-type;host", "host;content-type"), sigv4.CodeIncomplete},
		"a name twice in SignedHeaders":    {same, edit("host;", "host;host;"), sigv4.CodeIncomplete},
		"an empty name in SignedHeaders":   {same, edit("SignedHeaders=", "SignedHeaders=;"), sigv4.CodeIncomplete},
		"commas in SignedHeaders":          {same, edit("content-type;host", "content-type,host"), sigv4.CodeIncomplete},
		"no X-Amz-Date":                    {same, drop("X-Amz-Date"), sigv4.CodeIncomplete},
		"two X-Amz-Dates":                  {same, func(g *got) { g.Header.Add("X-Amz-Date", g.Header.Get("X-Amz-Date")) }, sigv4.CodeIncomplete},
		"an empty X-Amz-Date":              {same, put("X-Amz-Date", ""), sigv4.CodeIncomplete},
		"a date in words":                  {same, put("X-Amz-Date", time.Now().UTC().Format(http.TimeFormat)), sigv4.CodeIncomplete},
		"a date with dashes":               {same, put("X-Amz-Date", time.Now().UTC().Format(time.RFC3339)), sigv4.CodeIncomplete},
		"a date with a fraction":           {same, func(g *got) { put("X-Amz-Date", strings.Replace(g.Header.Get("X-Amz-Date"), "Z", ".9Z", 1))(g) }, sigv4.CodeIncomplete},
		"a date of another day":            {same, put("X-Amz-Date", time.Now().Add(-24*time.Hour).UTC().Format(layout)), sigv4.CodeInvalid},
		"the scope is of another day":      {same, func(g *got) { edit("/"+g.Header.Get("X-Amz-Date")[:8]+"/", "/20200101/")(g) }, sigv4.CodeInvalid},
		"an hour old":                      {func(c *call) { c.date = c.date.Add(-time.Hour) }, nil, sigv4.CodeInvalid},
		"from an hour ahead":               {func(c *call) { c.date = c.date.Add(time.Hour) }, nil, sigv4.CodeInvalid},
		"another second":                   {same, func(g *got) { put("X-Amz-Date", shift(g.Header.Get("X-Amz-Date")))(g) }, sigv4.CodeInvalid},
		"another service":                  {func(c *call) { c.service = "ecr" }, nil, sigv4.CodeInvalid},
		"the service was changed":          {func(c *call) { c.service = "ecr" }, edit("/ecr/", "/ecr-public/"), sigv4.CodeInvalid},
		"the region was changed":           {same, edit("/us-east-1/", "/us-west-2/"), sigv4.CodeInvalid},
		"an unknown key":                   {func(c *call) { c.key.AccessKeyID = "AKIAUNKNOWNUNKNOWNUN" }, nil, sigv4.CodeUnrecognized},
		"a key in lower case":              {func(c *call) { c.key.AccessKeyID = strings.ToLower(ever.AccessKeyID) }, nil, sigv4.CodeUnrecognized},
		"a wrong secret":                   {func(c *call) { c.key.SecretAccessKey = "x" }, nil, sigv4.CodeInvalid},
		"another's key":                    {same, edit(ever.AccessKeyID, hourly.AccessKeyID), sigv4.CodeInvalid},
		"a signature of zeros":             {same, func(g *got) { cut(g, "Signature="); edit("Signature=", "Signature="+mismatch)(g) }, sigv4.CodeInvalid},
		"another body":                     {same, func(g *got) { g.body = []byte(`{"force":true}`) }, sigv4.CodeInvalid},
		"no body":                          {same, func(g *got) { g.body = nil }, sigv4.CodeInvalid},
		"one byte more of body":            {same, func(g *got) { g.body = append(g.body, ' ') }, sigv4.CodeInvalid},
		"another target":                   {same, put("X-Amz-Target", "SpencerFrontendService.DeleteRepository"), sigv4.CodeInvalid},
		"another type":                     {same, put("Content-Type", "application/x-amz-json-1.0"), sigv4.CodeInvalid},
		"a target more":                    {same, func(g *got) { g.Header.Add("X-Amz-Target", "x") }, sigv4.CodeInvalid},
		"a signed header is gone":          {same, drop("X-Amz-Target"), sigv4.CodeInvalid},
		"another method":                   {same, func(g *got) { g.Method = "PUT" }, sigv4.CodeInvalid},
		"another path":                     {same, func(g *got) { g.URL.Path = "/x" }, sigv4.CodeInvalid},
		"a path escaped otherwise":         {func(c *call) { c.url += "a%2Fb" }, func(g *got) { g.URL.Path, g.URL.RawPath = "/a/b", "" }, sigv4.CodeInvalid},
		"a query":                          {same, func(g *got) { g.URL.RawQuery = "a=1" }, sigv4.CodeInvalid},
		"another query":                    {func(c *call) { c.url += "?a=1" }, func(g *got) { g.URL.RawQuery = "a=2" }, sigv4.CodeInvalid},
		"a query more":                     {func(c *call) { c.url += "?a=1" }, func(g *got) { g.URL.RawQuery = "a=1&a=2" }, sigv4.CodeInvalid},
		"a query less":                     {func(c *call) { c.url += "?a=1&b=2" }, func(g *got) { g.URL.RawQuery = "a=1" }, sigv4.CodeInvalid},
		"a query more, not to be read":     {func(c *call) { c.url += "?a=1" }, func(g *got) { g.URL.RawQuery = "a=1&b;c=2" }, sigv4.CodeInvalid},
		"another host":                     {same, func(g *got) { g.Host = "other.example" }, sigv4.CodeInvalid},
		"another port":                     {same, func(g *got) { g.Host += ":444" }, sigv4.CodeInvalid},
		"an x-amz- header was added":       {same, put("X-Amz-Meta-Note", "x"), sigv4.CodeInvalid},
		"an empty x-amz- header was added": {same, put("X-Amz-Meta-Note", ""), sigv4.CodeInvalid},
		"a session was added":              {same, put("X-Amz-Security-Token", hourly.SessionToken), sigv4.CodeInvalid},
		"a type was added":                 {func(c *call) { delete(c.header, "Content-Type") }, put("Content-Type", "application/x-amz-json-1.1"), sigv4.CodeInvalid},
		"a header that is not there":       {same, edit("content-type;", "cache-control;content-type;"), sigv4.CodeInvalid},
		"a signed length that changed":     {func(c *call) { c.length = true }, func(g *got) { g.ContentLength = 3 }, sigv4.CodeInvalid},
		"a signed length, in chunks":       {func(c *call) { c.length = true }, func(g *got) { g.ContentLength = -1 }, sigv4.CodeInvalid},
		"a lying x-amz-content-sha256":     {func(c *call) { c.header["X-Amz-Content-Sha256"] = empty }, nil, sigv4.CodeInvalid},
		"UNSIGNED-PAYLOAD":                 {func(c *call) { c.header["X-Amz-Content-Sha256"] = "UNSIGNED-PAYLOAD" }, nil, sigv4.CodeInvalid},
		"a chunked payload":                {func(c *call) { c.header["X-Amz-Content-Sha256"] = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" }, nil, sigv4.CodeInvalid},
		"a session that has ended":         {func(c *call) { c.key = gone }, nil, sigv4.CodeExpired},
		"another session":                  {func(c *call) { c.key = hourly; c.key.SessionToken = gone.SessionToken }, nil, sigv4.CodeUnrecognized},
		"a session is missing":             {func(c *call) { c.key = hourly; c.key.SessionToken = "" }, nil, sigv4.CodeUnrecognized},
		"a session for a key without":      {func(c *call) { c.key.SessionToken = hourly.SessionToken }, nil, sigv4.CodeUnrecognized},
		// Who guesses that a key has no secret can sign with it.
		"a key without a secret": {func(c *call) { c.key = aws.Credentials{AccessKeyID: "AKIASECRETLESSSECRET"} }, nil, sigv4.CodeUnrecognized},
		// Of what has ended only who has the secret may learn that.
		"a wrong secret for a session that has ended": {func(c *call) { c.key = gone; c.key.SecretAccessKey = "x" }, nil, sigv4.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := describe()
			tt.call(&c)
			g := receive(t, c.bySDK(t))
			if tt.change != nil {
				tt.change(g)
			}
			refused(t, verifier(), g, tt.want)
		})
	}
}

// refused checks that a request is, with a code, and that it is told from the other errors.
func refused(t *testing.T, v *sigv4.Verifier, g *got, code string) {
	t.Helper()
	who, err := v.Verify(g.Request, g.body)
	if codeOf(err) != code || !cmp.Equal(who, auth.Identity{}) {
		t.Fatalf("%+v, %v; want %s", who, err, code)
	}
	if !errors.Is(err, auth.ErrInvalidCredential) || errors.Is(err, auth.ErrExpired) != (code == sigv4.CodeExpired) {
		t.Errorf("%v: wraps ErrInvalidCredential %v, ErrExpired %v", err, errors.Is(err, auth.ErrInvalidCredential), errors.Is(err, auth.ErrExpired))
	}
	if len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\r\n\x00") {
		t.Errorf("the error repeats what the client sent: %q", err)
	}
}

// cut takes away what follows the last occurrence of a text in the Authorization header.
func cut(g *got, after string) {
	h := g.Header.Get("Authorization")
	g.Header.Set("Authorization", h[:strings.LastIndex(h, after)+len(after)])
}

func shorten(g *got) {
	h := g.Header.Get("Authorization")
	g.Header.Set("Authorization", h[:len(h)-1])
}

func upper(g *got) {
	h := g.Header.Get("Authorization")
	i := strings.LastIndex(h, "=") + 1
	g.Header.Set("Authorization", h[:i]+strings.ToUpper(h[i:]))
}

// shift is a date one second before another.
func shift(date string) string {
	t, err := time.Parse(layout, date)
	if err != nil {
		panic(err)
	}
	if t.Format("150405") == "000000" {
		return t.Add(time.Second).Format(layout)
	}
	return t.Add(-time.Second).Format(layout)
}

// Headers that decide what a request does must be among the signed ones, even where the
// signature is right without them.
func TestUnsignedHeaders(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header map[string]string
		signed []string
		want   string
	}{
		"all":                         {nil, []string{"content-type", "host", "x-amz-date", "x-amz-target"}, ""},
		"not the host":                {nil, []string{"content-type", "x-amz-date", "x-amz-target"}, sigv4.CodeInvalid},
		"not the type":                {nil, []string{"host", "x-amz-date", "x-amz-target"}, sigv4.CodeInvalid},
		"not the target":              {nil, []string{"content-type", "host", "x-amz-date"}, sigv4.CodeInvalid},
		"not the date":                {nil, []string{"content-type", "host", "x-amz-target"}, sigv4.CodeInvalid},
		"not the session":             {map[string]string{"X-Amz-Security-Token": "x"}, []string{"content-type", "host", "x-amz-date", "x-amz-target"}, sigv4.CodeInvalid},
		"not the digest of the body":  {map[string]string{"X-Amz-Content-Sha256": digest("{}")}, []string{"content-type", "host", "x-amz-date", "x-amz-target"}, sigv4.CodeInvalid},
		"not what a balancer adds":    {map[string]string{"X-Amzn-Trace-Id": "Root=1"}, []string{"content-type", "host", "x-amz-date", "x-amz-target"}, ""},
		"not what a retry changes":    {map[string]string{"Amz-Sdk-Request": "attempt=2"}, []string{"content-type", "host", "x-amz-date", "x-amz-target"}, ""},
		"what a client has forgotten": {nil, []string{"content-type", "host", "x-amz-date", "x-amz-forgotten", "x-amz-target"}, sigv4.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := describe()
			r := c.request(t)
			date := c.date.UTC().Format(layout)
			r.Header.Set("X-Amz-Date", date)
			for k, v := range tt.header {
				r.Header.Set(k, v)
			}
			r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s",
				ever.AccessKeyID, date[:8], region, service, strings.Join(tt.signed, ";"),
				signature(r, []byte(c.body), ever.SecretAccessKey, date[:8], region, service, tt.signed)))
			g := receive(t, r)
			if tt.want != "" {
				refused(t, verifier(), g, tt.want)
			} else if _, err := verifier().Verify(g.Request, g.body); err != nil {
				t.Error(err)
			}
		})
	}
}

// Headers that AWS's own signer would leave out count like others where a client signed them.
func TestHeadersThatTheSDKDoesNotSign(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"user-agent", "x-amzn-trace-id", "expect", "cache-control"} {
		for what, tt := range map[string]struct {
			change func(*got)
			good   bool
		}{
			"as it was": {func(*got) {}, true},
			"changed":   {func(g *got) { g.Header.Set(name, "other") }, false},
			"twice":     {func(g *got) { g.Header.Add(name, "other") }, false},
			"gone":      {func(g *got) { g.Header.Del(name) }, false},
		} {
			c := describe()
			c.header[name] = "some  value"
			g := receive(t, c.byHand(t, "content-type", name, "x-amz-target"))
			tt.change(g)
			if !tt.good {
				refused(t, verifier(), g, sigv4.CodeInvalid)
			} else if who, err := verifier().Verify(g.Request, g.body); err != nil || who.Principal != alice {
				t.Errorf("%s, %s: %+v, %v", name, what, who, err)
			}
		}
	}
}

func TestSkew(t *testing.T) {
	t.Parallel()
	const limit = 5 * time.Minute
	for _, tt := range []struct {
		after time.Duration // of the server's clock, since the client's
		good  bool
	}{
		{-limit - time.Second, false}, {-limit, true}, {-limit + time.Second, true}, {0, true},
		{limit - time.Second, true}, {limit, true}, {limit + time.Second, false}, {limit + 1, false},
		{24 * time.Hour, false}, {-24 * time.Hour, false},
	} {
		t.Run(tt.after.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(36 * time.Hour) // so that there is a time before; a bubble begins at midnight
				c := describe()
				c.date = time.Now().Add(-tt.after).Truncate(time.Second)
				g := receive(t, c.bySDK(t))
				if tt.after == limit+1 {
					time.Sleep(time.Nanosecond)
				}
				if tt.good {
					if _, err := verifier().Verify(g.Request, g.body); err != nil {
						t.Error(err)
					}
					return
				}
				refused(t, verifier(), g, sigv4.CodeInvalid)
			})
		})
	}
}

// Around midnight the day of the scope is that of the date, not of the clock.
func TestMidnight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(24*time.Hour - time.Minute)
		before := describe().bySDK(t)
		ahead := describe()
		ahead.date = time.Now().Add(2 * time.Minute)
		for _, r := range []*http.Request{before, ahead.bySDK(t)} {
			g := receive(t, r)
			if _, err := verifier().Verify(g.Request, g.body); err != nil {
				t.Error(err)
			}
			time.Sleep(2 * time.Minute)
			if _, err := verifier().Verify(g.Request, g.body); err != nil {
				t.Errorf("after midnight: %v", err)
			}
		}
	})
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := verifier() // whose session ends in an hour
		time.Sleep(time.Hour - time.Second)
		c := describe()
		c.key = hourly
		g := receive(t, c.bySDK(t))
		if _, err := v.Verify(g.Request, g.body); err != nil {
			t.Errorf("a second before the end: %v", err)
		}
		time.Sleep(2 * time.Second)
		refused(t, v, g, sigv4.CodeExpired)
	})
}

func TestRegions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		allowed []string
		region  string
		good    bool
	}{
		{nil, "us-east-1", true}, {nil, "mars-north-1", true}, {[]string{"us-east-1"}, "us-east-1", true},
		{[]string{"us-west-2", "us-east-1"}, "us-east-1", true}, {[]string{"us-west-2"}, "us-east-1", false},
		{[]string{"us-east-1"}, "US-EAST-1", false}, {[]string{"us-east-1"}, "us-east", false},
	} {
		c := describe()
		c.region = tt.region
		g := receive(t, c.bySDK(t))
		v := verifier()
		v.Regions = tt.allowed
		if tt.good {
			if _, err := v.Verify(g.Request, g.body); err != nil {
				t.Errorf("%s of %q: %v", tt.region, tt.allowed, err)
			}
			continue
		}
		refused(t, v, g, sigv4.CodeInvalid)
	}
}

// A source that cannot answer is no wrong credential: the client shall try again.
func TestSource(t *testing.T) {
	t.Parallel()
	type ctxKey struct{}
	down := errors.New("the store is down")
	disabled := fmt.Errorf("%w: disabled", auth.ErrInvalidCredential)
	for name, answer := range map[string]error{"down": down, "wrapped": fmt.Errorf("key: %w", down), "cancelled": context.Canceled, "disabled": disabled} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked []string
			v := &sigv4.Verifier{Service: service, Keys: keysFunc(func(ctx context.Context, id string) (auth.AccessKey, error) {
				asked = append(asked, fmt.Sprint(ctx.Value(ctxKey{}), " ", id))
				return auth.AccessKey{}, answer
			})}
			g := receive(t, describe().bySDK(t))
			g.Request = g.WithContext(context.WithValue(t.Context(), ctxKey{}, "ctx"))
			if name == "disabled" {
				refused(t, v, g, sigv4.CodeUnrecognized)
			} else if who, err := v.Verify(g.Request, g.body); !errors.Is(err, answer) || errors.Is(err, auth.ErrInvalidCredential) || codeOf(err) != "" || !cmp.Equal(who, auth.Identity{}) {
				t.Errorf("%+v, %v; want the source's error", who, err)
			}
			if diff := cmp.Diff([]string{"ctx " + ever.AccessKeyID}, asked); diff != "" {
				t.Errorf("asked (-want +got)\n%s", diff)
			}
		})
	}
}

// What cannot be right costs the source nothing.
func TestSourceIsSpared(t *testing.T) {
	t.Parallel()
	v := &sigv4.Verifier{Service: service, Regions: []string{region}, Keys: keysFunc(func(context.Context, string) (auth.AccessKey, error) {
		t.Error("the source was asked")
		return auth.AccessKey{}, auth.ErrInvalidCredential
	})}
	for _, change := range []func(*call){
		func(c *call) { c.service = "ecr" }, func(c *call) { c.region = "eu-west-1" }, func(c *call) { c.date = c.date.Add(-time.Hour) },
	} {
		c := describe()
		change(&c)
		g := receive(t, c.bySDK(t))
		refused(t, v, g, sigv4.CodeInvalid)
	}
}

// Whoever handles or logs the request afterwards must see what was sent. Above all, a
// refused request must not come out with a signature that is right: the next to verify it
// would let it in.
func TestRequestIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		call   func(*call)
		change func(*got)
	}{
		"a good request":                    {func(*call) {}, func(*got) {}},
		"a query out of order":              {func(c *call) { c.url += "?a=1&b=2" }, func(g *got) { g.URL.RawQuery = "b=2&a=1" }},
		"a query that cannot be read":       {func(c *call) { c.url += "?a=1" }, func(g *got) { g.URL.RawQuery += "&x;y" }},
		"a wrong signature":                 {func(c *call) { c.key.SecretAccessKey = "x" }, func(*got) {}},
		"a date with a fraction":            {func(*call) {}, func(g *got) { g.Header["X-Amz-Date"][0] = strings.Replace(g.Header["X-Amz-Date"][0], "Z", ".5Z", 1) }},
		"the authorization signs itself":    {func(c *call) { c.key.SecretAccessKey = "guessed" }, edit("SignedHeaders=", "SignedHeaders=authorization;")},
		"the authorization, and no content": {func(c *call) { c.key.SecretAccessKey, c.body = "guessed", "" }, edit("SignedHeaders=", "SignedHeaders=authorization;")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := describe()
			tt.call(&c)
			g := receive(t, c.bySDK(t))
			tt.change(g)
			type state struct {
				Method, Host string
				URL          url.URL
				Header       http.Header
				Length       int64
			}
			now := func() state { return state{g.Method, g.Host, *g.URL, g.Header.Clone(), g.ContentLength} }
			before, body := now(), slices.Clone(g.body)
			_, first := verifier().Verify(g.Request, g.body)
			if diff := cmp.Diff(before, now()); diff != "" {
				t.Errorf("the request was changed (-before +after)\n%s", diff)
			}
			if diff := cmp.Diff(body, g.body); diff != "" {
				t.Errorf("the body was changed\n%s", diff)
			}
			if _, second := verifier().Verify(g.Request, g.body); fmt.Sprint(codeOf(first)) != fmt.Sprint(codeOf(second)) {
				t.Errorf("at first %v, then %v", first, second)
			}
		})
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	e := &sigv4.Error{Code: sigv4.CodeInvalid, Message: "why"}
	if e.Error() != "InvalidSignatureException: why" {
		t.Errorf("%q", e.Error())
	}
}
