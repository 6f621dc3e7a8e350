package ecrpublic_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/esplanade-registry/esplanade/registry/ecrpublic"
)

// kind is the type of a member in JSON.
type kind int

const (
	text kind = iota
	number
	boolean
	blob
	list
	structure
)

// constraint is about one member of an input, with the constraints of sections 2.0 and 2.1. The path has a
// number for an entry of a list.
type constraint struct {
	path        string
	kind        kind
	required    bool
	least, most int      // of the length, or of a number; 0: no bound
	wrong       []string // outside the pattern, or not what it must be
	lenient     bool     // what is wrong with the value is told otherwise: only the type is checked
}

var (
	wrongNames = []string{
		"Hat", "hat_", "-hat", "hat/", "/hat", "hat//coat", "hat..coat", "hat__coat", "hat--coat", "ha t", "hat:v1", "hat@x", "hät", "../hat", "hat\n",
		"hat\x00", "hat%2fcoat", `hat\coat`,
	}
	registryID = constraint{path: "registryId", kind: text, wrong: []string{"", "1", "12345678901", "1234567890123", "12345678901a", "acme", "１２３４５６７８９０１２", "123456789012\n", " 23456789012"}}
	anyID      = constraint{path: "registryId", kind: text, least: 2, most: 50, wrong: []string{"", "Acme", "ac me", "acme-", "-acme", "1acme", "ac..me", "acme/hat", "acme\n", "../acme", "12345678901"}}
	repository = constraint{path: "repositoryName", kind: text, required: true, least: 2, most: 205, wrong: wrongNames}
	pageSize   = constraint{path: "maxResults", kind: number, least: 1, most: 1000}
	pageToken  = constraint{path: "nextToken", kind: text, wrong: []string{"x", "e30", "\x00"}}
	uploadID   = constraint{path: "uploadId", kind: text, required: true, wrong: []string{"", "x", noUpload + "0", noUpload[1:], strings.Replace(noUpload, "-", "0", 1), noUpload + "\n", strings.Replace(noUpload, "0", "g", 1)}}
	arn        = constraint{path: "resourceArn", kind: text, required: true, least: 1, most: 2048, wrong: []string{
		"hat", "arn:aws:ecr-public::123456789012:registry/123456789012", "arn:aws:ecr:us-east-1:123456789012:repository/hat",
		"arn:aws:ecr-public:us-east-1:123456789012:repository/hat", "arn:aws:ecr-public::123456789012:repository/", "arn:aws:ecr-public::123456789012:repository/Hat",
		"arn:aws:ecr-public::acme:repository/hat", "arn:aws:ecr-public::123456789012:repository/hat ", "arn:aws:ecr-public::123456789012:repository/*",
		"arn:aws-cn:ecr-public::123456789012:repository/hat", "x arn:aws:ecr-public::123456789012:repository/hat",
	}}
	alias = constraint{path: "registryAliasName", kind: text, required: true, least: 2, most: 50, wrong: []string{"Acme", "ac me", "1acme", "acme-", "ac..me", "acme\n", "àcme", "acme/hat", "123456789012"}}
)

// catalog are the members of catalog data.
func catalog(required bool) []constraint {
	members := []constraint{{path: "catalogData", kind: structure, required: required}}
	for _, m := range []constraint{
		{path: "description", kind: text, most: 1024, wrong: []string{"a\x00b", "\x1b[2J"}},
		{path: "architectures", kind: list, most: 50}, {path: "architectures.0", kind: text, least: 1, most: 50},
		{path: "operatingSystems", kind: list, most: 50}, {path: "operatingSystems.0", kind: text, least: 1, most: 50},
		{path: "logoImageBlob", kind: blob, most: 512000, wrong: []string{"PHN2Zy8+", "eHh4"}},
		{path: "aboutText", kind: text, most: 25600, wrong: []string{"a\x00b"}},
		{path: "usageText", kind: text, most: 25600, wrong: []string{"a\x00b"}},
	} {
		m.path = "catalogData." + m.path
		members = append(members, m)
	}
	return members
}

func with(lists ...[]constraint) []constraint { return slices.Concat(lists...) }

