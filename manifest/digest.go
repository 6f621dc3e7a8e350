package manifest

import (
	_ "crypto/sha256" // so that go-digest finds the two algorithms it is asked for
	_ "crypto/sha512"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Digest is algorithm:hex, such as sha256:44136fa3…; see [ParseDigest].
type Digest = digest.Digest

// Algorithm names a hash function: [SHA256] or [SHA512].
type Algorithm = digest.Algorithm

// The algorithms that the image specification registers. sha384 is known to the digest
// library but not registered, and is refused.
const (
	SHA256 = digest.SHA256
	SHA512 = digest.SHA512
)

// ErrDigest is wrapped by errors about a digest or algorithm that is not supported or
// not in the grammar.
var ErrDigest = errors.New("invalid digest")

// maxQuoted bounds what an error text repeats of a client's input.
const maxQuoted = 64

// ParseDigest accepts sha256 and sha512 digests in lower-case hexadecimal of their full
// length, and nothing else. The error wraps [ErrDigest].
func ParseDigest(s string) (Digest, error) {
	name, hex, ok := strings.Cut(s, ":")
	if !ok {
		return "", fmt.Errorf("%w: %s is not of the form algorithm:hex", ErrDigest, quote(s))
	}
	a, err := ParseAlgorithm(name)
	if err != nil {
		return "", err
	}
	if want := a.Size() * 2; len(hex) != want {
		return "", fmt.Errorf("%w: %s has %d hexadecimal digits where %s has %d", ErrDigest, quote(s), len(hex), a, want)
	}
	for i := range len(hex) {
		if c := hex[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", fmt.Errorf("%w: %s is not lower-case hexadecimal", ErrDigest, quote(s))
		}
	}
	return Digest(s), nil
}

// ParseAlgorithm accepts "sha256" and "sha512". The error wraps [ErrDigest].
func ParseAlgorithm(s string) (Algorithm, error) {
	switch a := Algorithm(s); a {
	case SHA256, SHA512:
		return a, nil
	}
	return "", fmt.Errorf("%w: algorithm %s is not supported, use sha256 or sha512", ErrDigest, quote(s))
}

func quote(s string) string {
	if len(s) > maxQuoted {
		return fmt.Sprintf("%.*q…", maxQuoted, s)
	}
	return fmt.Sprintf("%q", s)
}
