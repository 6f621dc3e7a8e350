package registry

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// ErrSuspended says that the operator has taken something down.
var ErrSuspended = missing("the content is not available")

// Target is what an operator takes down: exactly one of an account with all that it has, an
// alias, a repository, or a digest wherever it is.
type Target struct {
	Account    string          `json:"account,omitempty"`    // alone, or with Repository
	Alias      string          `json:"alias,omitempty"`      // what other aliases of the account lead to stays
	Repository string          `json:"repository,omitempty"` // of Account; also one that is created again under the name
	Digest     manifest.Digest `json:"digest,omitempty"`     // of a manifest or a blob
}

// key is what a suspension is kept under.
func (t Target) key() (string, error) {
	switch {
	case t.Account != "" && t.Alias == "" && t.Digest == "":
		if err := checkAccount(t.Account); err != nil {
			return "", err
		}
		if t.Repository == "" {
			return "account/" + t.Account, nil
		}
		if err := manifest.CheckName(t.Repository); err != nil {
			return "", fmt.Errorf("registry: %w", err)
		}
		return "repository/" + t.Account + "/" + t.Repository, nil
	case t == Target{Alias: t.Alias}:
		if err := manifest.CheckName(t.Alias); err != nil {
			return "", fmt.Errorf("registry: %w", err)
		}
		return "alias/" + t.Alias, nil
	case t == Target{Digest: t.Digest}:
		if _, err := manifest.ParseDigest(string(t.Digest)); err != nil {
			return "", fmt.Errorf("registry: %w", err)
		}
		return "digest/" + string(t.Digest), nil
	}
	return "", errors.New("registry: a target is one of an account, an alias, a repository of an account, and a digest")
}

// Suspension is a takedown that holds.
type Suspension struct {
	Target
	// Reason is told to who asks for what was taken down, unless Hidden.
	Reason string `json:"reason"`
	// Hidden answers as for what is not there (404), instead of 451 Unavailable For Legal
	// Reasons with the reason.
	Hidden bool      `json:"hidden,omitempty"`
	By     string    `json:"by"` // who did it, in the host's words
	At     time.Time `json:"at"` // set by Suspend
}

const takedownSpace = "takedown"

// suspensions are all that hold: there are few, every node has them in memory.
type suspensions map[Target]Suspension

// recentSuspensions are those that were read last.
type recentSuspensions struct {
	all  suspensions
	read time.Time
	fill manifest.Fill[struct{}, struct{}]
}

// hold reports whether they still do: nothing was changed since, or while nobody tells of changes,
// it was not long ago. It takes no lock, as every pull asks, more than once.
func (s *recentSuspensions) hold() bool {
	return s != nil && s.fill.Current() && (s.fill.Generation() > 0 || time.Since(s.read) < unheard)
}

// unheard is how long a node that hears nothing of others goes by what it has read of
// suspensions.
const unheard = time.Second / 2

// Suspend takes something down until [Registry.Restore]: it is not pulled or pushed by anybody, its
// owner included, on any node, within a second; on this one, once Suspend returns. Accounts,
// aliases and repositories are on no public list and in no search either. A digest is suspended
// as it is named: its tags are still listed, and the same bytes under another algorithm are
// another digest. Who was sent to the bucket before may read there for an hour.
//
// Nothing is deleted. What is suspended already gets the new reason. Sinks are told by
// event.Suspended, with the paths that caches before the registry must forget; to find those of
// a digest, every repository is looked at, after the suspension holds. With an error, that of a
// digest may hold and nobody be told: suspend again. It is the operator's word, which no policy
// is asked about.
func (r *Registry) Suspend(ctx context.Context, s Suspension) error {
	s.At = time.Now().UTC()
	return r.takedown(ctx, s, event.Suspended, func(tx meta.Tx, key meta.RecordKey) error {
		raw, err := json.Marshal(s)
		if err != nil {
			return err
		}
		return tx.Records().Put(meta.Record{Namespace: key.Namespace, Key: key.Key, Value: raw})
	})
}

// Restore ends a suspension: everything is there again as it was. by is who did it. What is not suspended is
// an error that wraps fs.ErrNotExist.
func (r *Registry) Restore(ctx context.Context, t Target, by string) error {
	return r.takedown(ctx, Suspension{Target: t, By: by}, event.Restored, func(tx meta.Tx, key meta.RecordKey) error {
		if _, err := tx.Records().Get(key); err != nil {
			return fmt.Errorf("registry: suspension of %s: %w", key.Key, err)
		}
		return tx.Records().Delete(key)
	})
}

