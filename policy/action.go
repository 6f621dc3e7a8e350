package policy

import (
	"maps"
	"slices"

	"github.com/esplanade-registry/esplanade/auth"
)

// Action is what a principal wants to do, by the name that IAM policies have for it.
type Action string

// The actions of pulling. They have no counterpart in ECR Public, where no permission is
// needed to pull; they are named as in private ECR.
const (
	BatchGetImage          Action = "ecr-public:BatchGetImage"          // read manifests and referrers, list repositories
	GetDownloadURLForLayer Action = "ecr-public:GetDownloadUrlForLayer" // read blobs
	ListImages             Action = "ecr-public:ListImages"             // list tags
)

// The actions of pushing, by the wire or the control plane.
const (
	BatchCheckLayerAvailability Action = "ecr-public:BatchCheckLayerAvailability" // ask for blobs before pushing
	InitiateLayerUpload         Action = "ecr-public:InitiateLayerUpload"         // begin an upload, mount a blob
	UploadLayerPart             Action = "ecr-public:UploadLayerPart"             // add to an upload, ask about or cancel it
	CompleteLayerUpload         Action = "ecr-public:CompleteLayerUpload"         // finish an upload
	PutImage                    Action = "ecr-public:PutImage"                    // write manifests and tags
	BatchDeleteImage            Action = "ecr-public:BatchDeleteImage"            // delete manifests, tags and blobs
	CreateRepository            Action = "ecr-public:CreateRepository"
)

// The actions of managing repositories.
const (
	DeleteRepository         Action = "ecr-public:DeleteRepository"
	DescribeRepositories     Action = "ecr-public:DescribeRepositories"
	DescribeImages           Action = "ecr-public:DescribeImages"
	DescribeImageTags        Action = "ecr-public:DescribeImageTags"
	GetRepositoryCatalogData Action = "ecr-public:GetRepositoryCatalogData"
	PutRepositoryCatalogData Action = "ecr-public:PutRepositoryCatalogData"
	GetRepositoryPolicy      Action = "ecr-public:GetRepositoryPolicy"
	SetRepositoryPolicy      Action = "ecr-public:SetRepositoryPolicy"
	DeleteRepositoryPolicy   Action = "ecr-public:DeleteRepositoryPolicy"
	ListTagsForResource      Action = "ecr-public:ListTagsForResource"
	TagResource              Action = "ecr-public:TagResource"
	UntagResource            Action = "ecr-public:UntagResource"
)

// The actions on an account's registry. Those about aliases are not in ECR Public, where
// they are asked for in the console.
const (
	DescribeRegistries            Action = "ecr-public:DescribeRegistries"
	GetRegistryCatalogData        Action = "ecr-public:GetRegistryCatalogData"
	PutRegistryCatalogData        Action = "ecr-public:PutRegistryCatalogData"
	RequestRegistryAlias          Action = "ecr-public:RequestRegistryAlias"
	DeleteRegistryAlias           Action = "ecr-public:DeleteRegistryAlias"
	SetPrimaryRegistryAlias       Action = "ecr-public:SetPrimaryRegistryAlias"
	DescribeRegistryAliasRequests Action = "ecr-public:DescribeRegistryAliasRequests"
)

// GetAuthorizationToken is about no resource.
const GetAuthorizationToken Action = "ecr-public:GetAuthorizationToken"

// verbs maps actions to the scopes that tokens are limited by. Those of managing are in no
// scope: only credentials that nothing limits are good for them.
var verbs = map[Action]auth.Verb{
	BatchGetImage:                 auth.Pull,
	GetDownloadURLForLayer:        auth.Pull,
	ListImages:                    auth.Pull,
	BatchCheckLayerAvailability:   auth.Push,
	InitiateLayerUpload:           auth.Push,
	UploadLayerPart:               auth.Push,
	CompleteLayerUpload:           auth.Push,
	PutImage:                      auth.Push,
	CreateRepository:              auth.Push,
	BatchDeleteImage:              auth.Delete,
	DeleteRepository:              auth.Any,
	DescribeRepositories:          auth.Any,
	DescribeImages:                auth.Any,
	DescribeImageTags:             auth.Any,
	GetRepositoryCatalogData:      auth.Any,
	PutRepositoryCatalogData:      auth.Any,
	GetRepositoryPolicy:           auth.Any,
	SetRepositoryPolicy:           auth.Any,
	DeleteRepositoryPolicy:        auth.Any,
	ListTagsForResource:           auth.Any,
	TagResource:                   auth.Any,
	UntagResource:                 auth.Any,
	DescribeRegistries:            auth.Any,
	GetRegistryCatalogData:        auth.Any,
	PutRegistryCatalogData:        auth.Any,
	RequestRegistryAlias:          auth.Any,
	DeleteRegistryAlias:           auth.Any,
	SetPrimaryRegistryAlias:       auth.Any,
	DescribeRegistryAliasRequests: auth.Any,
	GetAuthorizationToken:         auth.Any,
}

// Actions returns all actions that the library asks policies about, in the order of their
// names.
func Actions() []Action { return slices.Sorted(maps.Keys(verbs)) }

// Verb returns the verb that a token's scope must have for the action; [auth.Any] for one
// that no scope has, so that a limited token never allows it.
func (a Action) Verb() auth.Verb {
	if v, ok := verbs[a]; ok {
		return v
	}
	return auth.Any
}