var tagMembers = []constraint{
	{path: "tags", kind: list, most: 200},
	{path: "tags.0", kind: structure},
	{path: "tags.0.Key", kind: text, required: true, least: 1, most: 128, wrong: []string{"aws:x", "a<b", "a\nb", "a\x00b", "a&b"}},
	{path: "tags.0.Value", kind: text, most: 256, wrong: []string{"a<b", "a\nb"}},
}

// operationInputs has a good input for each operation and what its members must be.
var operationInputs = map[string]struct {
	good    func(upload string) object
	members []constraint
}{
	"BatchCheckLayerAvailability": {
		func(string) object {
			return object{"registryId": "acme", "repositoryName": "hat", "layerDigests": []any{sha([]byte("x"))}}
		},
		[]constraint{anyID, repository, {path: "layerDigests", kind: list, required: true, least: 1, most: 100}, {path: "layerDigests.0", kind: text, most: 1000, lenient: true}},
	},
	"BatchDeleteImage": {
		func(string) object {
			return object{"registryId": "acme", "repositoryName": "hat", "imageIds": []any{object{"imageTag": "nope", "imageDigest": sha(nil)}}}
		},
		[]constraint{
			anyID, repository, {path: "imageIds", kind: list, required: true, least: 1, most: 100},
			{path: "imageIds.0", kind: structure}, {path: "imageIds.0.imageTag", kind: text, most: 300}, {path: "imageIds.0.imageDigest", kind: text, lenient: true},
		},
	},
	"CompleteLayerUpload": {
		func(upload string) object {
			return object{"registryId": "acme", "repositoryName": "hat", "uploadId": upload, "layerDigests": []any{sha([]byte("part"))}}
		},
		[]constraint{anyID, repository, uploadID, {path: "layerDigests", kind: list, required: true, least: 1, most: 100}, {path: "layerDigests.0", kind: text, wrong: []string{"", "x", "sha256:", ":00", "sha256:xyz", "sha256:00\n"}}},
	},
	"CreateRepository": {
		func(string) object {
			return object{"repositoryName": "coat", "catalogData": goodCatalog(), "tags": []any{object{"Key": "k", "Value": "v"}}}
		},
		with([]constraint{repository}, catalog(false), tagMembers),
	},
	"DeleteRepository": {
		func(string) object { return object{"registryId": accountA, "repositoryName": "empty", "force": false} },
		[]constraint{registryID, repository, {path: "force", kind: boolean}},
	},
	"DeleteRepositoryPolicy": {
		func(string) object { return object{"registryId": accountA, "repositoryName": "hat"} },
		[]constraint{registryID, repository},
	},
	"DescribeImageTags": {
		func(string) object { return object{"registryId": accountA, "repositoryName": "hat", "maxResults": 10} },
		[]constraint{registryID, repository, pageSize, pageToken},
	},
	"DescribeImages": {
		func(string) object {
			return object{"registryId": accountA, "repositoryName": "hat", "imageIds": []any{object{"imageTag": "v1"}}}
		},
		[]constraint{
			registryID, repository, {path: "imageIds", kind: list, least: 1, most: 100}, {path: "imageIds.0", kind: structure},
			{path: "imageIds.0.imageTag", kind: text, least: 1, most: 300}, {path: "imageIds.0.imageDigest", kind: text, lenient: true}, pageSize, pageToken,
		},
	},
	"DescribeRegistries": {func(string) object { return object{"maxResults": 10} }, []constraint{pageSize, pageToken}},
	"DescribeRepositories": {
		func(string) object { return object{"registryId": accountA, "repositoryNames": []any{"hat"}} },
		[]constraint{registryID, {path: "repositoryNames", kind: list, least: 1, most: 100}, {path: "repositoryNames.0", kind: text, least: 2, most: 205, wrong: wrongNames}, pageSize, pageToken},
	},
	"GetAuthorizationToken":    {func(string) object { return object{} }, nil},
	"GetRegistryCatalogData":   {func(string) object { return object{} }, nil},
	"GetRepositoryCatalogData": {func(string) object { return object{"registryId": accountA, "repositoryName": "hat"} }, []constraint{registryID, repository}},
	"GetRepositoryPolicy":      {func(string) object { return object{"registryId": accountA, "repositoryName": "hat"} }, []constraint{registryID, repository}},
	"InitiateLayerUpload":      {func(string) object { return object{"registryId": "acme", "repositoryName": "hat"} }, []constraint{anyID, repository}},
	"ListTagsForResource":      {func(string) object { return object{"resourceArn": arnOf("hat")} }, []constraint{arn}},
	"PutImage": {
		func(string) object {
			i := imageOf("y")
			return object{"registryId": "acme", "repositoryName": "hat", "imageManifest": i.raw, "imageManifestMediaType": ociImage, "imageTag": "v9", "imageDigest": i.digest}
		},
		[]constraint{
			anyID, repository, {path: "imageManifest", kind: text, required: true, least: 1, most: 4 << 20, wrong: []string{"{}", "null", "x", `{"schemaVersion":2`}},
			{path: "imageManifestMediaType", kind: text, wrong: []string{"text/html", ociIndex}},
			{path: "imageTag", kind: text, least: 1, most: 300, wrong: []string{"", "-v", ".v", "v 1", "v\n", "v/1", "v:1", "vé", strings.Repeat("v", 129)}},
			{path: "imageDigest", kind: text, wrong: []string{"", "x", "sha256:", "sha256:xyz", "md5:00"}},
		},
	},
	"PutRegistryCatalogData": {func(string) object { return object{"displayName": "Acme"} }, []constraint{{path: "displayName", kind: text, most: 100, wrong: []string{"a\x00b", "a\nb"}}}},
	"PutRepositoryCatalogData": {
		func(string) object {
			return object{"registryId": accountA, "repositoryName": "hat", "catalogData": goodCatalog()}
		},
		with([]constraint{registryID, repository}, catalog(true)),
	},
	"SetRepositoryPolicy": {
		func(string) object {
			return object{"registryId": accountA, "repositoryName": "hat", "policyText": document(to(statement("Allow", "PutImage"), accountB)), "force": false}
		},
		[]constraint{registryID, repository, {path: "policyText", kind: text, required: true, most: 10240, wrong: []string{"", "{}", "null", "x", "[]"}}, {path: "force", kind: boolean}},
	},
	"TagResource": {
		func(string) object {
			return object{"resourceArn": arnOf("hat"), "tags": []any{object{"Key": "k2", "Value": "v"}}}
		},
		with([]constraint{arn}, slices.Insert(slices.Clone(tagMembers[1:]), 0, constraint{path: "tags", kind: list, required: true, most: 200})),
	},
	"UntagResource": {
		func(string) object { return object{"resourceArn": arnOf("hat"), "tagKeys": []any{"k"}} },
		[]constraint{arn, {path: "tagKeys", kind: list, required: true, most: 200}, {path: "tagKeys.0", kind: text, least: 1, most: 128}},
	},
	"UploadLayerPart": {
		func(upload string) object {
			return object{"registryId": "acme", "repositoryName": "hat", "uploadId": upload, "partFirstByte": 4, "partLastByte": 5, "layerPartBlob": "eHg="}
		},
		[]constraint{
			anyID, repository, uploadID, {path: "partFirstByte", kind: number, required: true}, {path: "partLastByte", kind: number, required: true},
			{path: "layerPartBlob", kind: blob, required: true, most: 20971520},
		},
	},
	"RequestRegistryAlias":          {func(string) object { return object{"registryAliasName": "acme-labs"} }, []constraint{alias}},
	"DeleteRegistryAlias":           {func(string) object { return object{"registryAliasName": "second"} }, []constraint{alias}},
	"SetPrimaryRegistryAlias":       {func(string) object { return object{"registryAliasName": "second"} }, []constraint{alias}},
	"DescribeRegistryAliasRequests": {func(string) object { return object{} }, nil},
}

