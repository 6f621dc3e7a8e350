package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a document; what the specification defines needs six.
const maxDepth = 64

// maxElements bounds the elements of all lists together. A descriptor has 130 bytes at
// the least, so that MaxSize has room for 32,000; a list of empty ones would take a hundred
// times its length in memory.
const maxElements = 20_000

// known maps the keys of the image specification, folded, to their spelling.
// encoding/json ignores case when it fills a struct where other readers do not, so a key
// that differs in case alone would be read by some clients and not by others.
var known = func() map[string]string {
	m := map[string]string{}
	for _, key := range []string{
		"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations",
		"digest", "size", "urls", "data", "platform", "architecture", "os", "os.version", "os.features", "variant",
		"fsLayers", "history", "signatures", "blobs",
	} {
		m[fold(key)] = key
	}
	return m
}()

// fold maps keys that encoding/json takes for one another to the same text: those that
// differ in case by Unicode's simple folding, where ſ is an s and the Kelvin sign a k.
func fold(key string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next // the least of the orbit
			}
			r = next
		}
	}, key)
}

// scope is one object or array that scan is inside of.
type scope struct {
	keys  map[string]bool // nil in an array
	value bool            // a key was read, its value comes next
	free  bool            // within annotations or an unknown field: keys are the publisher's own
}

// scan refuses documents that two JSON readers could understand differently, and returns
// the keys of the top-level object.
func scan(raw []byte) (top map[string]bool, err error) {
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("%w: not UTF-8", ErrManifest)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var stack []scope
	var key string
	elements := 0
	for first := true; first || len(stack) > 0; first = false {
		token, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %s", ErrManifest, jsonError(err))
		}
		if first && token != json.Delim('{') {
			return nil, fmt.Errorf("%w: not a JSON object", ErrManifest)
		}
		var in *scope
		if len(stack) > 0 {
			in = &stack[len(stack)-1]
		}
		if in != nil && in.keys == nil && token != json.Delim(']') {
			if elements++; elements > maxElements {
				return nil, fmt.Errorf("%w: more than %d entries", ErrManifest, maxElements)
			}
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			if len(stack) == maxDepth {
				return nil, fmt.Errorf("%w: nested deeper than %d", ErrManifest, maxDepth)
			}
			next := scope{free: in != nil && (in.free || in.keys != nil && (key == "annotations" || known[fold(key)] == ""))}
			if in != nil {
				in.value = false
			}
			if token == json.Delim('{') {
				next.keys = map[string]bool{}
				if first {
					top = next.keys
				}
			}
			stack = append(stack, next)
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
			continue
		}
		if in.keys == nil || in.value {
			in.value = false
			continue
		}
		key = token.(string)
		in.value = true
		if in.keys[key] {
			return nil, fmt.Errorf("%w: key %s is repeated", ErrManifest, quote(key))
		}
		in.keys[key] = true
		if spelling, ok := known[fold(key)]; ok && spelling != key && !in.free {
			return nil, fmt.Errorf("%w: key %s must be written %q", ErrManifest, quote(key), spelling)
		}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows the JSON object", ErrManifest)
	}
	return top, nil
}

// jsonError says what encoding/json found, in words for the client.
func jsonError(err error) string {
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind):
		return fmt.Sprintf("%s cannot be a JSON %s", quote(kind.Field), kind.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the JSON ends early"
	}
	return "not valid JSON"
}
