// Package throttle ties the limits of package policy/limit to a registry: how many images a
// client may pull a second, how many bytes a month, and how often an account may call the
// control plane.
//
//	limits, err := throttle.New(throttle.Config{})
//	...
//	registry.New(registry.Config{
//		Interceptors: []registry.Interceptor{limits.Intercept},
//		Observers:    []registry.Observer{limits.Observe},
//		...
//	})
//
// # What is charged
//
// A client is the account that it logged in as, or else its IPv4 address or the /64 of its IPv6
// address (see limit.AddressLevels). One GET of a manifest takes one token, of whatever is
// asked for, whether it is there or not: docker pull takes two of an image for several
// platforms, one of another. HEAD, answers of 304, blobs, ranges, lists and tokens are free.
// What is refused costs nothing, not even a question to the store.
//
// Bytes of blobs and manifests count against the month's allowance once they are sent. Who has
// used it up is refused both; what is on its way is sent in full.
//
// # What clients are told
//
// Every answer about a manifest, HEAD too, has
//
//	RateLimit-Limit: 100;w=100       the burst, and the seconds in which it comes back
//	RateLimit-Remaining: 97;w=100
//	RateLimit-Source: 192.0.2.1      whom it is about: an address, a network or an account
//
// in the form that Docker Hub has made known, unless caches before the registry may store the
// answer (registry.Config.SharedMaxAge). A refusal is 429 TOOMANYREQUESTS, with Retry-After in
// whole seconds (ORAS reads no dates) and what to do. docker gives up at once, containerd asks
// again up to five times without a pause, podman and skopeo wait as they are told: bursts are
// what makes first pulls succeed.
package throttle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/registry"
)

// Config is what [New] needs. The zero Config has the limits of limit.Default, each node its
// own.
type Config struct {
	// Limits are the figures: limit.Default() if all are zero. Rules that are zero set no
	// limit, nor do allowances.
	Limits limit.Preset
	// Limiter keeps the buckets, and Meter the months: in this process if nil. Nodes share
	// their limits by package redislimit.
	Limiter limit.Limiter
	Meter   limit.Meter
	// Exempt says which operations are not charged, such as those from an address of the
	// host's own; none if nil. The repository is not known yet, its name is.
	Exempt func(*registry.Op) bool
	// Advice is told to anonymous clients that are refused, such as "log in for more: docker
	// login registry.example.com"; "log in for more" if empty.
	Advice string
	// Logger hears when the limiter fails, which lets everything through; nil logs nothing.
	Logger *slog.Logger
}

// Throttle limits the operations of a registry.
type Throttle struct {
	cfg              Config
	anonymous, named rule
}

