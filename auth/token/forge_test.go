package token_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/token"
)

// forge is what an attacker has: a good token, its parts, the public key, and a key of
// their own. The tests also sign with the service's key, because a header that must not be
// believed must not be believed from anybody.
type forge struct {
	keys           *memoryKeys
	service        *token.Service
	good           string
	header, claims object
	id             string
	key, own       ed25519.PrivateKey
}

func newForge(t *testing.T) *forge {
	t.Helper()
	f := &forge{keys: &memoryKeys{}, own: newKey(t)}
	f.service = token.New(f.keys)
	g := access()
	g.Scope = &auth.Scope{Access: []auth.Access{{Account: "123456789012", Repository: "app", Verbs: []auth.Verb{auth.Pull}}}}
	f.good = issue(t, f.service, g).Value
	f.header, f.claims = parse(t, f.good)
	f.id, f.key = f.keys.newest(t)
	// The tools of this file make good tokens, or what follows proves nothing.
	if got, err := f.service.Verify(t.Context(), auth.AccessToken, registry, sign(t, f.header, f.claims, f.key)); err != nil || got.Principal != alice {
		t.Fatalf("a token as the service signs it: %+v, %v", got, err)
	}
	return f
}

func (f *forge) refuse(t *testing.T, value string) {
	t.Helper()
	mustRefuse(t, f.keys, f.service, auth.AccessToken, registry, value)
}

func jwk(key ed25519.PrivateKey) object {
	return object{"kty": "OKP", "crv": "Ed25519", "x": b64.EncodeToString(key.Public().(ed25519.PublicKey))}
}

func certificate(t *testing.T, key ed25519.PrivateKey) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "forged"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// CVE-2025-24976 and its kin: a token says itself with what key it is to be verified.
func TestForgedHeader(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	headers := map[string]object{
		"jwk of the attacker, trusted kid":    f.header.with("jwk", jwk(f.own)),
		"jwk of the attacker with that kid":   f.header.with("jwk", jwk(f.own).with("kid", f.id)),
		"jwk of the attacker, without a kid":  f.header.with("jwk", jwk(f.own)).with("kid", nil),
		"jwk of the service":                  f.header.with("jwk", jwk(f.key)),
		"jwk that is private":                 f.header.with("jwk", jwk(f.own).with("d", b64.EncodeToString(f.own.Seed()))),
		"jwk that is symmetric":               f.header.with("jwk", object{"kty": "oct", "k": "AAAA"}),
		"jku":                                 f.header.with("jku", "https://attacker.example/keys.json"),
		"jku of this host":                    f.header.with("jku", "https://"+registry+"/keys.json"),
		"jku that is empty":                   f.header.with("jku", ""),
		"x5u":                                 f.header.with("x5u", "https://attacker.example/cert.pem"),
		"x5c of the attacker":                 f.header.with("x5c", []string{certificate(t, f.own)}),
		"x5c of the service":                  f.header.with("x5c", []string{certificate(t, f.key)}),
		"x5c that is no certificate":          f.header.with("x5c", []string{"AAAA"}),
		"x5c that is a string":                f.header.with("x5c", certificate(t, f.own)),
		"crit":                                f.header.with("crit", []string{"exp"}).with("exp", 1),
		"crit of b64":                         f.header.with("crit", []string{"b64"}).with("b64", false),
		"crit that is empty":                  f.header.with("crit", []string{}), // RFC 7515, 4.1.11: must not be
		"crit of a name that is not there":    f.header.with("crit", []string{"unknown"}),
		"a foreign kid":                       f.header.with("kid", "foreign"),
		"an empty kid":                        f.header.with("kid", ""),
		"no kid":                              f.header.with("kid", nil),
		"kid as a path":                       f.header.with("kid", "../../../dev/null"),
		"kid that is a number":                f.header.with("kid", 1),
		"kid in another case":                 f.header.with("kid", strings.ToLower(f.id)),
		"no alg":                              f.header.with("alg", nil),
		"alg in lower case":                   f.header.with("alg", "eddsa"),
		"alg of another curve":                f.header.with("alg", "ES256"),
		"alg HS256":                           f.header.with("alg", "HS256"),
		"alg RS256":                           f.header.with("alg", "RS256"),
		"alg none":                            f.header.with("alg", "none"),
		"alg None":                            f.header.with("alg", "None"),
		"alg that is a list":                  f.header.with("alg", []string{"EdDSA"}),
		"alg that is empty":                   f.header.with("alg", ""),
		"enc, as if it were encrypted":        f.header.with("enc", "A128GCM").with("alg", "dir"),
		"everything at once, trusted kid":     f.header.with("jwk", jwk(f.own)).with("jku", "https://a.example").with("x5c", []string{certificate(t, f.own)}),
		"as it is, but by the attacker's key": f.header,
	}
	for name, header := range headers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f.refuse(t, sign(t, header, f.claims, f.own))
			if name != "as it is, but by the attacker's key" {
				f.refuse(t, sign(t, header, f.claims, f.key))
			}
			value := sign(t, header, f.claims, f.own)
			f.refuse(t, value[:strings.LastIndexByte(value, '.')+1]) // without a signature
		})
	}
}

