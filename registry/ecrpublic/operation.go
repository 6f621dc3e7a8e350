package ecrpublic

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
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
// at all is an empty object. Names are exact, text is UTF-8 and bytes are base64, on none of
// which the standard library's first version of this decoder insists.
func parse(body []byte, input any) error {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil
	}
	if body[0] != '{' {
		return &exception{Type: "SerializationException", Message: "the body is not a JSON object"}
	}
	err := json.Unmarshal(body, input)
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		return &exception{Type: "SerializationException", Message: fmt.Sprintf("the member %s cannot be a JSON %s", e.JSONPointer, e.JSONKind)}
	}
	if err != nil {
		return &exception{Type: "SerializationException", Message: "the body is not JSON, or has a member twice"}
	}
	return nil
}
