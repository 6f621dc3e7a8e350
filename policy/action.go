package policy

import (
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

// actions are all there are.
var actions = []Action{
	BatchGetImage,
	GetDownloadURLForLayer,
	ListImages,
	BatchCheckLayerAvailability,
	InitiateLayerUpload,
	UploadLayerPart,
	CompleteLayerUpload,
	PutImage,
	CreateRepository,
	BatchDeleteImage,
	DeleteRepository,
	DescribeRepositories,
	DescribeImages,
	DescribeImageTags,
	GetRepositoryCatalogData,
	PutRepositoryCatalogData,
	GetRepositoryPolicy,
	SetRepositoryPolicy,
	DeleteRepositoryPolicy,
	ListTagsForResource,
	TagResource,
	UntagResource,
	DescribeRegistries,
	GetRegistryCatalogData,
	PutRegistryCatalogData,
	RequestRegistryAlias,
	DeleteRegistryAlias,
	SetPrimaryRegistryAlias,
	DescribeRegistryAliasRequests,
	GetAuthorizationToken,
}

// Actions returns all actions that the library asks policies about, in the order of their
// names.
func Actions() []Action { return slices.Sorted(slices.Values(actions)) }

// Verb returns the verb that a token's scope must have for the action; [auth.Any] for those of
// managing, which are in no scope: only credentials that nothing limits are good for them.
func (a Action) Verb() auth.Verb {
	switch a {
	case BatchGetImage, GetDownloadURLForLayer, ListImages:
		return auth.Pull
	case BatchCheckLayerAvailability, InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload, PutImage, CreateRepository:
		return auth.Push
	case BatchDeleteImage:
		return auth.Delete
	}
	return auth.Any
}
