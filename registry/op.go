package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// Op is one operation on its way through the registry, whether it came over HTTP or from
// Go. Interceptors see it before and after.
type Op struct {
	Began     time.Time
	Action    policy.Action // "" for what is about no repository, such as a token
	Identity  auth.Identity
	Remote    netip.Addr // of the client; invalid for calls within the process
	Method    string     // of HTTP; "" for calls within the process
	Path      string     // of the request; "" for calls within the process
	UserAgent string
	Secure    bool // it came over TLS, or from within the process

	// Name is the repository as the client names it, alias/repository; "" where the
	// operation is about none.
	Name string
	// Repository is the one that Name leads to, once next was called; its ID is 0 where
	// there is none.
	Repository meta.Repository
	// Reference is the tag or digest that the client names, if any.
	Reference manifest.Reference
	// RequestTags are the tags of a repository that the operation sets, and TagKeys those
	// that it sets or removes.
	RequestTags map[string]string
	TagKeys     []string
	// Descriptor is what was read or written, once it is known.
	Descriptor manifest.Descriptor

	// Decision is what the policy says of the last action that it was asked about.
	Decision policy.Decision

	// Header holds headers for the reply. It is nil for calls within the process. What is
	// about the client goes in by [Op.OnReply], which knows whether the answer is Shared.
	Header http.Header
	// Received and Sent count the bytes of bodies, and Status is that of the reply: known
	// to observers, and to interceptors where next has returned no error. Calls within the
	// process leave Sent and Status alone.
	Received, Sent int64
	Status         int
	// Redirected counts the bytes of a blob that the client was sent to the bucket for.
	Redirected int64
	// Duration is how long it took, until the end of the reply: known to observers.
	Duration time.Duration
	// Shared says that caches between may store the answer and give it to others; see
	// [Config.SharedMaxAge].
	Shared bool

	id      string
	onReply []func()
	err     error // that the reply tells of

	registry *Registry
	act      func(context.Context) error // what is carried out, after the interceptors
	stage    int                         // how many of them were called
	next     func(context.Context) error // op.step
	request  policy.Request              // the last that evaluators were asked

	wide      bool           // the operation is about no repository, and decides by itself what to show
	overall   bool           // the operation is about the registry of account as a whole, or about nothing at all
	local     bool           // Name may begin with an account's id instead of an alias
	byAccount bool           // Name began with one
	account   meta.AccountID // that Name's alias belongs to, also where there is no repository
	asks      bool           // the store and no cache may answer: decisions made while pushing
	creates   bool           // the operation may create the repository
	pulls     bool           // the operation reads the manifest that Reference names
	pulled    *pulled        // that manifest, if resolving found it
	missing   bool           // or whether resolving found that there is none

	found bool // whether the running transaction found the repository, and did not make it
	told  told // whether the running transaction found sinks

	uploadID meta.UploadID // that the operation is about
	upload   *meta.Upload  // if there is one
}

// told says whether there are sinks, as the running transaction found.
type told uint8

const (
	unasked told = iota
	nobody
	somebody
)

// Interceptor wraps every operation: it may refuse it with an error, add headers to the
// reply, and measure. Authentication is done when it is called; the repository is looked up,
// the policy evaluated and the operation carried out by next. It must call next at most
// once, and op is not to be used after it returned.
type Interceptor func(ctx context.Context, op *Op, next func(context.Context) error) error

// ChangeKind says what a change does.
type ChangeKind uint8

// The kinds of changes.
const (
	CreateRepository ChangeKind = iota + 1
	LinkBlob                    // an upload is finished, or a blob mounted
	PutManifest                 // new to the repository
	MoveTag                     // made, or pointed to another manifest
	DeleteTag
	DeleteManifest
	DeleteBlob
	DeleteRepository // with all that it has
	ChangePolicy     // of a repository
	ChangeCatalog    // catalog data of a repository
	ChangeTags       // those of the repository, not of images
	ChangeRegistry   // aliases or catalog data; there is no repository
)

// Change is one change that an operation is about to make.
type Change struct {
	Kind     ChangeKind
	Tag      string
	Before   manifest.Digest    // of a tag that exists: where it points
	Digest   manifest.Digest    // of the manifest or blob
	Size     int64              // of the manifest or blob
	Manifest *manifest.Manifest // of PutManifest
}

