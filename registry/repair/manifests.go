package repair

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

func (r *run) manifests(ctx context.Context, after json.RawMessage) error {
	table := func(tx meta.Tx) meta.Table[meta.ManifestKey, meta.Manifest] { return tx.Manifests() }
	return scan(ctx, r, after, pageManifests, table, manifestKey, func(tx meta.Tx, row meta.Manifest) ([]problem, error) {
		repo, ok, err := r.repository(tx, row.Repository)
		if err != nil || !ok {
			return nil, err
		}
		return r.manifest(tx, repo, row)
	})
}

func manifestKey(row meta.Manifest) meta.ManifestKey {
	return meta.ManifestKey{Repository: row.Repository, Digest: row.Digest}
}

// manifest compares a manifest with its bytes, and its bytes with the rows around it.
func (r *run) manifest(tx meta.Tx, repo meta.Repository, row meta.Manifest) (found []problem, err error) {
	if !intact(row) {
		f := in(repo, ManifestCorrupt, row.Digest, "the manifest's bytes do not have its digest")
		return []problem{{f, func(tx meta.Tx) (bool, error) { return r.removeManifest(tx, manifestKey(row)) }}}, nil
	}
	if row.Size != int64(len(row.Raw)) {
		f := in(repo, ManifestSize, row.Digest, "the manifest has %d bytes and its row says %d", len(row.Raw), row.Size)
		found = append(found, problem{f, func(tx meta.Tx) (bool, error) { return r.setSize(tx, manifestKey(row)) }})
	}
	m, err := manifest.Decode(row.MediaType, row.Raw, row.Digest.Algorithm())
	if err != nil {
		return append(found, problem{Finding: in(repo, ManifestInvalid, row.Digest, "the manifest cannot be read: %v", err)}), nil
	}
	have, err := edgesOf(tx, manifestKey(row))
	if err != nil {
		return nil, err
	}
	want := edgesIn(repo.ID, m)
	for _, e := range slices.SortedFunc(maps.Values(want), byDigest) {
		if have[e.Child] != e {
			f := in(repo, EdgeMissing, row.Digest, "the edge to %s is missing or of another kind", e.Child)
			f.Child = e.Child
			found = append(found, problem{f, func(tx meta.Tx) (bool, error) { return putEdge(tx, e) }})
		}
	}
	for _, e := range slices.SortedFunc(maps.Values(have), byDigest) {
		if _, ok := want[e.Child]; !ok {
			found = append(found, r.strayEdge(repo, e))
		}
	}
	lost, err := r.lost(tx, repo, m)
	return append(found, lost...), err
}

// intact reports whether a manifest's bytes have its digest.
func intact(row meta.Manifest) bool {
	d, err := manifest.ParseDigest(string(row.Digest))
	return err == nil && d.Algorithm().FromBytes(row.Raw) == d
}

// edgesOf returns the edges of a manifest that there are, by where they lead.
func edgesOf(tx meta.Tx, key meta.ManifestKey) (map[manifest.Digest]meta.Edge, error) {
	edges := map[manifest.Digest]meta.Edge{}
	for e, err := range tx.Edges().Scan(meta.Range[meta.EdgeKey]{Prefix: meta.EdgeKey{Repository: key.Repository, Parent: key.Digest}}) {
		if err != nil {
			return nil, err
		}
		edges[e.Child] = e
	}
	return edges, nil
}

// edgesIn returns the edges that a manifest should have; see [meta.Edge] for what becomes of
// several to the same.
func edgesIn(repo meta.RepositoryID, m *manifest.Manifest) map[manifest.Digest]meta.Edge {
	edges := map[manifest.Digest]meta.Edge{}
	for e := range m.Edges() {
		d := e.Descriptor.Digest
		if old, ok := edges[d]; !ok || e.Kind < old.Kind {
			edges[d] = meta.Edge{Repository: repo, Parent: m.Digest, Child: d, Kind: e.Kind}
		}
	}
	return edges
}

// lost finds what the registry would not accept the manifest without.
func (r *run) lost(tx meta.Tx, repo meta.Repository, m *manifest.Manifest) (found []problem, err error) {
	type need struct {
		d    manifest.Digest
		blob bool
	}
	seen := map[need]bool{}
	for e := range m.Edges() {
		n := need{e.Descriptor.Digest, e.NeedsBlob()}
		if seen[n] {
			continue
		}
		seen[n] = true
		var f Finding
		switch {
		case n.blob:
			_, err = tx.Links().Get(meta.LinkKey{Repository: repo.ID, Digest: n.d})
			f = in(repo, ManifestWithoutBlob, m.Digest, "the repository has no link to %s, the blob of %s", n.d, e.Field())
		case e.Kind == manifest.EdgeChild:
			_, err = tx.Manifests().Get(meta.ManifestKey{Repository: repo.ID, Digest: n.d})
			f = in(repo, ManifestWithoutChild, m.Digest, "the repository has no manifest %s, which is %s", n.d, e.Field())
		default:
			continue
		}
		there, err := exists(err)
		if err != nil {
			return nil, err
		}
		if !there {
			f.Child = n.d
			found = append(found, problem{Finding: f})
		}
	}
	return found, nil
}

