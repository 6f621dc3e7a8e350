package ecrpublic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// operation is one of the API.
type operation struct {
	name  string
	limit int64 // of the body, in bytes; 0: smallBody
	serve func(c *call, body []byte) (any, error)
}

// The limits of bodies that can be large: JSON makes four bytes of three, and of a
// character up to six.
const (
	partBody  = 32 << 20
	imageBody = 26 << 20
)

// operations are all there are, by name.
var operations = func() map[string]*operation {
	m := map[string]*operation{}
	for _, op := range []operation{
		{"BatchCheckLayerAvailability", 0, in((*call).batchCheckLayerAvailability)},
		{"BatchDeleteImage", 0, in((*call).batchDeleteImage)},
		{"CompleteLayerUpload", 0, in((*call).completeLayerUpload)},
		{"CreateRepository", 0, in((*call).createRepository)},
		{"DeleteRepository", 0, in((*call).deleteRepository)},
		{"DeleteRepositoryPolicy", 0, in((*call).deleteRepositoryPolicy)},
		{"DescribeImageTags", 0, in((*call).describeImageTags)},
		{"DescribeImages", 0, in((*call).describeImages)},
		{"DescribeRegistries", 0, in((*call).describeRegistries)},
		{"DescribeRepositories", 0, in((*call).describeRepositories)},
		{"GetAuthorizationToken", 0, in((*call).getAuthorizationToken)},
		{"GetRegistryCatalogData", 0, in((*call).getRegistryCatalogData)},
		{"GetRepositoryCatalogData", 0, in((*call).getRepositoryCatalogData)},
		{"GetRepositoryPolicy", 0, in((*call).getRepositoryPolicy)},
		{"InitiateLayerUpload", 0, in((*call).initiateLayerUpload)},
		{"ListTagsForResource", 0, in((*call).listTagsForResource)},
		{"PutImage", imageBody, in((*call).putImage)},
		{"PutRegistryCatalogData", 0, in((*call).putRegistryCatalogData)},
		{"PutRepositoryCatalogData", 0, in((*call).putRepositoryCatalogData)},
		{"SetRepositoryPolicy", 0, in((*call).setRepositoryPolicy)},
		{"TagResource", 0, in((*call).tagResource)},
		{"UntagResource", 0, in((*call).untagResource)},
		{"UploadLayerPart", partBody, in((*call).uploadLayerPart)},

		{"RequestRegistryAlias", 0, in((*call).requestRegistryAlias)},
		{"DeleteRegistryAlias", 0, in((*call).deleteRegistryAlias)},
		{"SetPrimaryRegistryAlias", 0, in((*call).setPrimaryRegistryAlias)},
		{"DescribeRegistryAliasRequests", 0, in((*call).describeRegistryAliasRequests)},
	} {
		m[op.name] = &op
	}
	return m
}()

// in makes an operation of a function with a typed input.
func in[In any](f func(c *call, in *In) (any, error)) func(*call, []byte) (any, error) {
	return func(c *call, body []byte) (any, error) {
		var input In
		if err := parse(body, &input); err != nil {
			return nil, err
		}
		return f(c, &input)
	}
}

// parse reads an input. Members that are not known are left alone, as AWS does, and nothing
// at all is an empty object.
func parse(body []byte, input any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	wrong := func(format string, args ...any) error {
		return &exception{Type: "SerializationException", Message: fmt.Sprintf(format, args...)}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return wrong("the body is not a JSON object")
	}
	dec = json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(input); err != nil {
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return wrong("the member %s cannot be a JSON %s", e.Field, e.Value)
		}
		return wrong("the body is not the JSON that the operation takes")
	}
	if _, err := dec.Token(); err != io.EOF {
		return wrong("something follows the JSON object")
	}
	return nil
}
