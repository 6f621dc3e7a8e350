package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esplanade-registry/esplanade/registry/webhook"
)

// The example of the Standard Webhooks specification's libraries.
func TestVector(t *testing.T) {
	t.Parallel()
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	h.Set("webhook-timestamp", "1614265330")
	h.Set("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	if err := webhook.Verify([][]byte{key}, h, []byte(`{"test": 2432232314}`), time.Unix(1614265330, 0)); err != nil {
		t.Error(err)
	}
}

// signed returns what a sink with these secrets sends.
func signed(t *testing.T, secrets ...[]byte) request {
	s := newSink(t, func(c *webhook.Config) { c.Secrets = secrets })
	e := connect(t, s)
	if err := s.Deliver(t.Context(), moved()); err != nil {
		t.Fatal(err)
	}
	return e.take()[0]
}

func TestRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		both := signed(t, older, secret)
		if n := len(strings.Fields(both.Header.Get("Webhook-Signature"))); n != 2 {
			t.Errorf("%d signatures of 2 secrets", n)
		}
		one := signed(t, secret)
		for name, tt := range map[string]struct {
			of      request
			secrets [][]byte
			want    bool
		}{
			"before: the receiver has the old one": {both, [][]byte{older}, true},
			"between: it has both":                 {both, [][]byte{secret, older}, true},
			"after: it has the new one":            {both, [][]byte{secret}, true},
			"at last: the sender too":              {one, [][]byte{secret}, true},
			"the receiver is late with both":       {one, [][]byte{older, secret}, true},
			"the receiver is late":                 {one, [][]byte{older}, false},
		} {
			err := webhook.Verify(tt.secrets, tt.of.Header, tt.of.Body, time.Now())
			if (err == nil) != tt.want || err != nil && !errors.Is(err, webhook.ErrSignature) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestVerify(t *testing.T) {
	t.Parallel()
	set := func(name, value string) func(*request) {
		return func(r *request) { r.Header.Set(name, value) }
	}
	signature := func(change func(string) string) func(*request) {
		return func(r *request) { r.Header.Set("Webhook-Signature", change(r.Header.Get("Webhook-Signature"))) }
	}
	for name, tt := range map[string]struct {
		change func(*request)
		after  time.Duration
		want   bool
	}{
		"as it came":                         {func(*request) {}, 0, true},
		"as late as may be":                  {func(*request) {}, webhook.Tolerance, true},
		"too late":                           {func(*request) {}, webhook.Tolerance + 1, false},
		"as early as may be":                 {func(*request) {}, -webhook.Tolerance, true},
		"too early":                          {func(*request) {}, -webhook.Tolerance - 1, false},
		"another body":                       {func(r *request) { r.Body = append(r.Body, ' ') }, 0, false},
		"no body":                            {func(r *request) { r.Body = nil }, 0, false},
		"another id":                         {set("Webhook-Id", "B"), 0, false},
		"no id":                              {set("Webhook-Id", ""), 0, false},
		"another timestamp":                  {set("Webhook-Timestamp", "946684801"), 0, false},
		"a timestamp with a zero before":     {set("Webhook-Timestamp", "0946684800"), 0, false},
		"a timestamp with a sign":            {set("Webhook-Timestamp", "+946684800"), 0, false},
		"a timestamp with a space":           {set("Webhook-Timestamp", " 946684800"), 0, false},
		"a timestamp that is a fraction":     {set("Webhook-Timestamp", "946684800.0"), 0, false},
		"a timestamp of a far future":        {set("Webhook-Timestamp", "18446744073709551615"), 0, false},
		"no timestamp":                       {set("Webhook-Timestamp", ""), 0, false},
		"no signature":                       {set("Webhook-Signature", ""), 0, false},
		"an empty signature":                 {set("Webhook-Signature", "v1,"), 0, false},
		"a version alone":                    {set("Webhook-Signature", "v1"), 0, false},
		"not base64":                         {set("Webhook-Signature", "v1,###"), 0, false},
		"a signature of another version":     {signature(func(s string) string { return "v2" + s[2:] }), 0, false},
		"a version in capitals":              {signature(func(s string) string { return "V1" + s[2:] }), 0, false},
		"a signature cut short":              {signature(func(s string) string { return s[:len(s)-4] }), 0, false},
		"a signature without its padding":    {signature(func(s string) string { return strings.TrimRight(s, "=") }), 0, false},
		"another letter":                     {signature(func(s string) string { return s[:3] + swap(s[3:4]) + s[4:] }), 0, false},
		"after a signature that is wrong":    {signature(func(s string) string { return "v1,AAAA " + s }), 0, true},
		"after one of an unknown version":    {signature(func(s string) string { return "v1a,AAAA\t" + s }), 0, true},
		"after a header of the same name":    {func(r *request) { prepend(r.Header, "Webhook-Signature", "v1,AAAA") }, 0, false},
		"what was signed, divided otherwise": {divide, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := signed(t, secret)
				tt.change(&r)
				err := webhook.Verify([][]byte{secret}, r.Header, r.Body, time.Now().Add(tt.after))
				if (err == nil) != tt.want || err != nil && !errors.Is(err, webhook.ErrSignature) {
					t.Errorf("Verify: %v, want %v", err, tt.want)
				}
			})
		})
	}
}

// A receiver whose secret was lost would accept what anyone has signed with none.
func TestVerifyWithoutSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := signed(t, secret)
		for name, secrets := range map[string][][]byte{"none": nil, "an empty one": {{}}, "a short one": {secret, secret[:8]}} {
			if err := webhook.Verify(secrets, r.Header, r.Body, time.Now()); err == nil || errors.Is(err, webhook.ErrSignature) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func swap(letter string) string {
	if letter == "A" {
		return "B"
	}
	return "A"
}

func prepend(h http.Header, name, value string) { h[name] = append([]string{value}, h[name]...) }

// divide makes a request of another whose body began with digits and a dot: they become the
// time, and the time becomes a part of the id, so that what was signed is the same.
func divide(r *request) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("A." + now + "." + now + ".rest")) // id, timestamp, body
	r.Header.Set("Webhook-Id", "A."+now)
	r.Header.Set("Webhook-Timestamp", now)
	r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(h.Sum(nil)))
	r.Body = []byte("rest")
}
