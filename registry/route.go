package registry

import (
	"net/http"
	"strings"

	"github.com/esplanade-registry/esplanade/policy"
)

// route is what a path names.
type route struct {
	kind routeKind
	name string // of a repository: alias/name
	ref  string // what follows: a tag, a digest, an upload's id
}

type routeKind uint8

const (
	routeNone routeKind = iota
	routeBase
	routeToken
	routeCatalog
	routeTags
	routeManifest
	routeBlob
	routeUploads
	routeUpload
	routeReferrers
)

// parseRoute reads a path from its end, so that repositories may be named tags, manifests,
// referrers or blobs/uploads.
func parseRoute(path string) route {
	if path == "/token" || path == "/token/" {
		return route{kind: routeToken}
	}
	rest, ok := strings.CutPrefix(path, "/v2/")
	switch {
	case path == "/v2" || ok && rest == "":
		return route{kind: routeBase}
	case !ok:
		return route{}
	case rest == "_catalog":
		return route{kind: routeCatalog}
	}
	if name, ok := strings.CutSuffix(rest, "/blobs/uploads/"); ok {
		return route{routeUploads, name, ""}
	}
	head, ref, ok := cutLast(rest)
	if !ok {
		return route{}
	}
	name, noun, ok := cutLast(head)
	if !ok {
		return route{}
	}
	switch noun {
	case "manifests":
		return route{routeManifest, name, ref}
	case "tags":
		if ref == "list" {
			return route{routeTags, name, ""}
		}
	case "referrers":
		return route{routeReferrers, name, ref}
	case "blobs":
		if ref == "uploads" { // without the slash, where a redirect would make a GET of a POST
			return route{routeUploads, name, ""}
		}
		return route{routeBlob, name, ref}
	case "uploads":
		if name, ok := strings.CutSuffix(name, "/blobs"); ok {
			return route{routeUpload, name, ref}
		}
	}
	return route{}
}

func cutLast(s string) (head, last string, ok bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

// endpoint is one row of the table of routes.
type endpoint struct {
	kind    routeKind
	method  string
	action  policy.Action // that the policy is asked about, for repositories
	asks    bool          // a decision made while pushing: no cache may answer
	creates bool
	serve   func(*call) error
}

// endpoints are all there are, with the names that the distribution specification gives
// them.
var endpoints = []endpoint{
	{kind: routeBase, method: http.MethodGet, serve: (*call).getBase},                                                                       // end-1
	{kind: routeToken, method: http.MethodGet, serve: (*call).getToken},                                                                     //
	{kind: routeToken, method: http.MethodPost, serve: (*call).postToken},                                                                   //
	{kind: routeCatalog, method: http.MethodGet, serve: (*call).getCatalog},                                                                 //
	{kind: routeBlob, method: http.MethodGet, action: policy.GetDownloadURLForLayer, serve: (*call).getBlob},                                // end-2
	{kind: routeBlob, method: http.MethodHead, action: policy.GetDownloadURLForLayer, asks: true, serve: (*call).headBlob},                  // end-2
	{kind: routeManifest, method: http.MethodGet, action: policy.BatchGetImage, serve: (*call).getManifest},                                 // end-3
	{kind: routeManifest, method: http.MethodHead, action: policy.BatchGetImage, serve: (*call).getManifest},                                // end-3
	{kind: routeUploads, method: http.MethodPost, action: policy.InitiateLayerUpload, asks: true, creates: true, serve: (*call).postUpload}, // end-4a, 4b, 11
	{kind: routeUpload, method: http.MethodPatch, action: policy.UploadLayerPart, asks: true, serve: (*call).patchUpload},                   // end-5
	{kind: routeUpload, method: http.MethodPut, action: policy.CompleteLayerUpload, asks: true, serve: (*call).putUpload},                   // end-6
	{kind: routeManifest, method: http.MethodPut, action: policy.PutImage, asks: true, creates: true, serve: (*call).putManifest},           // end-7
	{kind: routeTags, method: http.MethodGet, action: policy.ListImages, serve: (*call).getTags},                                            // end-8
	{kind: routeManifest, method: http.MethodDelete, action: policy.BatchDeleteImage, asks: true, serve: (*call).deleteManifest},            // end-9
	{kind: routeBlob, method: http.MethodDelete, action: policy.BatchDeleteImage, asks: true, serve: (*call).deleteBlob},                    // end-10
	{kind: routeReferrers, method: http.MethodGet, action: policy.BatchGetImage, serve: (*call).getReferrers},                               // end-12
	{kind: routeUpload, method: http.MethodGet, action: policy.UploadLayerPart, asks: true, serve: (*call).getUpload},                       // end-13
	{kind: routeUpload, method: http.MethodDelete, action: policy.UploadLayerPart, asks: true, serve: (*call).deleteUpload},                 // end-14
}

// byRoute finds the endpoints of a kind of route by method.
var byRoute = func() map[routeKind]map[string]*endpoint {
	m := map[routeKind]map[string]*endpoint{}
	for i, e := range endpoints {
		if m[e.kind] == nil {
			m[e.kind] = map[string]*endpoint{}
		}
		m[e.kind][e.method] = &endpoints[i]
	}
	// HEAD is answered wherever GET is, net/http leaves the body out
	for _, methods := range m {
		if methods[http.MethodHead] == nil && methods[http.MethodGet] != nil {
			methods[http.MethodHead] = methods[http.MethodGet]
		}
	}
	return m
}()