func goodCatalog() object {
	return object{
		"description": "d", "architectures": []any{"ARM"}, "operatingSystems": []any{"Linux"}, "aboutText": "a", "usageText": "u",
		"logoImageBlob": base64.StdEncoding.EncodeToString(picture(60, 60)),
	}
}

// matrixWorld is a world in which every good input is answered.
func matrixWorld(t *testing.T) (w *world, upload string) {
	t.Helper()
	w = newWorld(t)
	w.a.create("hat", "empty")
	w.a.push("hat", imageOf("x"), "v1")
	y := imageOf("y")
	w.a.upload("hat", y.layer)
	if err := w.AddAlias(t.Context(), accountA, "second"); err != nil {
		t.Fatal(err)
	}
	w.a.send("TagResource", object{"resourceArn": arnOf("hat"), "tags": []any{object{"Key": "k", "Value": "v"}}}).ok()
	w.a.send("SetRepositoryPolicy", object{"repositoryName": "hat", "policyText": document(to(statement("Allow", "PutImage"), accountB))}).ok()
	w.a.send("GetAuthorizationToken", object{}).ok() // makes the key that signs
	return w, must(begin(t.Context(), w.a.Client, "hat", []byte("part")))(t)
}

// change sets a member, deep down, of a copy of an input; nothing removes it.
func change(input object, path string, v any, remove bool) object {
	var clone any
	if err := json.Unmarshal([]byte(marshal(input)), &clone); err != nil {
		panic(err)
	}
	parts := strings.Split(path, ".")
	var set func(at any, parts []string) any
	set = func(at any, parts []string) any {
		if len(parts) == 0 {
			return v
		}
		if i, err := strconv.Atoi(parts[0]); err == nil {
			entries := at.([]any)
			entries[i] = set(entries[i], parts[1:])
			return entries
		}
		members, _ := at.(object)
		if members == nil {
			members = object{}
		}
		if remove && len(parts) == 1 {
			delete(members, parts[0])
		} else {
			members[parts[0]] = set(members[parts[0]], parts[1:])
		}
		return members
	}
	return set(clone, parts).(object)
}