// The public key is no secret, and must not serve as one.
func TestForgedWithThePublicKey(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	public := f.key.Public().(ed25519.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	jwkJSON, err := json.Marshal(jwk(f.key))
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{
		"raw": public, "DER": der, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "JWK": jwkJSON, "text": []byte(b64.EncodeToString(public)), "nothing": nil,
	} {
		for _, alg := range []string{"HS256", "EdDSA"} {
			input := f.header.with("alg", alg).encode(t) + "." + f.claims.encode(t)
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(input))
			t.Run(name+" "+alg, func(t *testing.T) {
				t.Parallel()
				f.refuse(t, input+"."+b64.EncodeToString(mac.Sum(nil)))
			})
		}
	}
}

func TestForgedSignature(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	parts := strings.Split(f.good, ".")
	input := parts[0] + "." + parts[1]
	signature, err := b64.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(i int) []byte {
		c := append([]byte(nil), signature...)
		c[i] ^= 1
		return c
	}
	// S plus the order of the group: the same equation, another text (RFC 8032, 5.1.7).
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	little := func(b []byte) []byte {
		c := append([]byte(nil), b...)
		for i, j := 0, len(c)-1; i < j; i, j = i+1, j-1 {
			c[i], c[j] = c[j], c[i]
		}
		return c
	}
	s := new(big.Int).SetBytes(little(signature[32:]))
	malleable := append(append([]byte(nil), signature[:32]...), little(s.Add(s, order).FillBytes(make([]byte, 32)))...)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(input))
	asn1, err := ecdsa.SignASN1(rand.Reader, ec, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	for name, sig := range map[string][]byte{
		"none": {}, "zeros": make([]byte, 64), "its first half": signature[:32], "short": signature[:63], "long": append(signature[:64:64], 0),
		"the first bit": flipped(0), "the last byte": flipped(63), "R for S": append(signature[32:64:64], signature[:32]...),
		"of another text": ed25519.Sign(f.key, []byte(parts[1])), "of the claims alone": ed25519.Sign(f.key, []byte("."+parts[1])),
		"of another key": ed25519.Sign(f.own, []byte(input)), "malleable": malleable, "of another kind of key": asn1,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f.refuse(t, input+"."+b64.EncodeToString(sig))
		})
	}
}

// The claims of a good token with one of them changed, under the old signature.
func TestTamperedClaims(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	parts := strings.Split(f.good, ".")
	all := []map[string]any{{"account": "123456789012", "repository": "app", "verbs": []string{"*"}}}
	for name, claims := range map[string]object{
		"sub": f.claims.with("sub", "root"), "account": f.claims.with("account", "999999999999"), "kind": f.claims.with("kind", "refresh"),
		"aud": f.claims.with("aud", "another"), "exp": f.claims.with("exp", time.Now().Add(1e6*time.Second).Unix()), "no exp": f.claims.with("exp", nil),
		"unlimited": f.claims.with("unlimited", true), "access": f.claims.with("access", all), "iss": f.claims.with("iss", "another"),
		"jti": f.claims.with("jti", "x"), "one more": f.claims.with("admin", true), "nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f.refuse(t, parts[0]+"."+claims.encode(t)+"."+parts[2])
		})
	}
}