// New checks the configuration and returns a Throttle.
func New(cfg Config) (*Throttle, error) {
	if l := &cfg.Limits; l.Actions == nil && l.Anonymous == (limit.Rule{}) && l.Named == (limit.Rule{}) && l.AnonymousBytes == 0 && l.NamedBytes == 0 {
		*l = limit.Default()
	}
	for _, r := range []limit.Rule{cfg.Limits.Anonymous, cfg.Limits.Named} {
		if r != (limit.Rule{}) && (r.Rate <= 0 || r.Burst < 1) {
			return nil, fmt.Errorf("throttle: %g a second with bursts of %d lets nobody through", r.Rate, r.Burst)
		}
	}
	if cfg.Limits.AnonymousBytes < 0 || cfg.Limits.NamedBytes < 0 {
		return nil, errors.New("throttle: an allowance is less than 0")
	}
	local := limit.NewLocal(0)
	if cfg.Limiter == nil {
		cfg.Limiter = local
	}
	if cfg.Meter == nil {
		cfg.Meter = local
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Throttle{cfg, newRule(cfg.Limits.Anonymous), newRule(cfg.Limits.Named)}, nil
}

// rule is one of the limits with what clients are told of it.
type rule struct {
	limit.Rule
	window   string // ";w=" and the seconds in which a burst comes back
	limit    string
	exceeded string // what a client does that is refused
}

func newRule(r limit.Rule) rule {
	if r == (limit.Rule{}) {
		return rule{}
	}
	window := ";w=" + strconv.FormatInt(int64(math.Ceil(float64(r.Burst)/r.Rate)), 10)
	return rule{
		r, window, strconv.FormatInt(r.Burst, 10) + window,
		fmt.Sprintf(" pulls more than %s images a second, with bursts of %d", decimal(r.Rate), r.Burst),
	}
}

// show sets the headers that tell what is left.
func (r *rule) show(op *registry.Op, left int64, source string) {
	var array [48]byte
	values := [...]string{r.limit, string(append(strconv.AppendInt(array[:0], left, 10), r.window...)), source}
	op.Header["Ratelimit-Limit"], op.Header["Ratelimit-Remaining"], op.Header["Ratelimit-Source"] = values[0:1:1], values[1:2:2], values[2:3:3]
}

// Keys of buckets and sums begin with what they are of.
const (
	pullPrefix  = "pull "
	bytesPrefix = "bytes "
)

// Intercept implements [registry.Interceptor].
func (t *Throttle) Intercept(ctx context.Context, op *registry.Op, next func(context.Context) error) error {
	if !op.Remote.IsValid() && op.Method == "" || t.cfg.Exempt != nil && t.cfg.Exempt(op) {
		return next(ctx) // of the process itself, or of the host's own
	}
	switch {
	case op.IsPull() && op.Method != "":
		if err := t.pull(ctx, op); err != nil {
			return err
		}
	case op.Action == policy.GetDownloadURLForLayer && op.Method == http.MethodGet:
		if err := t.left(ctx, op, 1); err != nil {
			return err
		}
	case !op.Identity.IsAnonymous():
		if err := t.call(ctx, op); err != nil {
			return err
		}
	}
	return next(ctx)
}

// pull charges a GET of a manifest, and shows what is left with the answer.
func (t *Throttle) pull(ctx context.Context, op *registry.Op) error {
	var array [2]limit.Level
	levels, rule := t.levels(array[:0], op)
	cost := int64(1)
	if op.Method == http.MethodHead {
		cost = 0
	}
	if err := t.left(ctx, op, cost); err != nil || rule.Burst == 0 {
		return err
	}
	q, err := limit.TakeAll(ctx, t.cfg.Limiter, levels, cost)
	if err != nil {
		t.failed(ctx, err)
		return nil
	}
	source := strings.TrimPrefix(levels[0].Key, pullPrefix)
	if !q.OK {
		rule.show(op, 0, source)
		return t.refuse(op, q.Retry, source+rule.exceeded)
	}
	op.OnReply(func() {
		if op.Shared {
			return
		}
		left := q.Remaining
		if free(op) {
			left++ // as it will be in a moment
		}
		rule.show(op, min(left, rule.Burst), source)
	})
	return nil
}

// free reports whether a pull is given back what was taken for it: the client had the manifest.
func free(op *registry.Op) bool {
	return op.Status == http.StatusNotModified && op.Method == http.MethodGet && op.IsPull()
}

// levels are the buckets that a pull is counted in, and their rule.
func (t *Throttle) levels(list []limit.Level, op *registry.Op) ([]limit.Level, *rule) {
	if op.Identity.IsAnonymous() {
		return limit.AddressLevels(list, pullPrefix, op.Remote, t.anonymous.Rule), &t.anonymous
	}
	return append(list, limit.Level{Key: pullPrefix + op.Identity.Account, Rule: t.named.Rule}), &t.named
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// allowance is the month's of who asks, and the key of what was used of it.
func (t *Throttle) allowance(op *registry.Op) (limit.Allowance, string) {
	if op.Identity.IsAnonymous() {
		if t.cfg.Limits.AnonymousBytes == 0 {
			return 0, ""
		}
		return t.cfg.Limits.AnonymousBytes, limit.AddressKey(bytesPrefix, op.Remote, limit.SiteBits)
	}
	return t.cfg.Limits.NamedBytes, bytesPrefix + op.Identity.Account
}

// left refuses who has used up the month's bytes, unless what is asked for costs nothing.
func (t *Throttle) left(ctx context.Context, op *registry.Op, cost int64) error {
	a, key := t.allowance(op)
	if a == 0 || cost == 0 {
		return nil
	}
	q, err := a.Use(ctx, t.cfg.Meter, key, 0)
	switch {
	case err != nil:
		t.failed(ctx, err)
		return nil
	case q.OK:
		return nil
	}
	return t.refuse(op, q.Retry, fmt.Sprintf("%s has used up the %d bytes of this month", strings.TrimPrefix(key, bytesPrefix), int64(a)))
}

// Observe implements [registry.Observer]: it counts the bytes that were sent, and gives back what
// a pull did not need.
func (t *Throttle) Observe(ctx context.Context, op *registry.Op, _ error) {
	if free(op) && !(t.cfg.Exempt != nil && t.cfg.Exempt(op)) {
		t.giveBack(context.WithoutCancel(ctx), op)
		return
	}
	n := op.Sent + op.Redirected
	if n == 0 || op.Status >= 300 && op.Redirected == 0 || op.Method != http.MethodGet || !op.IsPull() && op.Action != policy.GetDownloadURLForLayer || t.cfg.Exempt != nil && t.cfg.Exempt(op) {
		return
	}
	a, key := t.allowance(op)
	if a == 0 {
		return
	}
	if _, err := a.Use(context.WithoutCancel(ctx), t.cfg.Meter, key, n); err != nil {
		t.failed(ctx, err)
	}
}

func (t *Throttle) giveBack(ctx context.Context, op *registry.Op) {
	var array [2]limit.Level
	levels, rule := t.levels(array[:0], op)
	if rule.Burst == 0 {
		return
	}
	for _, l := range levels {
		if _, err := t.cfg.Limiter.Take(ctx, l.Key, l.Rule, -1); err != nil {
			t.failed(ctx, err)
		}
	}
}

// call charges a call of the control plane, or one of pushing.
func (t *Throttle) call(ctx context.Context, op *registry.Op) error {
	rule, ok := t.cfg.Limits.Actions[op.Action]
	if !ok {
		return nil
	}
	q, err := t.cfg.Limiter.Take(ctx, string(op.Action)+" "+op.Identity.Account, rule, 1)
	switch {
	case err != nil:
		t.failed(ctx, err)
		return nil
	case q.OK:
		return nil
	}
	return t.refuse(op, q.Retry, fmt.Sprintf("account %s calls %s more than %s times a second", op.Identity.Account, op.Action, decimal(rule.Rate)))
}

// refuse is the answer to who has to wait.
func (t *Throttle) refuse(op *registry.Op, retry time.Duration, why string) error {
	seconds := strconv.FormatInt(max(1, int64(math.Ceil(retry.Seconds()))), 10)
	if op.Header != nil {
		op.Header["Retry-After"] = []string{seconds}
	}
	advice := ""
	if op.Identity.IsAnonymous() {
		if advice = "; log in for more"; t.cfg.Advice != "" {
			advice = "; " + t.cfg.Advice
		}
	}
	return &registry.Error{Err: registry.ErrTooManyRequests, Message: why + "; try again in " + seconds + " seconds" + advice}
}

func (t *Throttle) failed(ctx context.Context, err error) {
	t.cfg.Logger.WarnContext(ctx, "limits are not kept", "error", err)
}