// raw is JSON as it stands.
type raw = json.RawMessage

// badCase is an input that must be refused.
type badCase struct {
	name  string
	input object
}

func badCases(good object, m constraint) (cases []badCase) {
	add := func(what string, v any) {
		cases = append(cases, badCase{m.path + " " + what, change(good, m.path, v, false)})
	}
	wrongTypes := map[kind][]string{
		text:      {`1`, `true`, `[]`, `{}`, `["hat"]`, `1e3`},
		number:    {`"1"`, `1.5`, `true`, `[]`, `{}`, `1e400`, `9223372036854775808`, `[1]`},
		boolean:   {`"true"`, `1`, `0`, `[]`, `{}`},
		blob:      {`1`, `true`, `{}`, `[]`, `[120,120]`, `"eHg"`, `"e Hg="`, `"_-8="`, `"!"`, `"eHg=="`},
		list:      {`"x"`, `1`, `true`, `{}`, `{"0":"x"}`},
		structure: {`"x"`, `1`, `true`, `[]`},
	}
	for _, s := range wrongTypes[m.kind] {
		add("is "+s, raw(s))
	}
	if m.required {
		add("is null", nil)
		cases = append(cases, badCase{m.path + " is missing", change(good, m.path, nil, true)})
	}
	if m.lenient {
		m.wrong, m.least = nil, 0
	}
	for _, s := range m.wrong {
		add(fmt.Sprintf("is %.20q", s), s)
	}
	switch m.kind {
	case text:
		if m.least > 0 {
			add("is too short", strings.Repeat("a", m.least-1))
		}
		if m.most > 0 {
			add("is too long", strings.Repeat("a", m.most+1))
		}
	case blob:
		if m.most > 0 {
			add("is too long", base64.StdEncoding.EncodeToString(append(picture(60, 60), make([]byte, m.most)...)))
		}
	case number:
		add("is too small", m.least-1)
		add("is far too small", raw("-9223372036854775808"))
		if m.most > 0 {
			add("is too large", m.most+1)
			add("is far too large", raw("9223372036854775807"))
		}
	case list:
		if m.least > 0 {
			add("is empty", []any{})
		}
		if m.most > 0 {
			at := change(good, "_", nil, true)
			for part := range strings.SplitSeq(m.path, ".") {
				if entries, ok := at[part].([]any); ok {
					var long []any
					for i := range m.most + 1 {
						e := entries[0]
						if tag, ok := e.(object); ok && tag["Key"] != nil { // none may be there twice
							e = object{"Key": fmt.Sprint("k", i), "Value": ""}
						}
						long = append(long, e)
					}
					add("is too long", long)
				} else {
					at, _ = at[part].(object)
				}
			}
		}
	}
	return cases
}

