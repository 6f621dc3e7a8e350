package repair

import (
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// Finding is something that must not be.
type Finding struct {
	Kind Kind `json:"kind"`
	// Note says that it may be as its publisher wants it.
	Note         bool              `json:"note,omitempty"`
	Account      meta.AccountID    `json:"account,omitempty"`
	Repository   string            `json:"repository,omitempty"` // its name
	RepositoryID meta.RepositoryID `json:"repositoryId,omitempty"`
	Name         string            `json:"name,omitempty"`     // of a tag or an alias
	Digest       manifest.Digest   `json:"digest,omitempty"`   // of a blob or a manifest
	Child        manifest.Digest   `json:"child,omitempty"`    // what the manifest refers to
	NeededBy     manifest.Digest   `json:"neededBy,omitempty"` // a manifest that refers to it
	Key          string            `json:"key,omitempty"`      // of an object
	Text         string            `json:"text"`               // what is wrong, for people
	Mend         string            `json:"mend"`               // what mending does, or who can help
	Mended       bool              `json:"mended,omitempty"`
}

// Kind is what is wrong with something.
type Kind string

// The kinds of findings about rows.
const (
	RegistryWithoutAlias  Kind = "registry-without-alias"  // nothing leads to its repositories
	AliasWithoutRegistry  Kind = "alias-without-registry"  // of an account that has none
	RowsWithoutRepository Kind = "rows-without-repository" // and nothing is queued that removes them
	TagWithoutManifest    Kind = "tag-without-manifest"    //
	ManifestCorrupt       Kind = "manifest-corrupt"        // its bytes do not have its digest
	ManifestSize          Kind = "manifest-size"           // its bytes have its digest, and not the size that clients are told
	ManifestInvalid       Kind = "manifest-invalid"        // its bytes have its digest, and are no manifest
	ManifestWithoutBlob   Kind = "manifest-without-blob"   // note: a publisher may have deleted it
	ManifestWithoutChild  Kind = "manifest-without-child"  // note: likewise, or the index is sparse
	EdgeMissing           Kind = "edge-missing"            // or of another kind: what the manifest needs may be collected
	EdgeWithoutManifest   Kind = "edge-without-manifest"   // no manifest refers to that: it is never collected
	LinkWithoutBlob       Kind = "link-without-blob"       // the repository had a blob that is lost
	LinkUnneeded          Kind = "link-unneeded"           // by any manifest, and not queued: it is never collected
	BlobUnlinked          Kind = "blob-unlinked"           // by any repository, and not queued: it is never collected
	ObjectDoomed          Kind = "object-doomed"           // queued to be deleted, though a blob or a logo needs it
)

// The kinds of findings about the bucket.
const (
	BlobMissing    Kind = "blob-missing"    // one of its objects is
	BlobSize       Kind = "blob-size"       // one of its objects has another size, or all together have
	BlobCorrupt    Kind = "blob-corrupt"    // its bytes have another digest
	BlobUnreadable Kind = "blob-unreadable" // the bucket failed; nothing is known of the bytes
	UploadMissing  Kind = "upload-missing"  // one of the objects that an upload has so far is
	LogoMissing    Kind = "logo-missing"    //
	LogoCorrupt    Kind = "logo-corrupt"    // its size or digest is another
	LogoUnreadable Kind = "logo-unreadable" // the bucket failed
	ObjectOrphan   Kind = "object-orphan"   // no row names it: it is never deleted
)

// Note reports whether what is found may be so by a publisher's wish: deletes of blobs and of
// manifests are honoured even where a manifest refers to them, and registry.Config.AllowMissing
// allows manifests that are not whole.
func (k Kind) Note() bool { return kinds[k].note }

// kinds says what can be done: the sentence is [Finding.Mend].
var kinds = map[Kind]struct {
	mend          string
	content, note bool // mended by Options.MendContent alone; see Kind.Note
}{
	RegistryWithoutAlias:  {mend: "nothing; add an alias with Registry.AddAlias"},
	AliasWithoutRegistry:  {mend: "the registry's row is put, without a display name"},
	RowsWithoutRepository: {mend: "they are queued for the collector, which removes them"},
	TagWithoutManifest:    {mend: "nothing, since the digest is all that is left to find the image by; push it again or delete the tag"},
	ManifestCorrupt:       {mend: "with MendContent the manifest and its edges are removed, so that it can be pushed again; its tags stay", content: true},
	ManifestSize:          {mend: "the size is set"},
	ManifestInvalid:       {mend: "nothing; the publisher can delete the manifest"},
	ManifestWithoutBlob:   {mend: "nothing; push the image again or delete it", note: true},
	ManifestWithoutChild:  {mend: "nothing; push the child again or delete the index", note: true},
	EdgeMissing:           {mend: "the edge is put"},
	EdgeWithoutManifest:   {mend: "the edge is removed, and what it held is queued for the collector"},
	LinkWithoutBlob:       {mend: "a link that no manifest needs is queued for the collector"},
	LinkUnneeded:          {mend: "the link is queued for the collector"},
	BlobUnlinked:          {mend: "the blob is queued for the collector"},
	ObjectDoomed:          {mend: "it is taken out of the queue"},
	BlobMissing:           {mend: lostContent, content: true},
	BlobSize:              {mend: lostContent, content: true},
	BlobCorrupt:           {mend: lostContent, content: true},
	BlobUnreadable:        {mend: "nothing; look after the bucket and run again"},
	UploadMissing:         {mend: "the upload ends, so that its client begins anew"},
	LogoMissing:           {mend: lostLogo, content: true},
	LogoCorrupt:           {mend: lostLogo, content: true},
	LogoUnreadable:        {mend: "nothing; look after the bucket and run again"},
	ObjectOrphan:          {mend: "the object is queued for the collector, which deletes it"},
}

const (
	lostContent = "with MendContent the blob's row is removed and what is left of its objects queued, so that the content can be pushed again"
	lostLogo    = "with MendContent the repository has no logo, until its publisher sets one again"
)
