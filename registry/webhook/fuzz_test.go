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
	"time"

	"github.com/esplanade-registry/esplanade/registry/webhook"
)

// What is verified was signed: its header has the one signature that the secret makes of what
// came, and it is of these minutes.
func FuzzVerify(f *testing.F) {
	signature := func(id, timestamp string, body []byte) string {
		h := hmac.New(sha256.New, secret)
		h.Write([]byte(id + "." + timestamp + "."))
		h.Write(body)
		return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	const now = 946684800
	f.Add("A", "946684800", signature("A", "946684800", []byte("{}")), []byte("{}"))
	f.Add("A", "946685100", "v1,AAAA v2,BBBB "+signature("A", "946685100", nil), []byte(nil))
	f.Add("A.946684800", "946684800", signature("A.946684800", "946684800", []byte("rest")), []byte("rest"))
	f.Add("A", "+946684800", signature("A", "+946684800", []byte("{}")), []byte("{}"))
	f.Fuzz(func(t *testing.T, id, timestamp, header string, body []byte) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}, "Webhook-Signature": {header}}
		err := webhook.Verify([][]byte{secret}, h, body, time.Unix(now, 0))
		if err != nil {
			if !errors.Is(err, webhook.ErrSignature) {
				t.Errorf("it fails with %v", err)
			}
			return
		}
		seconds, err := strconv.ParseInt(timestamp, 10, 64)
		if err != nil || time.Unix(seconds, 0).Sub(time.Unix(now, 0)).Abs() > webhook.Tolerance ||
			id == "" || strings.Contains(id, ".") || !strings.Contains(header, signature(id, timestamp, body)) {
			t.Errorf("%q, %q, %q and %q pass", id, timestamp, header, body)
		}
		for name := range h {
			c := h.Clone()
			c.Del(name)
			if webhook.Verify([][]byte{secret}, c, body, time.Unix(now, 0)) == nil {
				t.Errorf("it passes without %s", name)
			}
		}
		if webhook.Verify([][]byte{secret}, h, append(body[:len(body):len(body)], '.'), time.Unix(now, 0)) == nil {
			t.Error("it passes with another body")
		}
	})
}