// Every operation takes its good input, and refuses each input with one thing wrong in it
// with an error of the client's, having stored nothing.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	for _, operation := range ecrpublic.Operations() {
		test, ok := operationInputs[operation]
		if !ok {
			t.Errorf("%s has no inputs here", operation)
			continue
		}
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			w, upload := matrixWorld(t)
			before := w.rows()
			good := test.good(upload)
			n := 0
			for _, m := range test.members {
				for _, bad := range badCases(good, m) {
					n++
					r := w.a.send(operation, bad.input)
					allowed := []string{"InvalidParameterException", "SerializationException"}
					if strings.HasPrefix(m.path, "tag") {
						allowed = append(allowed, "InvalidTagParameterException")
					}
					if !slices.Contains(allowed, r.exception()) || r.status != 400 {
						t.Errorf("%s: status %d and %.200s, want %s", bad.name, r.status, r.body, strings.Join(allowed, " or "))
					}
					w.unchanged(t, bad.name, before)
				}
			}
			for _, body := range []string{`[]`, `null`, `"x"`, `1`, `true`, `{`, `{"a"}`, `{"a":1,}`, `{}{}`, `{} x`, `[{}]`, "\xef\xbb\xbf{}", `{'a':1}`, "\x00", `{"a":NaN}`} {
				r := w.a.send(operation, body)
				if r.exception() != "SerializationException" {
					t.Errorf("body %q: status %d and %.200s, want SerializationException", body, r.status, r.body)
				}
				w.unchanged(t, body, before)
			}
			if len(test.members) > 0 && n < 5 {
				t.Errorf("only %d bad inputs were tried", n)
			}

			// The input by which all those are wrong in one thing is good. Members that
			// are not known change nothing.
			good["unknown"] = object{"x": []any{1, nil}}
			w.a.send(operation, good).ok()
		})
	}
}

// What is null is not there (section 1.2), but for what is required.
func TestNullIsNotThere(t *testing.T) {
	t.Parallel()
	for operation, test := range operationInputs {
		w, upload := matrixWorld(t)
		input := change(test.good(upload), "unknown", nil, false)
		for _, m := range test.members {
			if !m.required && !strings.Contains(m.path, ".") {
				input[m.path] = nil
			}
		}
		if r := w.a.send(operation, input); r.status != 200 {
			t.Errorf("%s: status %d: %s", operation, r.status, r.body)
		}
	}
}

// Names of members are exact: one in other letters is not known.
func TestNamesOfMembersAreExact(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat")
	for _, body := range []string{`{"RepositoryName":"hat"}`, `{"REPOSITORYNAME":"hat"}`, `{"repositoryname":"hat"}`} {
		w.a.send("DescribeImages", body).want("InvalidParameterException")
	}
	// One that is not known changes nothing of the one that is.
	if r := w.a.send("DescribeImages", `{"repositoryName":"hat","RepositoryName":"coat"}`); r.status != 200 {
		t.Errorf("another name is taken for repositoryName: %s", r.body)
	}
}

// JSON is UTF-8. What is not must not be stored as something else: not a name with U+FFFD
// in it, and not a manifest, whose digest is that of its bytes.
func TestBodiesAreUTF8(t *testing.T) {
	t.Parallel()
	w, _ := matrixWorld(t)
	before := w.rows()
	i := imageOf("x")
	odd := strings.Replace(marshal(strings.Replace(i.raw, `"schemaVersion"`, `"annotations":{"a":"OCTET"},"schemaVersion"`, 1)), "OCTET", "\xff", 1)
	for operation, body := range map[string]string{
		"PutRegistryCatalogData":   "{\"displayName\":\"Acm\xe9\"}",
		"PutRepositoryCatalogData": "{\"repositoryName\":\"hat\",\"catalogData\":{\"description\":\"\xc3\x28\"}}",
		"PutImage":                 "{\"repositoryName\":\"hat\",\"imageTag\":\"odd\",\"imageManifest\":" + odd + "}",
		"TagResource":              "{\"resourceArn\":\"" + arnOf("hat") + "\",\"tags\":[{\"Key\":\"k\",\"Value\":\"\xff\"}]}",
		"SetRepositoryPolicy":      "{\"repositoryName\":\"hat\",\"policyText\":" + strings.Replace(marshal(document(to(statement("Allow", "PutImage"), accountB))), "Allow", "Allow\xff", 1) + "}",
		"DescribeRegistries":       "{\"unknown\":\"\xff\"}",
		"RequestRegistryAlias":     "{\"registryAliasName\":\"alias\",\"unknown\":\"\\ud800\"}", // half a character
	} {
		if r := w.a.send(operation, body); r.exception() != "SerializationException" {
			t.Errorf("%s: status %d and %.300s, want SerializationException", operation, r.status, r.body)
		}
		w.unchanged(t, operation, before)
	}
}