// What another program that shares the keys signed, or an older version, without what this
// service needs.
func TestSignedButIncomplete(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	for name, claims := range map[string]object{
		"no exp":               f.claims.with("exp", nil),
		"exp that is a string": f.claims.with("exp", "tomorrow"),
		"exp of 0":             f.claims.with("exp", 0),
		"exp in the past":      f.claims.with("exp", time.Now().Add(-time.Hour).Unix()),
		"no aud":               f.claims.with("aud", nil),
		"an empty aud":         f.claims.with("aud", []string{}),
		"two auds":             f.claims.with("aud", []string{registry, "another"}),
		"another aud first":    f.claims.with("aud", []string{"another", registry}),
		"no kind":              f.claims.with("kind", nil),
		"another kind":         f.claims.with("kind", "Access"),
		"kind that is a list":  f.claims.with("kind", []string{"access"}),
		"nothing":              {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f.refuse(t, sign(t, f.header, claims, f.key))
		})
	}
	// Without the claim that says that it is unlimited, a token is limited to nothing.
	got, err := f.service.Verify(t.Context(), auth.AccessToken, registry, sign(t, f.header, f.claims.with("access", nil).with("unlimited", nil), f.key))
	if err == nil && (got.Scope == nil || got.Scope.Allows("123456789012", "app", auth.Pull)) {
		t.Errorf("a token that says nothing of its scope has %+v", got.Scope)
	}
}

