package sigv4_test

import (
	"strings"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
)

// Whatever the headers say, who is let in has signed by the specification, which the tests
// have in their own words. {day}, {date} and {sig} stand for what is right now.
func FuzzAuthorization(f *testing.F) {
	const right = "AWS4-HMAC-SHA256 Credential=AKIAEVEREVEREVEREVER/{day}/us-east-1/ecr-public/aws4_request, " +
		"SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature={sig}"
	for _, s := range []string{
		right, "", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ", strings.ReplaceAll(right, ", ", ","), strings.ReplaceAll(right, ", ", ",   "),
		strings.Replace(right, "EVER/", "XXXX/", 1), strings.Replace(right, "content-type;", "content-length;content-type;", 1),
		strings.Replace(right, "Signature", "Signature=x, Signature", 1), strings.Replace(right, "host;", "", 1), strings.Replace(right, "us-east-1", "", 1),
		strings.Replace(right, "content-type;host", "accept;content-type;host", 1), strings.Replace(right, "{sig}", strings.Repeat("0", 64), 1),
		strings.Replace(right, "content-type;", "authorization;content-type;", 1), "Basic QVdTOng=", right + ", " + right,
		strings.Replace(right, "x-amz-target", "user-agent;x-amz-target", 1), strings.Replace(right, "SHA256", "SHA512", 1),
	} {
		f.Add(s, "{date}")
	}
	for _, date := range []string{"", "{day}", "{day}T000000Z", "20150830T123600Z", "{date}{date}", " {date}", "99999999T999999Z"} {
		f.Add(right, date)
	}
	f.Fuzz(func(t *testing.T, authorization, date string) {
		c := describe()
		g := receive(t, c.byHand(t, "content-type", "x-amz-target"))
		now := g.Header.Get("X-Amz-Date")
		_, sig, _ := strings.Cut(g.Header.Get("Authorization"), "Signature=")
		fill := strings.NewReplacer("{day}", now[:8], "{date}", now, "{sig}", sig).Replace
		authorization, date = fill(authorization), fill(date)
		g.Header["Authorization"], g.Header["X-Amz-Date"] = []string{authorization}, []string{date}
		who, err := verifier().Verify(g.Request, g.body)
		if err != nil {
			if codeOf(err) == "" || who.Principal != (auth.Principal{}) {
				t.Fatalf("%q, %q: %+v, %v", authorization, date, who, err)
			}
			return
		}
		if who.Principal != alice || !strings.HasPrefix(authorization, "AWS4-HMAC-SHA256 ") {
			t.Fatalf("%q is %+v", authorization, who)
		}
		at, err := time.Parse(layout, date)
		if err != nil || at.Format(layout) != date || time.Since(at).Abs() > 5*time.Minute+2*time.Second {
			t.Fatalf("the date %q is accepted", date)
		}
		params := map[string]string{}
		for part := range strings.SplitSeq(strings.TrimPrefix(authorization, "AWS4-HMAC-SHA256 "), ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			params[name] = value
		}
		scope := strings.Split(params["Credential"], "/")
		if len(scope) != 5 || scope[0] != ever.AccessKeyID || scope[1] != date[:8] || scope[3] != service {
			t.Fatalf("the credential %q is accepted", params["Credential"])
		}
		g.Header["Authorization"], g.Header["X-Amz-Date"] = []string{authorization}, []string{date}
		want := signature(g.Request, g.body, ever.SecretAccessKey, scope[1], scope[2], scope[3], strings.Split(params["SignedHeaders"], ";"))
		if params["Signature"] != want {
			t.Fatalf("%q with the date %q is accepted, the signature is %s", authorization, date, want)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for name, size := range map[string]int{"2 B": 2, "1 MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			c := describe()
			c.body, c.length = strings.Repeat("x", size), true
			g := receive(b, c.bySDK(b))
			v := verifier()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(g.Request, g.body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
