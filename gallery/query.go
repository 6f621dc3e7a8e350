package gallery

import (
	"slices"
	"strings"
	"unicode"

	"github.com/esplanade-registry/esplanade/manifest"
)

// MaxQuery is how many bytes of a query are read.
const MaxQuery = 500

// Query is what somebody looks for. The zero Query matches everything.
type Query struct {
	Terms []string // words in lower case, without punctuation
	// Name is the repository that the query names whole, with its alias, if it is a pasted
	// reference or has that form; its words are Terms too.
	Name string
	// Reference is the tag or digest that was pasted, with a name or, for a digest, alone.
	Reference manifest.Reference
	// Filters, of which all must hold. Empty ones do.
	Publisher        string // an alias
	Verified         *bool
	Deprecated       *bool
	Architectures    []string // any of them
	OperatingSystems []string // likewise
	Kinds            []string // likewise
}

// commands are the words before a reference that people paste.
var commands = map[string]bool{
	"docker": true, "podman": true, "nerdctl": true, "crane": true, "ctr": true, "crictl": true, "skopeo": true, "oras": true, "helm": true,
	"pull": true, "run": true, "images": true, "image": true, "copy": true, "inspect": true, "from": true,
}

// ParseQuery reads what a person typed. It cannot fail: what is no filter is a word.
func ParseQuery(s string) Query {
	var q Query
	if len(s) > MaxQuery {
		s = strings.ToValidUTF8(s[:MaxQuery], "")
	}
	fields := strings.Fields(s)
	pasted := len(fields) > 1 && commands[strings.ToLower(fields[0])] && strings.Contains(fields[len(fields)-1], "/")
	if pasted {
		// flags and the command itself are no words of the query
		fields = slices.DeleteFunc(fields, func(f string) bool { return strings.HasPrefix(f, "-") || commands[strings.ToLower(f)] })
	}
	var words []string
	for _, f := range fields {
		if q.filter(f) {
			continue
		}
		if name, ref := reference(f); name != "" {
			if q.Name == "" {
				q.Name, q.Reference = name, ref
			}
			f = name
		} else if d, err := manifest.ParseDigest(f); err == nil {
			q.Reference.Digest = d
			f = d.Encoded()
		}
		words = append(words, f)
	}
	if terms := Words(strings.Join(words, " ")); len(terms) > 0 {
		q.Terms = terms
	}
	return q
}

// filter reads name:value, as far as it knows the name.
func (q *Query) filter(s string) bool {
	name, value, ok := strings.Cut(s, ":")
	if !ok || value == "" {
		return false
	}
	value = strings.ToLower(value)
	yes := func() *bool {
		b := value == "yes" || value == "true" || value == "1" || value == strings.ToLower(name)
		return &b
	}
	switch strings.ToLower(name) {
	case "publisher", "alias", "by", "user", "org":
		q.Publisher = value
	case "verified":
		q.Verified = yes()
	case "deprecated":
		q.Deprecated = yes()
	case "is":
		is := true
		switch value {
		case "verified":
			q.Verified = &is
		case "deprecated":
			q.Deprecated = &is
		default:
			return false
		}
	case "arch", "architecture":
		add(&q.Architectures, PlatformName(value))
	case "os":
		add(&q.OperatingSystems, PlatformName(value))
	case "type", "kind":
		add(&q.Kinds, value)
	default:
		return false
	}
	return true
}

// maxValuesOf bounds how many values of a filter are read.
const maxValuesOf = 20

func add(list *[]string, value string) {
	if len(*list) < maxValuesOf && !slices.Contains(*list, value) {
		*list = append(*list, value)
	}
}

// reference reads a reference to an image: its name without scheme and host, or "" for what
// is no reference with at least an alias and a name, and its tag or digest, if they can be
// such.
func reference(s string) (name string, ref manifest.Reference) {
	for _, scheme := range []string{"https://", "http://", "oci://", "docker://", "docker-daemon:"} {
		s = strings.TrimPrefix(s, scheme)
	}
	s, digest, _ := strings.Cut(s, "@")
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
		if tag := s[i+1:]; manifest.CheckTag(tag) == nil {
			ref.Tag = tag
		}
		s = s[:i]
	}
	if d, err := manifest.ParseDigest(digest); err == nil {
		ref = manifest.Reference{Digest: d}
	}
	s = strings.Trim(s, "/")
	if host, rest, ok := strings.Cut(s, "/"); ok && (strings.ContainsAny(host, ".:") || host == "localhost") && strings.Contains(rest, "/") {
		s = rest
	}
	s, _, _ = strings.Cut(strings.ToLower(s), "/-/") // of a page of this site
	if !strings.Contains(s, "/") || manifest.CheckName(s) != nil {
		return "", manifest.Reference{}
	}
	return s, ref
}

// spelled are names whose punctuation is all that tells them from others.
var spelled = strings.NewReplacer("c++", " cpp ", "c#", " csharp ", "f#", " fsharp ", ".net", " dotnet ", "node.js", " nodejs ", "vue.js", " vuejs ", "next.js", " nextjs ")

// Words splits text into words: runs of letters and digits, in lower case.
func Words(s string) []string {
	return strings.FieldsFunc(spelled.Replace(strings.ToLower(s)), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// Fold returns a name without what separates its words, so that fluent-bit and fluentbit are
// the same.
func Fold(s string) string { return strings.Join(Words(s), "") }
