package ecrpublic_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/registry/ecrpublic"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

// An address whose signatures are wrong is slowed down, whatever keys it names.
func TestWrongSignaturesAreSlowedDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := registrytest.New(t)
		h, err := ecrpublic.New(ecrpublic.Config{
			Registry: s.Registry, Keys: auth.StaticKeys{},
			Logins: limit.NewLogins(&limit.LoginOptions{Address: limit.Rule{Rate: 1, Burst: 3}}),
		})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(from, key string) string {
			req := httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader("{}"))
			req.RemoteAddr = from + ":1"
			req.Header.Set("X-Amz-Target", "SpencerFrontendService.DescribeRegistries")
			req.Header.Set("Content-Type", "application/x-amz-json-1.1")
			req.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
			req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+key+"/"+time.Now().UTC().Format("20060102")+
				"/us-east-1/ecr-public/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature="+strings.Repeat("0", 64))
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, req)
			return rec.Body.String()
		}
		throttled := func(text string) bool { return strings.Contains(text, "ThrottlingException") }
		for i, c := range []struct {
			from, key string
			want      bool
		}{
			{"192.0.2.1", "AKIA1", false}, {"192.0.2.1", "AKIA1", false}, {"192.0.2.1", "AKIA2", false}, {"192.0.2.1", "AKIA3", false},
			{"192.0.2.1", "AKIA4", true}, {"192.0.2.2", "AKIA4", false},
		} {
			if text := ask(c.from, c.key); throttled(text) != c.want {
				t.Errorf("%d: %s", i, text)
			}
		}
		time.Sleep(time.Second)
		if text := ask("192.0.2.1", "AKIA5"); throttled(text) {
			t.Errorf("a second later: %s", text)
		}
	})
}
