package iam

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
)

var keySyntax = regexp.MustCompile(`^[A-Za-z0-9.-]+:[A-Za-z0-9:._-]+(/[^{}$,']+)?$`)

// parseKey reads the name of a condition key. Case does not count in it; that of a tag's
// name is kept, for where two tags differ in nothing else.
func parseKey(s string) (string, bool) {
	if len(s) > 256 || !keySyntax.MatchString(s) {
		return "", false
	}
	name, tag, ok := strings.Cut(s, "/")
	name = strings.ToLower(name)
	if ok {
		name += "/" + tag
	}
	return name, true
}

// maxUserAgent is how many bytes of a client's name are compared: it is as long as the
// client likes, and comparing costs its length times that of the pattern.
const maxUserAgent = 1024

// facts is what conditions and variables are asked about: a request and the tags of those
// that take part in it, which are fetched if they are needed.
type facts struct {
	req       *policy.Request
	now       time.Time
	principal tags
	resource  tags
	arn       string // of the resource
	bit       uint64 // of the action; 0 for one that the library does not know
	clock     string // now, written once
	err       error  // of fetching; it spoils the decision
}

// values returns those of a condition key, as parseKey wrote it, and whether it has any
// value at all.
func (f *facts) values(key string) ([]string, bool) {
	one := func(s string) ([]string, bool) { return []string{s}, s != "" }
	p := f.req.Principal
	if name, tag, ok := strings.Cut(key, "/"); ok {
		switch name {
		case "aws:principaltag":
			return tagged(f.tags(&f.principal), tag)
		case "aws:requesttag":
			return tagged(f.req.RequestTags, tag)
		case "aws:resourcetag", "ecr-public:resourcetag":
			return tagged(f.tags(&f.resource), tag)
		}
		return nil, false
	}
	switch key {
	case "aws:sourceip":
		if !f.req.Remote.IsValid() {
			return nil, false
		}
		return one(f.req.Remote.Unmap().WithZone("").String())
	case "aws:securetransport":
		return one(strconv.FormatBool(f.req.Secure))
	case "aws:currenttime":
		if f.clock == "" {
			f.clock = f.now.UTC().Format(time.RFC3339Nano)
		}
		return one(f.clock)
	case "aws:epochtime":
		return one(strconv.FormatInt(f.now.Unix(), 10))
	case "aws:useragent":
		return one(f.req.UserAgent[:min(len(f.req.UserAgent), maxUserAgent)])
	case "aws:principalarn":
		return one(principalArn(p))
	case "aws:principalaccount":
		return one(p.Account)
	case "aws:principaltype":
		return one(principalType(p))
	case "aws:username":
		if principalType(p) != "User" {
			return nil, false
		}
		arn := p.ARN()
		return one(arn[strings.LastIndexByte(arn, '/')+1:])
	case "aws:resourceaccount":
		return one(f.req.Resource.Account)
	case "aws:tagkeys":
		return f.req.TagKeys, len(f.req.TagKeys) > 0
	}
	return nil, false
}

func principalType(p auth.Principal) string {
	kind, _, _ := strings.Cut(p.Name, "/")
	switch {
	case p.IsAnonymous():
		return "Anonymous"
	case p.IsRoot():
		return "Account"
	case kind == "role", kind == "assumed-role":
		return "AssumedRole"
	}
	return "User"
}

// tags fetches tags, once for a decision.
func (f *facts) tags(t *tags) map[string]string {
	if t.fetch != nil && !t.known {
		var err error
		if t.list, err = t.fetch(); err != nil {
			f.err = err
		}
		t.known = true
	}
	return t.list
}

// tags is those of a principal or a repository, and how to get them.
type tags struct {
	fetch func() (map[string]string, error)
	known bool
	list  map[string]string
}

// tagged finds a tag by its name, or else the first one that differs in case alone.
func tagged(tags map[string]string, name string) ([]string, bool) {
	if v, ok := tags[name]; ok {
		return []string{v}, true
	}
	found := ""
	for k := range tags {
		if strings.EqualFold(k, name) && (found == "" || k < found) {
			found = k
		}
	}
	if found == "" {
		return nil, false
	}
	return []string{tags[found]}, true
}
