package accesslog

import (
	"net/http"
	"strings"

	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry"
)

// Operation names what a client asked for, in few words that are the same wherever the
// operation is told of: for labels of metrics and names of spans too. There are about fifty.
//
// By HTTP they are GetManifest, HeadManifest, PutManifest, GetBlob, HeadBlob, ListTags,
// ListReferrers, ListRepositories, StartUpload, AppendUpload, FinishUpload, UploadStatus,
// CancelUpload, Delete, GetToken and CheckVersion, and Unknown for requests that are refused
// before it is known what they are. By the control plane it is the action, such as
// DescribeImages. It is "" for what the process asks of itself.
func Operation(op *registry.Op) string {
	if op.Method == "" {
		if !op.Remote.IsValid() && op.UserAgent == "" {
			return ""
		}
		return strings.TrimPrefix(string(op.Action), "ecr-public:")
	}
	head := op.Method == http.MethodHead
	switch op.Action {
	case "":
		return outside(op.Path)
	case policy.BatchGetImage:
		switch {
		case !op.IsPull():
			return "ListReferrers"
		case head:
			return "HeadManifest"
		}
		return "GetManifest"
	case policy.GetDownloadURLForLayer:
		if head {
			return "HeadBlob"
		}
		return "GetBlob"
	case policy.ListImages:
		return "ListTags"
	case policy.PutImage:
		return "PutManifest"
	case policy.InitiateLayerUpload:
		return "StartUpload"
	case policy.UploadLayerPart:
		switch op.Method {
		case http.MethodPatch:
			return "AppendUpload"
		case http.MethodDelete:
			return "CancelUpload"
		}
		return "UploadStatus"
	case policy.CompleteLayerUpload:
		return "FinishUpload"
	case policy.BatchDeleteImage:
		return "Delete"
	}
	return "Unknown"
}

// outside names what is about no repository.
func outside(path string) string {
	switch path {
	case "/v2", "/v2/":
		return "CheckVersion"
	case "/v2/_catalog":
		return "ListRepositories"
	case "/token", "/token/":
		return "GetToken"
	}
	return "Unknown"
}
