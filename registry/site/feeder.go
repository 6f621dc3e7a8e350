package site

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry/event"
)

// feeder keeps an index as the registry is: it reads everything once, and then again what
// events name. Events say only where to look, so that it makes no difference how many there
// are, in what order, or whether some came twice.
type feeder struct {
	source  *source // as everyone sees it
	index   gallery.Index
	changed func(name string) // tells the pages
	logger  *slog.Logger

	mu      sync.Mutex
	dirty   map[repository]bool
	again   bool // everything is to be read again
	wake    chan struct{}
	known   map[repository]string // the names of documents in the index
	aliases map[string][]string   // by account; none where they may have changed
	epoch   uint64                // counts changes of anybody's aliases
}

// repository names a repository whatever its publisher's aliases are. Without a name it
// stands for all that an account has.
type repository struct{ account, name string }

func newFeeder(s *source, index gallery.Index, changed func(string), logger *slog.Logger) *feeder {
	f := &feeder{
		source: s, index: index, changed: changed, logger: logger,
		dirty: map[repository]bool{}, wake: make(chan struct{}, 1), known: map[repository]string{}, aliases: map[string][]string{},
	}
	s.reg.Follow(f.note) // from now on, so that no page is kept that has changed before run begins
	return f
}

// note hears of a change. The pages forget what they had at once; the index follows.
func (f *feeder) note(e event.Event) {
	switch e.Type {
	case event.BlobLinked, event.BlobDeleted:
	case event.Missed, event.Suspended, event.Restored:
		f.mu.Lock()
		f.again = true
		f.mu.Unlock()
		f.changed("")
		f.rouse()
	default:
		f.mark(repository{e.Account, e.Repository})
	}
}

func (f *feeder) mark(r repository) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if aliases := f.aliases[r.account]; r.name == "" || len(aliases) == 0 {
		f.changed("") // its aliases are not known, or not any more
		delete(f.aliases, r.account)
		f.epoch++
	} else {
		for _, alias := range aliases {
			f.changed(alias + "/" + r.name)
		}
	}
	f.dirty[r] = true
	f.rouse()
}

func (f *feeder) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Delay is how long a change waits before the search knows of it: a push makes several, and
// who pushes many images to a repository should not have it read for each of them.
const Delay = 2 * time.Second

// retry is how long a repository waits that could not be read or indexed.
const retry = time.Second

func (f *feeder) run(ctx context.Context) error {
	f.fill(ctx)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-f.wake:
			f.wait(ctx, Delay)
			f.mu.Lock()
			again := f.again
			f.again = false
			f.mu.Unlock()
			if again {
				f.fill(ctx)
			}
			f.round(ctx)
		}
	}
	return nil
}

// fill rebuilds the index, however often that fails.
func (f *feeder) fill(ctx context.Context) {
	for ctx.Err() == nil {
		err := f.rebuild(ctx)
		if err == nil {
			return
		}
		f.failed(ctx, "the index cannot be filled", err)
		f.wait(ctx, retry)
	}
}

// rebuild reads every repository, and those again that the index has. It deletes what an
// index that outlives the process has of others.
func (f *feeder) rebuild(ctx context.Context) error {
	f.mu.Lock()
	before := slices.Collect(maps.Keys(f.known))
	clear(f.aliases) // they may have changed
	f.epoch++
	f.mu.Unlock()
	for _, r := range before {
		if err := f.follow(ctx, r); err != nil {
			return err
		}
	}
	for name, err := range f.source.reg.As(auth.Principal{}).Repositories(ctx, "") {
		if err != nil {
			return err
		}
		if _, err := f.refresh(ctx, name); err != nil && !missing(err) {
			return err
		}
	}
	if k, ok := f.index.(gallery.Keeper); ok {
		return f.prune(ctx, k)
	}
	return nil
}

// prune deletes the documents of repositories that are no more, or are called otherwise. Not
// everything that is not known is such: other nodes put what was created meanwhile.
func (f *feeder) prune(ctx context.Context, k gallery.Keeper) error {
	f.mu.Lock()
	known := make(map[string]bool, len(f.known))
	for _, name := range f.known {
		known[name] = true
	}
	f.mu.Unlock()
	for name, err := range k.Names(ctx) {
		if err != nil {
			return err
		}
		if known[name] {
			continue
		}
		switch now, err := f.refresh(ctx, name); {
		case err != nil && !missing(err):
			return err
		case err == nil && now == name:
			continue
		}
		if err := f.remove(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes the document of a name that no repository has. If one has it by now, here or
// on another node, its document may have been put just before, and is put again: whoever
// creates one after that looks puts it after this.
func (f *feeder) remove(ctx context.Context, name string) error {
	defer f.changed(name)
	if err := f.index.Delete(ctx, name); err != nil {
		return err
	}
	if _, err := f.refresh(ctx, name); err != nil && !missing(err) {
		return err
	}
	return nil
}

// round reads again what has changed.
func (f *feeder) round(ctx context.Context) {
	f.mu.Lock()
	dirty := f.dirty
	f.dirty = map[repository]bool{}
	f.mu.Unlock()
	failed := false
	for r := range dirty {
		err := f.update(ctx, r)
		if err == nil || ctx.Err() != nil {
			continue
		}
		f.failed(ctx, "a repository cannot be indexed", err)
		f.mark(r)
		failed = true
	}
	if failed {
		f.wait(ctx, retry)
	}
}

// update reads a repository again, or all that an account has.
func (f *feeder) update(ctx context.Context, r repository) error {
	if r.name != "" {
		return f.follow(ctx, r)
	}
	f.mu.Lock()
	var list []repository
	for known := range f.known {
		if known.account == r.account {
			list = append(list, known)
		}
	}
	f.mu.Unlock()
	for _, known := range list {
		if err := f.follow(ctx, known); err != nil {
			return err
		}
	}
	return nil
}

// follow makes the index's document of a repository what the repository is now.
func (f *feeder) follow(ctx context.Context, r repository) error {
	f.mu.Lock()
	before := f.known[r]
	delete(f.known, r)
	f.mu.Unlock()
	name, err := f.refresh(ctx, r.account+"/"+r.name)
	if missing(err) {
		err = nil
	}
	if err == nil && before != "" && before != name {
		err = f.remove(ctx, before)
	}
	if err != nil && before != "" {
		f.mu.Lock()
		f.known[r] = before // which is still to be looked at
		f.mu.Unlock()
	}
	return err
}

// refresh puts the document of a repository, and returns the name that it has now.
func (f *feeder) refresh(ctx context.Context, name string) (string, error) {
	f.mu.Lock()
	epoch := f.epoch
	f.mu.Unlock()
	o, err := f.source.as(ctx).Overview(ctx, name)
	if err != nil {
		return "", err
	}
	r := repository{string(o.Account), o.Name}
	repo, err := f.source.describe(ctx, o)
	if err != nil {
		return "", err
	}
	if err := f.index.Put(ctx, repo.Document); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known[r] = repo.Name
	if f.epoch == epoch {
		f.aliases[r.account] = repo.Publisher.Aliases
	}
	f.changed(repo.Name)
	return repo.Name, nil
}

// missing reports whether an error says that there is no such repository, or cannot be one.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, manifest.ErrName)
}

func (f *feeder) failed(ctx context.Context, text string, err error) {
	if ctx.Err() == nil {
		f.logger.ErrorContext(ctx, text, "error", err)
	}
}

func (f *feeder) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