// Two serializations of JWS (RFC 7515, 7.2) and other things that are not three parts.
func TestForgedForm(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	parts := strings.Split(f.good, ".")
	own := strings.Split(sign(t, f.header, f.claims, f.own), ".")
	one := fmt.Sprintf(`{"protected":%q,"signature":%q}`, parts[0], parts[2])
	forged := fmt.Sprintf(`{"protected":%q,"signature":%q}`, own[0], own[2])
	repeated := func(name, value string) string {
		raw, err := json.Marshal(f.header)
		if err != nil {
			t.Fatal(err)
		}
		return b64.EncodeToString([]byte(strings.TrimSuffix(string(raw), "}") + "," + name + ":" + value + "}"))
	}
	for name, value := range map[string]string{
		"nothing":                 "",
		"dots":                    "..",
		"a megabyte of dots":      strings.Repeat(".", 1<<20),
		"dots within the limit":   strings.Repeat(".", 8<<10),
		"a megabyte":              f.good + strings.Repeat("A", 1<<20),
		"one part":                parts[0],
		"two parts":               parts[0] + "." + parts[1],
		"four parts":              f.good + "." + parts[2],
		"five parts":              f.good + "." + parts[1] + "." + parts[2],
		"a leading dot":           "." + f.good,
		"a detached payload":      parts[0] + ".." + parts[2],
		"JSON":                    fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2]),
		"JSON, general":           fmt.Sprintf(`{"payload":%q,"signatures":[%s]}`, parts[1], one),
		"two signatures":          fmt.Sprintf(`{"payload":%q,"signatures":[%s,%s]}`, parts[1], one, forged),
		"two, the forged first":   fmt.Sprintf(`{"payload":%q,"signatures":[%s,%s]}`, parts[1], forged, one),
		"an unprotected header":   fmt.Sprintf(`{"payload":%q,"header":{"alg":"none"},"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2]),
		"base64 with padding":     parts[0] + "." + parts[1] + "." + parts[2] + "==",
		"a space before":          " " + f.good,
		"a space behind":          f.good + " ",
		"a space inside":          parts[0] + ". " + parts[1] + "." + parts[2],
		"a scheme before":         "Bearer " + f.good,
		"a comma and another":     f.good + "," + f.good,
		"a header that repeats":   signRaw(repeated(`"kid"`, `"foreign"`), parts[1], f.key),
		"a header that adds none": signRaw(repeated(`"alg"`, `"none"`), parts[1], f.key),
		"a header in two cases":   signRaw(repeated(`"ALG"`, `"none"`), parts[1], f.own),
		"a header that is a list": signRaw(b64.EncodeToString([]byte(`["EdDSA"]`)), parts[1], f.key),
		"a header that is null":   signRaw(b64.EncodeToString([]byte(`null`)), parts[1], f.key),
		"claims that are a list":  signRaw(parts[0], b64.EncodeToString([]byte(`[]`)), f.key),
		"claims that are null":    signRaw(parts[0], b64.EncodeToString([]byte(`null`)), f.key),
		"claims that are text":    signRaw(parts[0], b64.EncodeToString([]byte(`alice`)), f.key),
		"no claims":               signRaw(parts[0], "", f.key),
		"deep claims":             signRaw(parts[0], b64.EncodeToString([]byte(strings.Repeat("[", 6000))), f.key),
		"not UTF-8":               signRaw(parts[0], b64.EncodeToString([]byte("\xff\xfe")), f.key),
		// RFC 7515, 5.2: whoever verifies makes sure that there are no line breaks, white
		// space or other additional characters.
		"a line break inside": parts[0][:4] + "\n" + parts[0][4:] + "." + parts[1] + "." + parts[2],
		"a line break behind": f.good + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f.refuse(t, value)
		})
	}
}

// same reports whether two tokens differ in their spelling alone: base64 leaves bits of a
// last character unused, which a decoder may ignore (RFC 4648, 3.5).
func same(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		p, err1 := b64.DecodeString(x[i])
		q, err2 := b64.DecodeString(y[i])
		if err1 != nil || err2 != nil || string(p) != string(q) {
			return false
		}
	}
	return true
}

// Every character of a token counts.
func TestMutatedTokens(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	for i := range len(f.good) {
		for _, c := range []string{"", "A", "_", ".", f.good[i:i+1] + f.good[i:i+1]} {
			value := f.good[:i] + c + f.good[i+1:]
			if value == f.good || same(value, f.good) {
				continue
			}
			if got, err := f.service.Verify(t.Context(), auth.AccessToken, registry, value); !errors.Is(err, auth.ErrInvalidCredential) {
				t.Fatalf("with %q at %d: %+v, %v", c, i, got, err)
			}
		}
	}
}

// FuzzVerify looks for a token that was not issued and is accepted all the same.
func FuzzVerify(f *testing.F) {
	keys := &memoryKeys{}
	s := token.New(keys)
	good := issue(f, s, auth.Grant{Kind: auth.AccessToken, Principal: alice, Audience: registry, Lifetime: token.MaxLifetime}).Value
	header, claims := parse(f, good)
	own := newKey(f)
	parts := strings.Split(good, ".")
	for _, seed := range []string{
		"", ".", "..", "...", "a.b.c", good, good + "x", good[1:], parts[0] + ".." + parts[2], parts[0] + "." + parts[1] + ".",
		sign(f, header, claims, own), sign(f, header.with("alg", "none"), claims, own), sign(f, header.with("jwk", jwk(own)), claims, own),
		sign(f, header.with("crit", []string{"exp"}), claims, own), sign(f, header.with("x5c", []string{"AAAA"}), claims, own),
		signRaw(b64.EncodeToString([]byte(`{"alg":"EdDSA","kid":"a","kid":"b"}`)), parts[1], own), `{"payload":"","signatures":[]}`,
	} {
		f.Add(seed, uint16(0), byte(0))
	}
	for i := range 8 {
		f.Add(good, uint16(i*len(good)/8), byte(1<<i))
	}
	f.Fuzz(func(t *testing.T, value string, at uint16, flip byte) {
		// The fuzzer cannot know the token of this process, so it says how to change it.
		mutated := []byte(good)
		mutated[int(at)%len(mutated)] ^= flip
		for _, v := range []string{value, string(mutated)} {
			got, err := s.Verify(t.Context(), auth.AccessToken, registry, v)
			switch {
			case err == nil && !same(strings.NewReplacer("\r", "", "\n", "").Replace(v), good):
				t.Fatalf("%q is accepted as %+v", v, got)
			case err != nil && (!errors.Is(err, auth.ErrInvalidCredential) || got.Principal != (auth.Principal{})):
				t.Fatalf("%q: %+v, %v", v, got, err)
			case err != nil && v == good:
				t.Fatalf("the token as it was issued: %v", err)
			}
		}
	})
}
