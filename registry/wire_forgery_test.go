package registry_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// forge writes a compact JWS. sign gets what is to be signed.
func forge(header, body doc, sign func([]byte) []byte) string {
	input := b64(header.bytes()) + "." + b64(body.bytes())
	return input + "." + b64(sign([]byte(input)))
}

// header reads the header of a token.
func tokenHeader(t *testing.T, token string) (h doc) {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.SplitN(token, ".", 2)[0])
	if err == nil {
		err = json.Unmarshal(raw, &h)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// refuses checks that an Authorization header is worth nothing, where anonymous would be let
// in and where not.
func (w *wire) refuses(name, authorization string) {
	w.t.Helper()
	c := w.as(authorization)
	for _, try := range [][2]string{
		{"GET", "/v2/"}, {"GET", "/v2/test/hat/manifests/v1"}, {"POST", "/v2/test/hat/blobs/uploads/"}, {"PUT", "/v2/test/hat/manifests/v2"},
		{"DELETE", "/v2/test/hat/manifests/v1"}, {"GET", "/token?scope=repository:test/hat:push"},
	} {
		if r := c.send(try[0], try[1], nil); r.status != 401 {
			w.t.Errorf("%s: %s %s: %d, want 401", name, try[0], try[1], r.status)
		}
	}
}

// CVE-2025-24976: the key that a token brought was trusted because its kid was.
func TestCForgedTokensAreRefused(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushImage("test/hat", "v1", "hat")
	genuine := w.askToken("repository:test/hat:*").Token
	w.as("Bearer "+genuine).send("POST", "/v2/test/hat/blobs/uploads/", nil).want(202)
	before := w.visible()

	trusted := tokenHeader(t, genuine)
	if trusted["kid"] == nil || trusted["alg"] != "EdDSA" {
		t.Fatalf("header %v", trusted)
	}
	body := doc(claims(t, genuine))
	keys, err := registry.SigningKeys(w.Store).Keys(t.Context())
	if err != nil || len(keys) != 1 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keys[0].Private)
	if err != nil {
		t.Fatal(err)
	}
	private := parsed.(ed25519.PrivateKey)
	public := private.Public().(ed25519.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	evilPublic, evil, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	byEvil := func(in []byte) []byte { return ed25519.Sign(evil, in) }
	byTrusted := func(in []byte) []byte { return ed25519.Sign(private, in) }
	byHMAC := func(key []byte) func([]byte) []byte {
		return func(in []byte) []byte {
			h := hmac.New(sha256.New, key)
			h.Write(in)
			return h.Sum(nil)
		}
	}
	nothing := func([]byte) []byte { return nil }
	jwk := doc{"kty": "OKP", "crv": "Ed25519", "x": b64(evilPublic), "kid": trusted["kid"], "alg": "EdDSA"}
	certificate, err := x509.CreateCertificate(rand.Reader, selfSigned, selfSigned, evilPublic, evil)
	if err != nil {
		t.Fatal(err)
	}
	// Whoever asks for the key that a token points to is caught.
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the registry fetched a key that a token names") }))
	t.Cleanup(server.Close)

	// The forger's tools work: the same claims signed by the registry's key are accepted.
	w.as("Bearer "+forge(trusted, body, byTrusted)).send("POST", "/v2/test/hat/blobs/uploads/", nil).want(202)

	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	byEC := func(in []byte) []byte {
		sum := sha256.Sum256(in)
		r, s, err := ecdsa.Sign(rand.Reader, ecKey, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	byRSA := func(in []byte) []byte {
		sum := sha256.Sum256(in)
		sig, err := rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	without := func(d doc, key string) doc {
		d = d.with(nil)
		delete(d, key)
		return d
	}
	parts := strings.Split(genuine, ".")
	for name, token := range map[string]string{
		"alg none":                       forge(trusted.with(doc{"alg": "none"}), body, nothing),
		"alg None":                       forge(trusted.with(doc{"alg": "None"}), body, nothing),
		"alg none, signature kept":       b64(trusted.with(doc{"alg": "none"}).bytes()) + "." + parts[1] + "." + parts[2],
		"alg none, two parts":            b64(doc{"alg": "none"}.bytes()) + "." + parts[1],
		"no alg":                         forge(without(trusted, "alg"), body, byTrusted),
		"no signature":                   parts[0] + "." + parts[1] + ".",
		"two parts":                      parts[0] + "." + parts[1],
		"signature of zeros":             parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)),
		"signature cut":                  genuine[:len(genuine)-4],
		"HS256 with the public key":      forge(trusted.with(doc{"alg": "HS256"}), body, byHMAC(public)),
		"HS256 with the key in DER":      forge(trusted.with(doc{"alg": "HS256"}), body, byHMAC(der)),
		"HS256 with the key in PEM":      forge(trusted.with(doc{"alg": "HS256"}), body, byHMAC(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))),
		"HS256 with the kid":             forge(trusted.with(doc{"alg": "HS256"}), body, byHMAC([]byte(trusted["kid"].(string)))),
		"HS256 with nothing":             forge(trusted.with(doc{"alg": "HS256"}), body, byHMAC(nil)),
		"ES256":                          forge(trusted.with(doc{"alg": "ES256"}), body, byEC),
		"RS256":                          forge(trusted.with(doc{"alg": "RS256"}), body, byRSA),
		"trusted kid, another key":       forge(trusted, body, byEvil),
		"embedded jwk, trusted kid":      forge(trusted.with(doc{"jwk": jwk}), body, byEvil),
		"embedded jwk, no kid":           forge(without(trusted, "kid").with(doc{"jwk": jwk}), body, byEvil),
		"embedded jwk, own kid":          forge(trusted.with(doc{"kid": "evil", "jwk": jwk.with(doc{"kid": "evil"})}), body, byEvil),
		"jku":                            forge(trusted.with(doc{"jku": server.URL + "/keys"}), body, byEvil),
		"x5u":                            forge(trusted.with(doc{"x5u": server.URL + "/chain"}), body, byEvil),
		"x5c":                            forge(trusted.with(doc{"x5c": []string{base64.StdEncoding.EncodeToString(certificate)}}), body, byEvil),
		"x5c of nonsense":                forge(trusted.with(doc{"x5c": []string{"x"}}), body, byEvil),
		"x5t":                            forge(trusted.with(doc{"x5t": b64(certificate[:20])}), body, byEvil),
		"unknown kid":                    forge(trusted.with(doc{"kid": "unknown"}), body, byEvil),
		"unknown kid, right key":         forge(trusted.with(doc{"kid": "unknown"}), body, byTrusted),
		"no kid":                         forge(without(trusted, "kid"), body, byEvil),
		"kid of a path":                  forge(trusted.with(doc{"kid": "../../dev/null"}), body, byHMAC(nil)),
		"kid of SQL":                     forge(trusted.with(doc{"kid": "' OR 1=1 --"}), body, byEvil),
		"kid of a megabyte":              forge(trusted.with(doc{"kid": strings.Repeat("k", 1<<20)}), body, byEvil),
		"kid that is no text":            forge(trusted.with(doc{"kid": 1}), body, byEvil),
		"crit":                           forge(trusted.with(doc{"crit": []string{"b64"}, "b64": false}), body, byTrusted),
		"unknown crit":                   forge(trusted.with(doc{"crit": []string{"org.example"}, "org.example": 1}), body, byTrusted),
		"other claims, signature kept":   parts[0] + "." + b64(body.with(doc{"access": []doc{}, "unlimited": true}).bytes()) + "." + parts[2],
		"other audience":                 forge(trusted, body.with(doc{"aud": "elsewhere"}), byTrusted),
		"no audience":                    forge(trusted, without(body, "aud"), byTrusted),
		"no expiry":                      forge(trusted, without(body, "exp"), byTrusted),
		"expired":                        forge(trusted, body.with(doc{"exp": time.Now().Add(-time.Hour).Unix()}), byTrusted),
		"expired at the start of time":   forge(trusted, body.with(doc{"exp": 0}), byTrusted),
		"not yet":                        forge(trusted, body.with(doc{"nbf": time.Now().Add(time.Hour).Unix()}), byTrusted),
		"refresh token":                  forge(trusted, body.with(doc{"kind": "refresh"}), byTrusted),
		"claims are no object":           parts[0] + "." + b64([]byte("[]")) + "." + parts[2],
		"JSON serialization":             `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`,
		"JSON, key in unprotected":       `{"protected":"` + b64(doc{"alg": "EdDSA"}.bytes()) + `","header":` + string(doc{"jwk": jwk}.bytes()) + `,"payload":"` + parts[1] + `","signature":"` + b64(byEvil([]byte("x"))) + `"}`,
		"five parts":                     genuine + ".x.y",
		"spaces within":                  parts[0] + ". " + parts[1] + "." + parts[2],
		"padding":                        parts[0] + "==." + parts[1] + "." + parts[2],
		"a token of another registry":    strangersToken(t),
		"nothing":                        "",
		"dots":                           strings.Repeat(".", 1000),
		"dots of a megabyte":             strings.Repeat(".", 1<<20),
		"header nested":                  b64([]byte(strings.Repeat("[", 100_000))) + "." + parts[1] + "." + parts[2],
		"two tokens":                     genuine + ", Bearer " + genuine,
		"expires at the end of time":     forge(trusted, body.with(doc{"exp": 1e300}), byTrusted),
		"trusted key, attacker's jwk":    forge(trusted.with(doc{"jwk": jwk}), body, byTrusted),
		"trusted key, attacker's jku":    forge(trusted.with(doc{"jku": server.URL}), body, byTrusted),
		"wrong type of the claims' time": forge(trusted, body.with(doc{"exp": "tomorrow"}), byTrusted),
	} {
		w.refuses(name, "Bearer "+token)
	}
	same(t, "rows", w.visible(), before)
	w.as("Bearer "+genuine).send("POST", "/v2/test/hat/blobs/uploads/", nil).is(202)
}

var selfSigned = &x509.Certificate{
	SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "registry.example"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
	IsCA: true, BasicConstraintsValid: true,
}

func strangersToken(t *testing.T) string {
	t.Helper()
	return newWire(t, func(c *registry.Config) { c.Store = memmeta.New() }).askToken("repository:test/hat:*").Token
}

// A token that is about to end must not get its bearer another one that lasts longer, or a
// token that leaked once is good for ever.
func TestCTokenIsNoCredentialForALongerOne(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.pushImage("test/hat", "v1", "hat")
	scope := &auth.Scope{Access: []auth.Access{{Account: registrytest.Account, Repository: "hat", Verbs: []auth.Verb{auth.Push}}}}
	token := w.issue(auth.Grant{Kind: auth.AccessToken, Principal: registrytest.Owner, Scope: scope, Lifetime: time.Minute})
	end := claims(t, token)["exp"].(float64)
	holder := w.as("Bearer " + token)
	r := holder.send("GET", "/token?offline_token=true&scope=repository:test/hat:push", nil).is(200, 400, 401)
	if r.status == 200 {
		var got tokenReply
		r.json(&got)
		if exp := claims(t, got.Token)["exp"].(float64); exp > end && w.as("Bearer "+got.Token).can("test/hat") != "pull" {
			t.Errorf("a token that ends at %.0f was exchanged for one that ends at %.0f", end, exp)
		}
		same(t, "refresh token for an access token", got.RefreshToken, "")
	}
	// Nor more rights.
	if r := holder.send("GET", "/token?scope=repository:test/hat:*", nil); r.status == 200 {
		var got tokenReply
		r.json(&got)
		if can := w.as("Bearer " + got.Token).can("test/hat"); strings.Contains(can, "delete") {
			t.Errorf("a token for pushing was exchanged for one that may %s", can)
		}
	}
	// A chain of refresh tokens ends when the first does.
	var next tokenReply
	short := w.issue(auth.Grant{Kind: auth.RefreshToken, Principal: registrytest.Owner, Lifetime: 5 * time.Minute})
	w.anonymous().form("grant_type", "refresh_token", "refresh_token", short, "access_type", "offline", "scope", "repository:test/hat:push").want(200).json(&next)
	if end := claims(t, short)["exp"].(float64); claims(t, next.Token)["exp"].(float64) > end {
		t.Error("an access token outlasts the refresh token that it was had for")
	}
	if next.RefreshToken != "" && claims(t, next.RefreshToken)["exp"].(float64) > claims(t, short)["exp"].(float64) {
		t.Error("a refresh token was exchanged for one that lasts longer")
	}
}