func (r *Registry) takedown(ctx context.Context, s Suspension, kind event.Type, change func(meta.Tx, meta.RecordKey) error) error {
	key, err := s.key()
	if err != nil {
		return err
	}
	e := event.Event{
		ID: rand.Text(), Type: kind, Time: time.Now().UTC(), Account: s.Account, Repository: s.Repository, Alias: s.Alias, Digest: s.Digest,
		Principal: s.By, Reason: s.Reason,
	}
	apply := func(tx meta.Tx) error {
		if err := change(tx, meta.RecordKey{Namespace: takedownSpace, Key: key}); err != nil {
			return err
		}
		r.caches.forget(tx, forgotten{Takedown: key})
		return nil
	}
	if s.Digest != "" { // which is looked for everywhere, once it is out of sight
		if err := r.store.Update(ctx, apply); err != nil {
			return err
		}
		if e.Paths, e.Incomplete, err = r.pathsOfDigest(ctx, s.Digest); err != nil {
			return err
		}
		return r.store.Update(ctx, func(tx meta.Tx) error { return r.tellOfTakedown(tx, e) })
	}
	return r.store.Update(ctx, func(tx meta.Tx) error {
		if err := apply(tx); err != nil {
			return err
		}
		if e.Paths, err = pathsOf(tx, s.Target); err != nil {
			return err
		}
		if s.Repository != "" {
			repo, err := tx.Repositories().Get(meta.RepositoryKey{Account: meta.AccountID(s.Account), Name: s.Repository})
			if absent(err) != nil {
				return err
			}
			e.RepositoryID = int64(repo.ID)
		}
		return r.tellOfTakedown(tx, e)
	})
}

func (r *Registry) tellOfTakedown(tx meta.Tx, e event.Event) error {
	told, err := tx.HasSinks()
	if err != nil {
		return err
	}
	return r.publish(tx, e, told)
}

// pathsOf returns where what a target has can be cached: paths that end with a slash are those of
// all below them.
func pathsOf(tx meta.Tx, t Target) (paths []string, err error) {
	if t.Alias != "" {
		return []string{"/v2/" + t.Alias + "/"}, nil
	}
	list, err := tx.AliasesOf(meta.AccountID(t.Account))
	for _, a := range list {
		path := "/v2/" + string(a.Name) + "/"
		if t.Repository != "" {
			path += t.Repository + "/"
		}
		paths = append(paths, path)
	}
	return paths, err
}

const (
	// maxPurgedPaths bounds how many paths an event names.
	maxPurgedPaths = 1000
	// repositoriesPage is how many repositories are looked at in one snapshot.
	repositoriesPage = 500
)

// pathsOfDigest returns where a digest can be cached, and whether there are more than that:
// tables are by repository, so each is asked.
func (r *Registry) pathsOfDigest(ctx context.Context, d manifest.Digest) (paths []string, incomplete bool, err error) {
	var after meta.RepositoryKey
	for more := true; more && len(paths) < maxPurgedPaths; {
		err := r.store.View(ctx, func(tx meta.Tx) error {
			n := 0
			for repo, err := range tx.Repositories().Scan(meta.Range[meta.RepositoryKey]{After: after, Limit: repositoriesPage}) {
				if err != nil {
					return err
				}
				n++
				after = repo.Key()
				if err := pathsIn(tx, repo, d, &paths); err != nil {
					return err
				}
			}
			more = n == repositoriesPage
			return nil
		})
		if err != nil {
			return nil, false, err
		}
	}
	if incomplete = len(paths) > maxPurgedPaths; incomplete {
		paths = paths[:maxPurgedPaths]
	}
	return paths, incomplete, nil
}

// pathsIn appends where a digest of one repository can be cached.
func pathsIn(tx meta.Tx, repo meta.Repository, d manifest.Digest, paths *[]string) error {
	var ends []string
	if _, err := tx.Links().Get(meta.LinkKey{Repository: repo.ID, Digest: d}); err == nil {
		ends = append(ends, "blobs/"+string(d))
	} else if absent(err) != nil {
		return err
	}
	if _, err := tx.Manifests().Get(meta.ManifestKey{Repository: repo.ID, Digest: d}); err == nil {
		ends = append(ends, "manifests/"+string(d))
		tags, err := tx.TagsOf(repo.ID, d, 0)
		if err != nil {
			return err
		}
		for _, t := range tags {
			ends = append(ends, "manifests/"+t.Name)
		}
	} else if absent(err) != nil {
		return err
	}
	if len(ends) == 0 {
		return nil
	}
	aliases, err := tx.AliasesOf(repo.Account)
	for _, a := range aliases {
		for _, end := range ends {
			*paths = append(*paths, "/v2/"+string(a.Name)+"/"+repo.Name+"/"+end)
		}
	}
	return err
}