// holds reports whether a manifest is there and refers to what an edge leads to. One whose
// bytes cannot be read may.
func holds(tx meta.Tx, e meta.Edge) (bool, error) {
	row, err := tx.Manifests().Get(meta.ManifestKey{Repository: e.Repository, Digest: e.Parent})
	if ok, err := exists(err); err != nil || !ok {
		return false, err
	}
	if !intact(row) {
		return true, nil
	}
	m, err := manifest.Decode(row.MediaType, row.Raw, row.Digest.Algorithm())
	if err != nil {
		return true, nil
	}
	_, ok := edgesIn(e.Repository, m)[e.Child]
	return ok, nil
}

func putEdge(tx meta.Tx, e meta.Edge) (bool, error) {
	_, err := tx.Manifests().Get(meta.ManifestKey{Repository: e.Repository, Digest: e.Parent})
	if ok, err := exists(err); err != nil || !ok {
		return false, err
	}
	old, err := tx.Edges().Get(edgeKey(e))
	if _, err := exists(err); err != nil || old == e {
		return false, err
	}
	return true, tx.Edges().Put(e)
}

func edgeKey(e meta.Edge) meta.EdgeKey {
	return meta.EdgeKey{Repository: e.Repository, Parent: e.Parent, Child: e.Child}
}

// edges looks for edges whose manifest does not exist. Those of one manifest follow each other.
func (r *run) edges(ctx context.Context, after json.RawMessage) error {
	table := func(tx meta.Tx) meta.Table[meta.EdgeKey, meta.Edge] { return tx.Edges() }
	var parent meta.ManifestKey // the last one that was there
	return scan(ctx, r, after, pageRows, table, edgeKey, func(tx meta.Tx, row meta.Edge) ([]problem, error) {
		repo, ok, err := r.repository(tx, row.Repository)
		if err != nil || !ok {
			return nil, err
		}
		key := meta.ManifestKey{Repository: row.Repository, Digest: row.Parent}
		if key == parent {
			return nil, nil
		}
		_, err = tx.Manifests().Get(key)
		if ok, err := exists(err); err != nil || ok {
			parent = key
			return nil, err
		}
		return []problem{r.strayEdge(repo, row)}, nil
	})
}

// strayEdge is an edge that no manifest accounts for. It would keep a blob for ever.
func (r *run) strayEdge(repo meta.Repository, e meta.Edge) problem {
	f := in(repo, EdgeWithoutManifest, e.Parent, "there is an edge to %s, and no such manifest that refers to it", e.Child)
	f.Child = e.Child
	return problem{f, func(tx meta.Tx) (bool, error) {
		_, err := tx.Edges().Get(edgeKey(e))
		if ok, err := exists(err); err != nil || !ok {
			return false, err
		}
		if held, err := holds(tx, e); err != nil || held {
			return false, err
		}
		return true, r.unhook(tx, e)
	}}
}

// unhook removes an edge, and queues the link of a blob that no other manifest needs.
func (r *run) unhook(tx meta.Tx, e meta.Edge) error {
	if err := tx.Edges().Delete(edgeKey(e)); err != nil {
		return err
	}
	_, err := tx.Links().Get(meta.LinkKey{Repository: e.Repository, Digest: e.Child})
	if ok, err := exists(err); err != nil || !ok {
		return err
	}
	parent, err := needs(tx, e.Repository, e.Child)
	if err != nil || parent != "" {
		return err
	}
	return r.queue(tx, meta.ReviewLink, e.Repository, string(e.Child))
}

// setSize makes a manifest's row say how many bytes it has.
func (r *run) setSize(tx meta.Tx, key meta.ManifestKey) (bool, error) {
	row, err := tx.Manifests().Get(key)
	if ok, err := exists(err); err != nil || !ok || !intact(row) || row.Size == int64(len(row.Raw)) {
		return false, err
	}
	row.Size = int64(len(row.Raw))
	return true, r.changed(tx, key, tx.Manifests().Put(row))
}

// removeManifest removes a manifest whose bytes are damaged, with its edges.
func (r *run) removeManifest(tx meta.Tx, key meta.ManifestKey) (bool, error) {
	row, err := tx.Manifests().Get(key)
	if ok, err := exists(err); err != nil || !ok || intact(row) {
		return false, err
	}
	edges, err := edgesOf(tx, key)
	if err != nil {
		return false, err
	}
	for _, e := range slices.SortedFunc(maps.Values(edges), byDigest) {
		if err := r.unhook(tx, e); err != nil {
			return false, err
		}
	}
	return true, r.changed(tx, key, tx.Manifests().Delete(key))
}

// changed makes nodes forget a manifest that was changed.
func (r *run) changed(tx meta.Tx, key meta.ManifestKey, err error) error {
	if err != nil {
		return err
	}
	tags, err := tx.TagsOf(key.Repository, key.Digest, 0)
	if err != nil {
		return fmt.Errorf("tags of %s: %w", key.Digest, err)
	}
	names := make([]string, len(tags))
	for i, t := range tags {
		names[i] = t.Name
	}
	r.opts.Serving.Forget(tx, key.Repository, key.Digest, names...)
	return nil
}
