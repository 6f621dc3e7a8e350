package manifest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/esplanade-registry/esplanade/manifest"
)

// The registered algorithms of the image specification, as descriptor.md writes them.
var (
	specSHA256 = regexp.MustCompile(`\Asha256:[a-f0-9]{64}\z`)
	specSHA512 = regexp.MustCompile(`\Asha512:[a-f0-9]{128}\z`)
)

const (
	digestEmptyJSON = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" // of {}
	digestEmpty     = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // of nothing
)

func hexes(n int) string { return strings.Repeat("0123456789abcdef", n/16+1)[:n] }

// sha256Of hashes without the library under test.
func sha256Of(raw []byte) manifest.Digest {
	sum := sha256.Sum256(raw)
	return manifest.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func TestParseDigest(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		digestEmptyJSON, digestEmpty, "sha256:" + strings.Repeat("0", 64), "sha256:" + hexes(64), "sha512:" + hexes(128),
	} {
		d, err := manifest.ParseDigest(s)
		if err != nil || string(d) != s {
			t.Errorf("ParseDigest(%q) = %q, %v; the image specification registers it", s, d, err)
		}
	}
	for name, s := range map[string]string{
		"nothing":                         "",
		"a colon":                         ":",
		"no algorithm":                    ":" + hexes(64),
		"no colon":                        "sha256" + hexes(64),
		"a tag that looks like one":       "sha256-" + hexes(64),
		"no hex":                          "sha256:",
		"upper-case hex":                  "sha256:" + strings.ToUpper(hexes(64)),
		"one upper-case letter":           "sha256:" + hexes(63) + "A",
		"upper-case algorithm":            "SHA256:" + hexes(64),
		"one digit short":                 "sha256:" + hexes(63),
		"one digit long":                  "sha256:" + hexes(65),
		"sha512 with the length of 256":   "sha512:" + hexes(64),
		"sha256 with the length of 512":   "sha256:" + hexes(128),
		"sha512 short":                    "sha512:" + hexes(127),
		"not hex":                         "sha256:" + hexes(63) + "g",
		"below 0":                         "sha256:" + hexes(63) + "/",
		"after 9":                         "sha256:" + hexes(63) + ":",
		"before a":                        "sha256:" + hexes(63) + "`",
		"a second colon":                  "sha256::" + hexes(63),
		"sha384, which is not registered": "sha384:" + hexes(96),
		"sha1":                            "sha1:" + hexes(40),
		"md5":                             "md5:" + hexes(32),
		"an unregistered algorithm":       "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
		"base64":                          "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564",
		"a space before":                  " sha256:" + hexes(64),
		"a newline after":                 "sha256:" + hexes(64) + "\n",
		"a NUL":                           "sha256:" + hexes(63) + "\x00",
		"full-width digits":               "sha256:" + strings.Repeat("０", 64),
		"as many bytes of full-width":     "sha256:" + strings.Repeat("０", 21) + "0",
		"a path":                          "sha256:../../../../etc/passwd",
		"a name before it":                "alpine@sha256:" + hexes(64),
	} {
		if d, err := manifest.ParseDigest(s); d != "" || !errors.Is(err, manifest.ErrDigest) {
			t.Errorf("%s: ParseDigest(%q) = %q, %v; want an error wrapping ErrDigest", name, s, d, err)
		}
	}
}

func TestParseAlgorithm(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"sha256", "sha512"} {
		if a, err := manifest.ParseAlgorithm(s); err != nil || string(a) != s {
			t.Errorf("ParseAlgorithm(%q) = %q, %v", s, a, err)
		}
	}
	for _, s := range []string{"", "SHA256", "sha384", "sha1", "md5", "sha256:", " sha256", "sha-256", "sha512/256", "blake3"} {
		if a, err := manifest.ParseAlgorithm(s); a != "" || !errors.Is(err, manifest.ErrDigest) {
			t.Errorf("ParseAlgorithm(%q) = %q, %v; want an error wrapping ErrDigest", s, a, err)
		}
	}
}

// Error texts are shown to clients and logged: what a client sends must not blow them up.
func TestErrorsQuoteLittle(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	_, digest := manifest.ParseDigest("sha256:" + long)
	_, algorithm := manifest.ParseDigest(long + ":" + long)
	_, reference := manifest.ParseReference(long)
	_, header := manifest.Decode("text/plain; x="+long+"; x="+long, []byte(`{}`), manifest.SHA256)
	_, mediaType := manifest.Decode(long, []byte(`{}`), manifest.SHA256)
	_, key := manifest.Decode("", []byte(`{"`+long+`":1,"`+long+`":2}`), manifest.SHA256)
	for name, err := range map[string]error{
		"digest": digest, "algorithm": algorithm, "reference": reference, "name": manifest.CheckName(long), "tag": manifest.CheckTag(long),
		"header": header, "media type": mediaType, "key": key, "control characters": manifest.CheckTag(strings.Repeat("\x00\r\n\u202e", 1000)),
	} {
		if err == nil || len(err.Error()) > 800 {
			t.Errorf("%s: the error has %d bytes", name, len(err.Error()))
			continue
		}
		if strings.ContainsAny(err.Error(), "\x00\r\n\u202e") {
			t.Errorf("%s: the error %q has characters that forge lines of a log", name, err)
		}
	}
}

func FuzzParseDigest(f *testing.F) {
	for _, s := range []string{
		"", ":", digestEmptyJSON, "sha512:" + hexes(128), "sha384:" + hexes(96), "SHA256:" + hexes(64), "sha256:" + strings.ToUpper(hexes(64)),
		"sha256:" + hexes(63) + "\n", "sha256-" + hexes(64), "multihash+base58:Qm",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := manifest.ParseDigest(s)
		if want := specSHA256.MatchString(s) || specSHA512.MatchString(s); want != (err == nil) {
			t.Fatalf("ParseDigest(%q): %v; the specification says valid: %v", s, err, want)
		}
		if err != nil {
			if d != "" || !errors.Is(err, manifest.ErrDigest) {
				t.Fatalf("ParseDigest(%q) = %q, %v", s, d, err)
			}
			return
		}
		if string(d) != s || d.Validate() != nil || !d.Algorithm().Available() {
			t.Fatalf("ParseDigest(%q) = %q, which go-digest does not take: %v", s, d, d.Validate())
		}
	})
}
