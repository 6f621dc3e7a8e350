package registry

import (
	"errors"
	"io/fs"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// ProtectTag is the key of the tag of a repository that, with the value true, refuses to delete a
// manifest that an index refers to, and a blob that a manifest refers to: [ErrReferenced].
// Otherwise explicit deletes are honoured. Nothing else ever deletes either of them.
const ProtectTag = "registry:protect-referenced"

// protect refuses the deletion of what something refers to, where the repository says so.
func (r *Registry) protect(tx meta.Tx, op *Op, d manifest.Digest) error {
	tag, err := tx.ResourceTags().Get(meta.ResourceTagKey{Repository: op.Repository.ID, Key: ProtectTag})
	if errors.Is(err, fs.ErrNotExist) || err == nil && tag.Value != "true" {
		return nil
	}
	if err != nil {
		return err
	}
	parent, err := parentOf(tx, op.Repository.ID, d)
	if err != nil || parent == "" {
		return err
	}
	return says(ErrReferenced, "%s refers to %s, and the repository %s protects what is referred to; delete that first", parent, d, op.Name)
}

// parentOf returns a manifest of a repository that refers to a manifest or blob, or "". One that has it
// for its subject does not.
func parentOf(tx meta.Tx, repo meta.RepositoryID, d manifest.Digest) (manifest.Digest, error) {
	for limit := 8; ; limit *= 8 {
		parents, err := tx.Parents(repo, d, limit)
		if err != nil {
			return "", err
		}
		for _, e := range parents {
			if e.Kind != manifest.EdgeSubject {
				return e.Parent, nil
			}
		}
		if len(parents) < limit {
			return "", nil
		}
	}
}