// Suspensions returns all that hold, the first first.
func (r *Registry) Suspensions(ctx context.Context) ([]Suspension, error) {
	all, err := r.readSuspensions(ctx)
	return slices.SortedFunc(maps.Values(all), func(a, b Suspension) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(fmt.Sprint(a.Target), fmt.Sprint(b.Target)))
	}), err
}

func (r *Registry) readSuspensions(ctx context.Context) (all suspensions, err error) {
	err = r.store.View(ctx, func(tx meta.Tx) error {
		all = suspensions{}
		for row, err := range tx.Records().Scan(meta.Range[meta.RecordKey]{Prefix: meta.RecordKey{Namespace: takedownSpace}}) {
			if err != nil {
				return err
			}
			var s Suspension
			if err := json.Unmarshal(row.Value, &s); err != nil {
				return fmt.Errorf("registry: suspension %s: %w", row.Key, err)
			}
			all[s.Target] = s
		}
		return nil
	})
	return all, err
}

// suspended returns the first suspension that holds of the targets, or nil.
func (r *Registry) suspended(ctx context.Context, targets ...Target) (*Suspension, error) {
	all, err := r.suspensions(ctx)
	if len(all) == 0 || err != nil {
		return nil, err
	}
	for _, t := range targets {
		if s, ok := all[t]; ok {
			return &s, nil
		}
	}
	return nil, nil
}

func (r *Registry) suspensions(ctx context.Context) (suspensions, error) {
	if recent := r.caches.recent.Load(); recent.hold() {
		return recent.all, nil
	}
	fill := r.caches.takedowns.Begin()
	return together(ctx, &r.flights, fill.Generation(), takedownSpace, func(ctx context.Context) (suspensions, error) {
		if recent := r.caches.recent.Load(); recent.hold() {
			return recent.all, nil // read by others meanwhile
		}
		asked := time.Now()
		all, err := r.readSuspensions(ctx)
		if err == nil {
			r.caches.recent.Store(&recentSuspensions{all, asked, fill})
		}
		return all, err
	})
}

// refuseSuspended refuses to take a digest that is suspended wherever it is.
func (r *Registry) refuseSuspended(ctx context.Context, d manifest.Digest) error {
	s, err := r.suspended(ctx, Target{Digest: d})
	if s != nil {
		err = s.refuse(says(ErrDenied, "the content %s is not accepted", d))
	}
	return err
}

// suspendedRepository returns what suspends a repository, which need not exist.
func (r *Registry) suspendedRepository(ctx context.Context, repo meta.Repository) (*Suspension, error) {
	return r.suspended(ctx, Target{Account: string(repo.Account)}, Target{Account: string(repo.Account), Repository: repo.Name})
}

// refuse is the error of a suspension, where otherwise is what answers for what is not there.
func (s *Suspension) refuse(otherwise error) error {
	if s.Hidden {
		return otherwise
	}
	if s.Reason == "" {
		return ErrSuspended
	}
	return says(ErrSuspended, "the content is not available: %s", s.Reason)
}

// checkName refuses what is asked for by an alias that is suspended.
func (r *Registry) checkName(ctx context.Context, op *Op) error {
	if op.byAccount {
		return nil
	}
	alias, _ := splitName(op.Name)
	s, err := r.suspended(ctx, Target{Alias: alias})
	if s != nil {
		err = s.refuse(nameUnknown(op.Name))
	}
	return err
}

// permitted is what the policy allows on a repository that is not suspended.
func (r *Registry) permitted(ctx context.Context, op *Op, action policy.Action, repo meta.Repository) (policy.Decision, error) {
	d, err := r.allowed(ctx, op, action, repo)
	if err != nil || d.Effect != policy.Allow {
		return d, err
	}
	if s, err := r.suspendedRepository(ctx, repo); err != nil || s != nil {
		return policy.Decision{Effect: policy.Deny, Reason: "it is suspended"}, err
	}
	return d, nil
}
