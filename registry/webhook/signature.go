package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MinSecret is how many bytes a secret has at least, by Standard Webhooks.
const MinSecret = 24

// Tolerance is how far the clocks of a sender and of a receiver may be apart, and for how long
// somebody who has seen a request could send it again.
const Tolerance = 5 * time.Minute

// The headers of Standard Webhooks.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

// signatureVersion says how the signature after it was made. There may be others beside it.
const signatureVersion = "v1"

// ErrSignature is wrapped by the error about a request that none of the secrets has signed, or
// that was signed too long ago.
var ErrSignature = fmt.Errorf("the signature is not valid: %w", fs.ErrPermission)

// Verify is for receivers: it returns nil if one of the secrets has signed a request with this
// header and body, not more than [Tolerance] from now. Otherwise the error wraps [ErrSignature],
// unless a secret is too short to prove anything.
func Verify(secrets [][]byte, h http.Header, body []byte, now time.Time) error {
	if err := checkSecrets(secrets); err != nil {
		return err
	}
	id, timestamp := h.Get(headerID), h.Get(headerTimestamp)
	// With a dot in it, what was signed could be divided in another way: part of the body would
	// pass as the time.
	if id == "" || strings.Contains(id, ".") {
		return fmt.Errorf("webhook: %w: %s is not an id", ErrSignature, headerID)
	}
	seconds, err := strconv.ParseUint(timestamp, 10, 40)
	if err != nil {
		return fmt.Errorf("webhook: %w: %s is not a number of seconds", ErrSignature, headerTimestamp)
	}
	if now.Sub(time.Unix(int64(seconds), 0)).Abs() > Tolerance {
		return fmt.Errorf("webhook: %w: %s is more than %v from now", ErrSignature, headerTimestamp, Tolerance)
	}
	macs := make([][]byte, len(secrets))
	for i, secret := range secrets {
		macs[i] = mac(secret, id, timestamp, body)
	}
	for field := range strings.FieldsSeq(h.Get(headerSignature)) {
		version, text, _ := strings.Cut(field, ",")
		if version != signatureVersion {
			continue
		}
		signature, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			continue
		}
		for _, want := range macs {
			if hmac.Equal(signature, want) {
				return nil
			}
		}
	}
	return fmt.Errorf("webhook: %w: no secret has made it", ErrSignature)
}

// sign sets the headers of a message.
func sign(h http.Header, secrets [][]byte, id string, now time.Time, body []byte) {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		signatures[i] = signatureVersion + "," + base64.StdEncoding.EncodeToString(mac(secret, id, timestamp, body))
	}
	h.Set(headerID, id)
	h.Set(headerTimestamp, timestamp)
	h.Set(headerSignature, strings.Join(signatures, " "))
}

func mac(secret []byte, id, timestamp string, body []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(id + "." + timestamp + "."))
	h.Write(body)
	return h.Sum(nil)
}

func checkSecrets(secrets [][]byte) error {
	if len(secrets) == 0 {
		return errors.New("webhook: there is no secret")
	}
	for _, s := range secrets {
		if len(s) < MinSecret {
			return fmt.Errorf("webhook: a secret has %d bytes, not %d or more", len(s), MinSecret)
		}
	}
	return nil
}