// Guard checks changes within the transaction that makes them, so that its rule holds
// whatever else happens at the time: immutable tags, quotas. An error refuses the whole
// operation. It may be called more than once for one change and must have no effect
// outside tx.
type Guard interface {
	Check(ctx context.Context, tx meta.Tx, op *Op, change *Change) error
}

// do takes an operation through the pipeline and carries it out.
func (r *Registry) do(ctx context.Context, op *Op, act func(context.Context) error) error {
	op.registry, op.act, op.stage = r, act, 0
	if op.next == nil {
		op.next = op.step // made once: it is an allocation
	}
	return op.step(ctx)
}

// step calls the next interceptor, or carries the operation out.
func (op *Op) step(ctx context.Context) error {
	if list := op.registry.cfg.Interceptors; op.stage < len(list) {
		op.stage++
		return list[op.stage-1](ctx, op, op.next)
	}
	if err := op.registry.admit(ctx, op); err != nil {
		return err
	}
	return op.act(ctx)
}

// admit finds what an operation is about, and decides whether it may be carried out.
func (r *Registry) admit(ctx context.Context, op *Op) error {
	switch {
	case op.wide:
	case op.overall:
		if err := r.authorize(ctx, op, op.Action); err != nil {
			return err
		}
		if op.account == "" && op.Action != policy.GetAuthorizationToken {
			return says(ErrDenied, "the principal is of no account")
		}
	default:
		if _, name := splitName(op.Name); name == "" {
			return says(ErrNameUnknown, "%s names no repository; a name has two parts or more, ALIAS/REPOSITORY", op.Name)
		}
		if err := r.resolve(ctx, op); err != nil {
			return err
		}
		if err := r.checkName(ctx, op); err != nil {
			return err
		}
		if err := r.authorize(ctx, op, op.Action); err != nil {
			return err
		}
		if op.Repository.ID == 0 {
			if err := r.unknown(ctx, op); err != nil {
				return err
			}
		}
	}
	return nil
}

// unknown decides what becomes of an operation on a repository that does not exist.
func (r *Registry) unknown(ctx context.Context, op *Op) error {
	if !op.creates || op.account == "" {
		return nameUnknown(op.Name)
	}
	if op.Action == policy.CreateRepository {
		return nil
	}
	if !r.cfg.CreateOnPush {
		_, name := splitName(op.Name)
		return says(ErrNameUnknown, "the repository %s does not exist; create it before pushing to it: aws ecr-public create-repository --repository-name %s", op.Name, name)
	}
	return r.authorize(ctx, op, policy.CreateRepository)
}

func nameUnknown(name string) error {
	return says(ErrNameUnknown, "the repository %s does not exist, or you may not see it; check its alias and name", name)
}

// allowed evaluates the policy for an action on a repository, under its alias's account.
// A token that does not cover it leaves its bearer with what anybody may do.
func (r *Registry) allowed(ctx context.Context, op *Op, action policy.Action, repo meta.Repository) (policy.Decision, error) {
	who := op.Identity.Principal
	if !op.covers(action, repo) {
		who = auth.Principal{}
	}
	return r.evaluate(ctx, op, who, action, repo)
}

// covers reports whether the operation's credential is good for an action.
func (op *Op) covers(action policy.Action, repo meta.Repository) bool {
	return op.Identity.Scope.Allows(string(repo.Account), repo.Name, action.Verb())
}

func (r *Registry) evaluate(ctx context.Context, op *Op, who auth.Principal, action policy.Action, repo meta.Repository) (policy.Decision, error) {
	op.request = policy.Request{
		Principal: who, Action: action, Remote: op.Remote, UserAgent: op.UserAgent, Secure: op.Secure,
		RequestTags: op.RequestTags, TagKeys: op.TagKeys, Resource: resource(repo),
	}
	d, err := policy.Evaluate(ctx, r.cfg.Evaluators, &op.request)
	op.Decision = d
	return d, err
}

// resource is a repository in the words of package policy.
func resource(repo meta.Repository) policy.Resource {
	return policy.Resource{
		Account: string(repo.Account), Repository: repo.Name, ID: int64(repo.ID), Public: repo.Visibility == meta.Public, HasPolicy: repo.HasPolicy,
	}
}

