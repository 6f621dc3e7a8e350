package limit_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/limit"
)

// broken fails for one key.
type broken struct {
	limit.Limiter
	key string
	err error
}

func (b broken) Take(ctx context.Context, key string, rule limit.Rule, n int64) (limit.Quota, error) {
	if key == b.key {
		return limit.Quota{}, b.err
	}
	if err := ctx.Err(); err != nil {
		return limit.Quota{}, err
	}
	return b.Limiter.Take(ctx, key, rule, n)
}

func TestTakeAllFails(t *testing.T) {
	t.Parallel()
	local, failed := limit.NewLocal(0), errors.New("out of order")
	rule := limit.Rule{Rate: 1e-9, Burst: 10}
	levels := []limit.Level{{Key: "a", Rule: rule}, {Key: "b", Rule: rule}, {Key: "c", Rule: rule}}
	q, err := limit.TakeAll(t.Context(), broken{local, "c", failed}, levels, 3)
	if !errors.Is(err, failed) || q.OK {
		t.Errorf("TakeAll = %+v, %v, want %v", q, err, failed)
	}
	for _, key := range []string{"a", "b"} {
		if q := take(t, local, key, rule, 0); q.Remaining != 10 {
			t.Errorf("after an error %q has %d left, want 10", key, q.Remaining)
		}
	}
}

// ends ends the ctx at a key that refuses.
type ends struct {
	broken
	cancel func()
}

func (e ends) Take(ctx context.Context, key string, rule limit.Rule, n int64) (limit.Quota, error) {
	if key == "c" {
		e.cancel()
		return limit.Quota{Retry: 1}, nil
	}
	return e.broken.Take(ctx, key, rule, n)
}

func TestTakeAllGivesBackAfterTheRequest(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	local := limit.NewLocal(0)
	rule := limit.Rule{Rate: 1e-9, Burst: 10}
	levels := []limit.Level{{Key: "a", Rule: rule}, {Key: "c", Rule: rule}}
	q, err := limit.TakeAll(ctx, ends{broken{Limiter: local}, cancel}, levels, 3)
	if err != nil || q.OK {
		t.Errorf("TakeAll = %+v, %v, want a refusal", q, err)
	}
	if q := take(t, local, "a", rule, 0); q.Remaining != 10 {
		t.Errorf("%d left, want 10", q.Remaining)
	}
}

func TestTakeAllOfNone(t *testing.T) {
	t.Parallel()
	q, err := limit.TakeAll(t.Context(), limit.NewLocal(0), nil, 3)
	if err != nil || !q.OK {
		t.Errorf("TakeAll = %+v, %v, want OK", q, err)
	}
}

func TestRuleTimes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rule limit.Rule
		n    int64
		want limit.Rule
	}{
		{limit.Rule{Rate: 1.5, Burst: 10}, 16, limit.Rule{Rate: 24, Burst: 160}},
		{limit.Rule{Rate: 1.5, Burst: 10}, 0, limit.Rule{}},
		{limit.Rule{}, 16, limit.Rule{}},
		{limit.Rule{Rate: 1, Burst: math.MaxInt64}, 2, limit.Rule{Rate: 2, Burst: math.MaxInt64}},
	} {
		if diff := cmp.Diff(tt.want, tt.rule.Times(tt.n)); diff != "" {
			t.Errorf("%+v times %d (-want +got):\n%s", tt.rule, tt.n, diff)
		}
	}
}

func TestPresets(t *testing.T) {
	t.Parallel()
	want := limit.Preset{
		Anonymous:      limit.Rule{Rate: 1, Burst: 1},
		Named:          limit.Rule{Rate: 10, Burst: 10},
		AnonymousBytes: 500_000_000_000,
		NamedBytes:     5_000_000_000_000,
		Actions: map[policy.Action]limit.Rule{
			"ecr-public:GetAuthorizationToken":       {Rate: 200, Burst: 200},
			"ecr-public:BatchCheckLayerAvailability": {Rate: 200, Burst: 200},
			"ecr-public:InitiateLayerUpload":         {Rate: 10, Burst: 10},
			"ecr-public:CompleteLayerUpload":         {Rate: 10, Burst: 10},
			"ecr-public:UploadLayerPart":             {Rate: 260, Burst: 260},
			"ecr-public:PutImage":                    {Rate: 10, Burst: 10},
		},
	}
	if diff := cmp.Diff(want, limit.ECRPublic()); diff != "" {
		t.Errorf("ECRPublic (-want +got):\n%s", diff)
	}
	// The default has the same rates, and room for who comes for the first time.
	want.Anonymous.Burst, want.Named.Burst = 100, 100
	for action, rule := range want.Actions {
		rule.Burst *= 10
		want.Actions[action] = rule
	}
	if diff := cmp.Diff(want, limit.Default()); diff != "" {
		t.Errorf("Default (-want +got):\n%s", diff)
	}
}