// What is just within the bounds of section 2.1 is accepted, counted in characters and not
// in bytes, and answered as it was sent.
func TestBoundsAreWithin(t *testing.T) {
	t.Parallel()
	w, _ := matrixWorld(t)
	hats := func(n int) string { return strings.Repeat("👒", n) }
	var platforms, layers, images, names []any
	for i := range 50 {
		platforms = append(platforms, fmt.Sprintf("%02d", i)+hats(48))
	}
	tags := map[string]string{}
	var tagList []any
	for i := range 50 {
		key, value := fmt.Sprintf("%02d", i)+strings.Repeat("é", 126), strings.Repeat("ü", 256)
		tags[key], tagList = value, append(tagList, object{"Key": key, "Value": value})
	}
	for i := range 100 {
		layers = append(layers, sha([]byte(fmt.Sprint(i))))
		images = append(images, object{"imageTag": fmt.Sprint("t", i), "imageDigest": sha([]byte(fmt.Sprint(i)))})
		names = append(names, "hat")
	}
	catalog := object{
		"description": hats(1024), "architectures": platforms, "operatingSystems": platforms, "aboutText": hats(25600), "usageText": strings.Repeat("a\n\r\t", 6400),
	}
	long := strings.Repeat("a/", 102) + "b" // 205
	made := w.a.send("CreateRepository", object{"repositoryName": long, "catalogData": catalog, "tags": tagList}).ok()
	same(t, "catalog data", made["catalogData"], any(catalog))
	same(t, "catalog data", w.a.send("GetRepositoryCatalogData", object{"repositoryName": long}).ok()["catalogData"], any(catalog))
	listed := w.a.send("ListTagsForResource", object{"resourceArn": arnOf(long)}).ok()["tags"].([]any)
	got := map[string]string{}
	for _, tag := range listed {
		got[tag.(object)["Key"].(string)] = tag.(object)["Value"].(string)
	}
	same(t, "tags", got, tags)
	w.a.send("CreateRepository", object{"repositoryName": "ab"}).ok()
	// The same with every character in twelve bytes, as some clients write it.
	escaped := strings.ReplaceAll(marshal(object{"repositoryName": "ab", "catalogData": catalog}), "👒", `\ud83d\udc52`)
	same(t, "catalog data", w.a.send("PutRepositoryCatalogData", escaped).ok()["catalogData"], any(catalog))

	same(t, "name", w.a.send("PutRegistryCatalogData", object{"displayName": hats(100)}).ok()["registryCatalogData"], any(object{"displayName": hats(100)}))
	w.a.send("BatchCheckLayerAvailability", object{"repositoryName": "hat", "layerDigests": layers}).ok()
	w.a.send("BatchDeleteImage", object{"repositoryName": "hat", "imageIds": images}).ok()
	w.a.send("DescribeRepositories", object{"repositoryNames": names}).ok()
	for _, n := range []int{1, 1000} {
		w.a.send("DescribeImages", object{"repositoryName": "hat", "maxResults": n}).ok()
	}

	// A manifest of four MiB, and one of a byte more.
	i := imageOf("x")
	padded := func(size int) string {
		const field = `"annotations":{"a":""},`
		return strings.Replace(i.raw, `"config"`, `"annotations":{"a":"`+strings.Repeat("a", size-len(i.raw)-len(field))+`"},"config"`, 1)
	}
	out := w.a.send("PutImage", object{"repositoryName": "hat", "imageManifest": padded(4 << 20), "imageTag": strings.Repeat("t", 128)}).ok()
	same(t, "digest", out["image"].(object)["imageId"].(object)["imageDigest"], any(sha([]byte(padded(4<<20)))))
	w.a.send("PutImage", object{"repositoryName": "hat", "imageManifest": padded(4<<20 + 1)}).want("InvalidParameterException")
}