// target is the operation's repository, or what is known of one that does not exist.
func (op *Op) target() meta.Repository {
	if op.Repository.ID != 0 {
		return op.Repository
	}
	_, name := splitName(op.Name)
	if op.overall && op.Action == policy.DescribeRepositories {
		name = "*" // any of them
	}
	if op.account == "" && !op.overall {
		return meta.Repository{Account: noAccount, Name: name} // so that no evaluator takes it for anybody's own
	}
	return meta.Repository{Account: op.account, Name: name}
}

// noAccount is the account that an unknown alias belongs to.
const noAccount meta.AccountID = "000000000000"

// authorize refuses the operation unless the policy allows the action. Who may not pull is
// told that there is nothing, whether there is or not; who may not push is told only about
// themselves.
func (r *Registry) authorize(ctx context.Context, op *Op, action policy.Action) error {
	target := op.target()
	d, err := r.permitted(ctx, op, action, target)
	if err != nil || d.Effect == policy.Allow {
		return err
	}
	if s, err := r.suspendedRepository(ctx, target); err != nil {
		return err
	} else if s != nil {
		// told only to who might do it otherwise
		if d, err = r.allowed(ctx, op, action, target); err != nil {
			return err
		}
		if d.Effect == policy.Allow {
			return s.refuse(nameUnknown(op.Name))
		}
	}
	pull := action.Verb() == auth.Pull
	if op.Identity.IsAnonymous() {
		if pull {
			return nameUnknown(op.Name)
		}
		return &challengeError{insufficient: op.Identity.Scope != nil}
	}
	if !op.covers(action, target) {
		// A challenge asks for a new token: only where one would help.
		if d, err = r.evaluate(ctx, op, op.Identity.Principal, action, target); err != nil {
			return err
		}
		if d.Effect == policy.Allow {
			return &challengeError{insufficient: true}
		}
	}
	if pull {
		return nameUnknown(op.Name)
	}
	if !op.overall && string(target.Account) != op.Identity.Account {
		// What a policy of the repository says is its owner's alone; and who is not told the
		// account must not ask it of conditions.
		absent := meta.Repository{Account: target.Account, Name: target.Name}
		if !op.byAccount {
			absent.Account = noAccount
		}
		if d, err = r.evaluate(ctx, op, op.Identity.Principal, action, absent); err != nil {
			return err
		}
	}
	return says(ErrDenied, "User: %s is not authorized to perform: %s on resource: %s because %s%s",
		op.Identity.ARN(), action, op.resourceARN(), d.Reason, r.advise(ctx, op, action))
}

// resourceARN names what the operation is about, as far as its caller knows it: an account
// is not told for an alias that is not the caller's own.
func (op *Op) resourceARN() string {
	if op.Name != "" && !op.byAccount && op.account != meta.AccountID(op.Identity.Account) {
		return op.Name
	}
	return resource(op.target()).ARN()
}

// advise says to who may not push what their own registry is called: that the name is not
// quite right is the usual mistake. It is the same whether the name leads anywhere or not.
func (r *Registry) advise(ctx context.Context, op *Op, action policy.Action) string {
	if action.Verb() != auth.Push || op.Name == "" || op.account == meta.AccountID(op.Identity.Account) {
		return ""
	}
	switch alias, err := r.primaryAlias(ctx, meta.AccountID(op.Identity.Account)); {
	case err != nil:
		return ""
	case alias == "":
		return "; your account has no registry yet, create a repository first (create-repository)"
	default:
		return fmt.Sprintf("; repositories of your own are named %s/REPOSITORY", alias)
	}
}

// scope returns what a client should ask a token for to carry the operation out. docker
// asks for pull along with push.
func (op *Op) scope() auth.Wanted {
	w := auth.Wanted{Type: "repository", Name: op.Name, Verbs: []auth.Verb{op.Action.Verb()}}
	if w.Verbs[0] == auth.Push {
		w.Verbs = []auth.Verb{auth.Pull, auth.Push}
	}
	return w
}

// challengeError is answered with 401 and a challenge for the operation's scope.
type challengeError struct {
	insufficient bool // a token was sent, but it does not cover the scope
}

func (e *challengeError) Error() string { return ErrUnauthorized.Error() }
func (e *challengeError) Unwrap() error { return ErrUnauthorized }
