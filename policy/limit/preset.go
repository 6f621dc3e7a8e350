package limit

import "github.com/esplanade-registry/esplanade/policy"

// Preset is the limits of a public registry.
type Preset struct {
	Anonymous      Rule      // images pulled, per address
	Named          Rule      // images pulled, per account
	AnonymousBytes Allowance // per address
	NamedBytes     Allowance // per account
	// Actions is of calls of the control plane and of pushing, per account. Actions that are
	// not there have no limit.
	Actions map[policy.Action]Rule
}

// ECRPublic returns the figures of ECR Public (Amazon ECR Public user guide, Service quotas;
// for the 5 TB, the announcement of the service). How large bursts may be is not published:
// here they are a second's worth, so that one image is let through at once anonymously.
func ECRPublic() Preset { return preset(1) }

// Default returns the rates of ECR Public, with bursts for clients as they are: the first
// "docker compose up" of a newcomer asks for two manifests or more of each image within a
// second or two, and 15 images need to pass.
func Default() Preset {
	p := preset(10)
	p.Anonymous.Burst = 100
	return p
}

// preset is ECR Public's rates with bursts of that many seconds.
func preset(seconds int64) Preset {
	rule := func(rate int64) Rule { return Rule{float64(rate), rate * seconds} }
	return Preset{
		Anonymous:      rule(1),
		Named:          rule(10),
		AnonymousBytes: 500e9,
		NamedBytes:     5e12,
		Actions: map[policy.Action]Rule{
			policy.GetAuthorizationToken:       rule(200),
			policy.BatchCheckLayerAvailability: rule(200),
			policy.InitiateLayerUpload:         rule(10),
			policy.CompleteLayerUpload:         rule(10),
			policy.UploadLayerPart:             rule(260),
			policy.PutImage:                    rule(10),
		},
	}
}
