package iam_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
)

var _ policy.Documents = (*iam.Evaluator)(nil)

// Identity policies and the repository's policy are combined by account.
func TestDecideAccounts(t *testing.T) {
	t.Parallel()
	const (
		none  = ""
		other = `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`
		alien = `{"Effect":"Allow","Principal":{"AWS":"` + stranger + `"},"Action":"*"}`
	)
	both := allowAll + "," + denyAll
	for reason, tt := range map[string]struct {
		who                  auth.Principal
		identity, repository string // statements
		want                 policy.Effect
	}{
		"nothing is said":                                {alice, none, none, policy.Abstain},
		"her policy is enough in her account":            {alice, allowAll, none, policy.Allow},
		"the repository's is enough in her account":      {alice, none, allowAnyone, policy.Allow},
		"both allow her":                                 {alice, allowAll, allowAnyone, policy.Allow},
		"her policy is about something else":             {alice, other, none, policy.Abstain},
		"the repository's is about somebody else":        {alice, none, alien, policy.Abstain},
		"neither is about this":                          {alice, other, alien, policy.Abstain},
		"her policy denies what the repository's allows": {alice, denyAll, allowAnyone, policy.Deny},
		"the repository's denies what her policy allows": {alice, allowAll, denyAnyone, policy.Deny},
		"both deny":                                         {alice, denyAll, denyAnyone, policy.Deny},
		"her policy denies what nobody allows":              {alice, denyAll, none, policy.Deny},
		"the repository's denies what nobody allows":        {alice, none, denyAnyone, policy.Deny},
		"her policy allows and then denies":                 {alice, both, none, policy.Deny},
		"her policy denies and then allows":                 {alice, denyAll + "," + allowAll, allowAnyone, policy.Deny},
		"the repository's allows and then denies":           {alice, allowAll, allowAnyone + "," + denyAnyone, policy.Deny},
		"the repository's denies and then allows":           {alice, allowAll, denyAnyone + "," + allowAnyone, policy.Deny},
		"nothing is said about a guest":                     {bob, none, none, policy.Abstain},
		"a guest's own policy is not enough":                {bob, allowAll, none, policy.Abstain},
		"a guest's own policy is not enough without theirs": {bob, allowAll, alien, policy.Abstain},
		"the repository's is not enough for a guest":        {bob, none, allowAnyone, policy.Abstain},
		"the repository's is not enough without his":        {bob, other, allowAnyone, policy.Abstain},
		"both allow a guest":                                {bob, allowAll, allowAnyone, policy.Allow},
		"a guest's own policy denies":                       {bob, denyAll, allowAnyone, policy.Deny},
		"a guest's own policy allows and denies":            {bob, both, allowAnyone, policy.Deny},
		"the repository's denies a guest":                   {bob, allowAll, denyAnyone, policy.Deny},
		"the repository's allows a guest and denies":        {bob, allowAll, allowAnyone + "," + denyAnyone, policy.Deny},
		"a role's session as a guest":                       {session, allowAll, allowAnyone, policy.Allow},
		"a role's session without a policy":                 {session, none, allowAnyone, policy.Abstain},
		"the account needs no policy at home":               {root(owner), none, none, policy.Allow},
		"the account is denied by the repository's":         {root(owner), none, denyAnyone, policy.Deny},
		"the account is denied by its own":                  {root(owner), denyAll, allowAnyone, policy.Deny},
		"the account is nobody abroad":                      {root(guest), none, none, policy.Abstain},
		"the account needs only the repository's abroad":    {root(guest), none, allowAnyone, policy.Allow},
		"the account abroad is not the one that is named":   {root(guest), none, alien, policy.Abstain},
		"a user called root with something before it":       {auth.Principal{Account: owner, Name: "user/root"}, none, none, policy.Abstain},
		"a role called root":                                {auth.Principal{Account: owner, Name: "role/root"}, none, none, policy.Abstain},
		"anonymous is never allowed by an identity":         {nobody, allowAll, none, policy.Abstain},
		"anonymous is not anyone":                           {nobody, none, allowAnyone, policy.Abstain},
		"anonymous is allowed nothing by both":              {nobody, allowAll, allowAnyone, policy.Abstain},
		"a name without an account is not the owner":        {auth.Principal{Name: "alice"}, allowAll, none, policy.Abstain},
		"an account that begins like the owner's":           {auth.Principal{Account: owner + "0", Name: "alice"}, allowAll, none, policy.Abstain},
		"an account that ends like the owner's":             {auth.Principal{Account: "0" + owner, Name: auth.Root}, none, none, policy.Abstain},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := &sources{}
			if tt.identity != none {
				s.policies = []string{document(tt.identity)}
			}
			if tt.repository != none {
				s.policy = document(tt.repository)
			}
			expect(t, s, push(tt.who), tt.want)
		})
	}
}

// All policies of a principal count.
func TestDecideManyPolicies(t *testing.T) {
	t.Parallel()
	nothing := document(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)
	for reason, tt := range map[string]struct {
		list []string
		want policy.Effect
	}{
		"the first of them allows":            {[]string{document(allowAll), nothing}, policy.Allow},
		"the last of them allows":             {[]string{nothing, nothing, document(allowAll)}, policy.Allow},
		"the last of them denies":             {[]string{document(allowAll), nothing, document(denyAll)}, policy.Deny},
		"the first of them denies":            {[]string{document(denyAll), document(allowAll)}, policy.Deny},
		"none of them says anything":          {[]string{nothing, nothing}, policy.Abstain},
		"the same one stands there twice":     {[]string{document(allowAll), document(allowAll)}, policy.Allow},
		"an older version next to a newer":    {[]string{oldDocument(allowAll), document(denyAll)}, policy.Deny},
		"a lone statement instead of a list":  {[]string{`{"Statement":` + allowAll + `}`}, policy.Allow},
		"more than is remembered of them":     {append(numbered(300), document(allowAll)), policy.Allow},
		"more than is remembered, and a deny": {append(numbered(300), document(allowAll), document(denyAll)), policy.Deny},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			expect(t, &sources{policies: tt.list}, push(alice), tt.want)
		})
	}
}

// numbered returns different policies that say nothing of registries.
func numbered(n int) []string {
	var list []string
	for i := range n {
		list = append(list, document(fmt.Sprintf(`{"Sid":"S%d","Effect":"Allow","Action":"s3:*","Resource":"*"}`, i)))
	}
	return list
}

func TestDecideWithoutIdentities(t *testing.T) {
	t.Parallel()
	for reason, tt := range map[string]struct {
		who        auth.Principal
		repository string
		want       policy.Effect
	}{
		"a user that no policy names":          {alice, "", policy.Abstain},
		"a user that the repository's names":   {alice, document(allowAnyone), policy.Allow},
		"a user that the repository's denies":  {alice, document(denyAnyone), policy.Deny},
		"the account":                          {root(owner), "", policy.Allow},
		"a guest that the repository's names":  {bob, document(allowAnyone), policy.Abstain},
		"a guest's account":                    {root(guest), document(allowAnyone), policy.Allow},
		"a condition on tags that nobody has":  {alice, document(`{"Effect":"Allow","Principal":"*","Action":"*","Condition":{"StringEquals":{"aws:PrincipalTag/k":"a"}}}`), policy.Abstain},
		"a condition on tags that are missing": {alice, document(`{"Effect":"Allow","Principal":"*","Action":"*","Condition":{"Null":{"aws:PrincipalTag/k":"true"}}}`), policy.Allow},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			got, err := iam.New(nil, &sources{policy: tt.repository}).Evaluate(t.Context(), push(tt.who))
			if err != nil || got.Effect != tt.want {
				t.Errorf("%s, %v; want %s", effectName(got.Effect), err, effectName(tt.want))
			}
		})
	}
}

// What a request is about decides which policies are asked at all.
func TestDecideResources(t *testing.T) {
	t.Parallel()
	const (
		registryOnly   = `{"Effect":"Allow","Action":"*","Resource":"arn:aws:ecr-public::` + owner + `:registry/` + owner + `"}`
		repositoryOnly = `{"Effect":"Allow","Action":"*","Resource":"arn:aws:ecr-public::` + owner + `:repository/*"}`
		notRepository  = `{"Effect":"Allow","Action":"*","NotResource":"arn:aws:ecr-public::` + owner + `:repository/*"}`
	)
	deny, allow, nothing, broken := document(denyAnyone), document(allowAnyone), "", "{"
	nowhere := policy.Resource{}
	registry := policy.Resource{Account: owner}
	public := policy.Resource{Account: owner, Repository: "app", ID: 7, Public: true, HasPolicy: true}
	private := policy.Resource{Account: owner, Repository: "app", ID: 7, HasPolicy: true}
	without := policy.Resource{Account: owner, Repository: "app", ID: 7, Public: true}
	absent := policy.Resource{Account: owner, Repository: "app", Public: true, HasPolicy: true}
	proposed := func(r policy.Resource, text string) policy.Resource {
		r.Proposed = &text
		return r
	}
	for reason, tt := range map[string]struct {
		who                  auth.Principal
		action               policy.Action
		resource             policy.Resource
		identity, repository string // a statement, and a policy
		want                 policy.Effect
	}{
		"a token is about nothing and needs a policy":         {alice, policy.GetAuthorizationToken, nowhere, "", allow, policy.Abstain},
		"a token is given for any resource":                   {alice, policy.GetAuthorizationToken, nowhere, allowAll, nothing, policy.Allow},
		"a token is not given for a repository":               {alice, policy.GetAuthorizationToken, nowhere, repositoryOnly, nothing, policy.Abstain},
		"a token is not given for a registry":                 {alice, policy.GetAuthorizationToken, nowhere, registryOnly, nothing, policy.Abstain},
		"a token is of no repository":                         {alice, policy.GetAuthorizationToken, nowhere, notRepository, nothing, policy.Allow},
		"a token is denied":                                   {alice, policy.GetAuthorizationToken, nowhere, denyAll, nothing, policy.Deny},
		"a token crosses no account":                          {bob, policy.GetAuthorizationToken, nowhere, allowAll, nothing, policy.Allow},
		"a token for the account itself":                      {root(guest), policy.GetAuthorizationToken, nowhere, "", nothing, policy.Allow},
		"a token for nobody":                                  {nobody, policy.GetAuthorizationToken, nowhere, allowAll, nothing, policy.Abstain},
		"a registry has its own name":                         {alice, policy.DescribeRegistries, registry, registryOnly, nothing, policy.Allow},
		"a registry is no repository":                         {alice, policy.DescribeRegistries, registry, repositoryOnly, nothing, policy.Abstain},
		"a registry has no policy of its own":                 {alice, policy.DescribeRegistries, registry, "", deny, policy.Abstain},
		"a registry of another account":                       {bob, policy.DescribeRegistries, registry, allowAll, allow, policy.Abstain},
		"a registry's aliases":                                {alice, policy.SetPrimaryRegistryAlias, registry, registryOnly, nothing, policy.Allow},
		"a repository that is not there yet":                  {alice, policy.CreateRepository, absent, repositoryOnly, deny, policy.Allow},
		"a repository that is not there, of another account":  {bob, policy.CreateRepository, absent, allowAll, allow, policy.Abstain},
		"a repository without a policy is not asked about it": {alice, policy.PutImage, without, repositoryOnly, deny, policy.Allow},
		"a repository whose policy is empty":                  {alice, policy.PutImage, public, repositoryOnly, nothing, policy.Allow},
		"writing to a public repository":                      {alice, policy.PutImage, public, "", nothing, policy.Abstain},
		"reading a public repository over the control plane":  {alice, policy.DescribeImages, public, "", nothing, policy.Abstain},
		"pulling from a public one is nobody's business":      {alice, policy.BatchGetImage, public, denyAll, broken, policy.Abstain},
		"pulling its layers is not, either":                   {alice, policy.GetDownloadURLForLayer, public, denyAll, broken, policy.Abstain},
		"listing its tags is not, either":                     {alice, policy.ListImages, public, denyAll, broken, policy.Abstain},
		"pulling from a public one as a guest":                {bob, policy.BatchGetImage, public, denyAll, broken, policy.Abstain},
		"pulling from a public one as nobody":                 {nobody, policy.BatchGetImage, public, denyAll, broken, policy.Abstain},
		"pulling from one that is not public":                 {alice, policy.BatchGetImage, private, repositoryOnly, nothing, policy.Allow},
		"pulling from one that is not public, unasked":        {alice, policy.BatchGetImage, private, "", nothing, policy.Abstain},
		"pulling from one that is not public, denied":         {alice, policy.BatchGetImage, private, allowAll, deny, policy.Deny},
		"pulling from one that is not public, as a guest":     {bob, policy.BatchGetImage, private, allowAll, allow, policy.Allow},
		"pulling from one that is not there":                  {alice, policy.BatchGetImage, absent, denyAll, nothing, policy.Deny},
		"an action that nobody knows yet":                     {alice, "ecr-public:Future", public, allowAll, nothing, policy.Allow},
		"an action that nobody knows yet, unasked":            {alice, "ecr-public:Future", public, `{"Effect":"Allow","Action":"ecr-public:Put*","Resource":"*"}`, nothing, policy.Abstain},

		"a proposed policy counts instead of a deny":     {alice, policy.PutImage, proposed(public, allow), "", deny, policy.Allow},
		"a proposed policy counts instead of an allow":   {alice, policy.PutImage, proposed(public, deny), allowAll, allow, policy.Deny},
		"a proposed policy that says nothing":            {alice, policy.PutImage, proposed(public, document(`{"Effect":"Deny","Principal":{"AWS":"`+guest+`"},"Action":"*"}`)), "", allow, policy.Abstain},
		"a proposal to have none":                        {alice, policy.PutImage, proposed(public, ""), allowAll, deny, policy.Allow},
		"a proposal to have none, which was what helped": {alice, policy.PutImage, proposed(public, ""), "", allow, policy.Abstain},
		"a proposed policy where there was none":         {alice, policy.PutImage, proposed(without, deny), allowAll, nothing, policy.Deny},
		"a proposed policy of one that is not there":     {alice, policy.PutImage, proposed(absent, deny), allowAll, nothing, policy.Deny},
		"a proposed policy for a guest":                  {bob, policy.SetRepositoryPolicy, proposed(without, allow), allowAll, nothing, policy.Allow},
		"a proposed policy instead of one that is bad":   {alice, policy.PutImage, proposed(public, allow), "", broken, policy.Allow},
		"a proposed policy never stops a public pull":    {alice, policy.BatchGetImage, proposed(public, broken), denyAll, nothing, policy.Abstain},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := &sources{policy: tt.repository}
			if tt.identity != "" {
				s.policies = []string{document(tt.identity)}
			}
			req := push(tt.who)
			req.Action, req.Resource = tt.action, tt.resource
			expect(t, s, req, tt.want)
		})
	}
}

// Nothing is fetched for requests that need no decision.
func TestDecideAsksNobody(t *testing.T) {
	t.Parallel()
	for reason, req := range map[string]*policy.Request{
		"a public pull":            func() *policy.Request { r := push(alice); r.Action = policy.BatchGetImage; return r }(),
		"anonymous":                push(nobody),
		"anonymous, about nothing": {Action: policy.GetAuthorizationToken},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			failure := errors.New("cannot be read")
			s := &sources{policiesErr: failure, tagsErr: failure, policyErr: failure, repositoryTagsErr: failure}
			expect(t, s, req, policy.Abstain)
			if n := s.asked.Load(); n != 0 {
				t.Errorf("the sources were asked %d times", n)
			}
		})
	}
}

// Tags are fetched for a decision once, however often policies name them: the user database
// is asked for every request.
func TestDecideAsksForTagsOnce(t *testing.T) {
	t.Parallel()
	const statement = `{"Effect":"Deny",%s,"Action":"*","Condition":{"StringEquals":{"aws:PrincipalTag/a":"${aws:PrincipalTag/b}","aws:ResourceTag/c":"d"}}}`
	one, two := fmt.Sprintf(statement, `"Resource":"*"`), fmt.Sprintf(statement, `"Principal":"*"`)
	tags := map[string]string{"a": "b", "b": "b"}
	s := &sources{policies: []string{document(one, one, allowAll), document(one)}, policy: document(two, two), tags: tags}
	expect(t, s, push(alice), policy.Allow)
	if n := s.asked.Load(); n != 4 {
		t.Errorf("the sources were asked %d times; want 4: for policies and tags of each", n)
	}
}

// The client's name is as long as the client likes, and the pattern that it is compared with
// the work of whoever may set a policy: no pair of them may keep a server busy. A second is
// much more than any takes that is not compared character by character.
func TestDecideLongUserAgent(t *testing.T) {
	t.Parallel()
	req := push(alice)
	req.UserAgent = strings.Repeat("a", 200_000)
	statement := `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringLike":{"aws:UserAgent":"*` + strings.Repeat("a", 9_900) + `b"}}}`
	start := time.Now()
	if matches(t, &sources{}, req, "2012-10-17", statement) {
		t.Error("a text without a b ends in one")
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("a decision took %s", took)
	}
}

// Whom the Principal of a repository's policy names. Each is asked with a Deny and with an
// Allow, which must agree.
func TestDecidePrincipals(t *testing.T) {
	t.Parallel()
	const (
		aws  = `"Principal":{"AWS":%q}`
		not  = `"NotPrincipal":{"AWS":%q}`
		user = "arn:aws:iam::" + guest + ":user/"
		role = "arn:aws:iam::" + guest + ":role/"
		sts  = "arn:aws:sts::" + guest + ":assumed-role/"
	)
	in := func(name string) auth.Principal { return auth.Principal{Account: guest, Name: name} }
	for reason, tt := range map[string]struct {
		element string
		who     auth.Principal
		want    bool
	}{
		"everybody, as text":                            {`"Principal":"*"`, bob, true},
		"everybody, as an AWS principal":                {`"Principal":{"AWS":"*"}`, bob, true},
		"everybody, in a list":                          {`"Principal":{"AWS":["*"]}`, bob, true},
		"everybody, at home":                            {`"Principal":"*"`, alice, true},
		"an account by its number":                      {fmt.Sprintf(aws, guest), bob, true},
		"an account by its number, its root":            {fmt.Sprintf(aws, guest), root(guest), true},
		"an account by its number, a session":           {fmt.Sprintf(aws, guest), session, true},
		"an account by its number, of another":          {fmt.Sprintf(aws, guest), mallory, false},
		"an account by its root":                        {fmt.Sprintf(aws, "arn:aws:iam::"+guest+":root"), bob, true},
		"an account by its root, a role":                {fmt.Sprintf(aws, "arn:aws:iam::"+guest+":root"), in("role/ci"), true},
		"an account by its root, its root":              {fmt.Sprintf(aws, "arn:aws:iam::"+guest+":root"), root(guest), true},
		"an account by its root, of another":            {fmt.Sprintf(aws, "arn:aws:iam::"+guest+":root"), mallory, false},
		"a user":                                        {fmt.Sprintf(aws, user+"bob"), bob, true},
		"a user, written with the kind":                 {fmt.Sprintf(aws, user+"bob"), in("user/bob"), true},
		"a user, and another of the account":            {fmt.Sprintf(aws, user+"bob"), carol, false},
		"a user, whose case is another":                 {fmt.Sprintf(aws, user+"Bob"), bob, false},
		"a user, whose name is longer":                  {fmt.Sprintf(aws, user+"bob"), in("bobby"), false},
		"a user, of the same name in another account":   {fmt.Sprintf(aws, user+"bob"), auth.Principal{Account: stranger, Name: "bob"}, false},
		"a user, of the same name as a role":            {fmt.Sprintf(aws, user+"bob"), in("role/bob"), false},
		"a user, and not the root":                      {fmt.Sprintf(aws, user+"bob"), root(guest), false},
		"a user in a path":                              {fmt.Sprintf(aws, user+"team/a/bob"), in("user/team/a/bob"), true},
		"a user in a path, written without the kind":    {fmt.Sprintf(aws, user+"team/bob"), in("team/bob"), true},
		"a user in another path":                        {fmt.Sprintf(aws, user+"team/bob"), bob, false},
		"a user in the middle of a list":                {`"Principal":{"AWS":["` + stranger + `","` + user + `bob","` + user + `carol"]}`, bob, true},
		"a user who is in no place of a list":           {`"Principal":{"AWS":["` + stranger + `","` + user + `carol"]}`, bob, false},
		"a role":                                        {fmt.Sprintf(aws, role+"ci"), in("role/ci"), true},
		"a role, by a session of it":                    {fmt.Sprintf(aws, role+"ci"), session, true},
		"a role, by a session of another":               {fmt.Sprintf(aws, role+"cd"), session, false},
		"a role, by a session of one that begins alike": {fmt.Sprintf(aws, role+"ci"), in("assumed-role/ci-2/build"), false},
		"a role, by a session in another account":       {fmt.Sprintf(aws, role+"ci"), auth.Principal{Account: stranger, Name: "assumed-role/ci/build-7"}, false},
		"a role, and a user of the same name":           {fmt.Sprintf(aws, role+"bob"), bob, false},
		"a session":                                     {fmt.Sprintf(aws, sts+"ci/build-7"), session, true},
		"a session, and another of the role":            {fmt.Sprintf(aws, sts+"ci/build-7"), in("assumed-role/ci/build-8"), false},
		"a session, and the role":                       {fmt.Sprintf(aws, sts+"ci/build-7"), in("role/ci"), false},
		"a service is nobody here":                      {`"Principal":{"Service":"codebuild.amazonaws.com"}`, bob, false},
		"a service next to somebody":                    {`"Principal":{"Service":"codebuild.amazonaws.com","AWS":"` + guest + `"}`, bob, true},
		"a federated user is nobody here":               {`"Principal":{"Federated":"accounts.google.com"}`, bob, false},
		"a canonical user is nobody here":               {`"Principal":{"CanonicalUser":"79a59df900b949e55d96a1e698fbaced"}`, bob, false},
		"a star of another kind is nobody here":         {`"Principal":{"Service":"*"}`, bob, false},

		"not everybody":                       {`"NotPrincipal":"*"`, bob, false},
		"not this user":                       {fmt.Sprintf(not, user+"bob"), bob, false},
		"not this user, but another":          {fmt.Sprintf(not, user+"bob"), carol, true},
		"not this user, but somebody abroad":  {fmt.Sprintf(not, user+"bob"), mallory, true},
		"not this account":                    {fmt.Sprintf(not, guest), carol, false},
		"not this account, but another":       {fmt.Sprintf(not, guest), mallory, true},
		"not this account, but the owner":     {fmt.Sprintf(not, guest), alice, true},
		"not this role":                       {fmt.Sprintf(not, role+"ci"), session, false},
		"not this role, but another":          {fmt.Sprintf(not, role+"cd"), session, true},
		"not these two users":                 {`"NotPrincipal":{"AWS":["` + user + `bob","` + user + `carol"]}`, carol, false},
		"not a service, which is nobody here": {`"NotPrincipal":{"Service":"codebuild.amazonaws.com"}`, bob, true},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			statement := `,` + tt.element + `,"Action":"ecr-public:PutImage"}`
			s := &sources{policies: []string{document(allowAll)}, policy: document(allowAnyone, `{"Effect":"Deny"`+statement)}
			effect := policy.Allow
			if tt.want {
				effect = policy.Deny
			}
			expect(t, s, push(tt.who), effect)

			// at home the repository's policy must do without hers, abroad with it
			s = &sources{policy: document(`{"Effect":"Allow"` + statement)}
			if tt.who.Account != owner {
				s.policies = []string{document(allowAll)}
			}
			effect = policy.Abstain
			if tt.want {
				effect = policy.Allow
			}
			expect(t, s, push(tt.who), effect)
		})
	}
}

// AWS's reference tells authors of a Deny with NotPrincipal to name the account of whom it
// spares as well, because AWS may ask about the account first. It denies all others of that
// account nevertheless (reference_policies_elements_notprincipal, both examples).
func TestDecideNotPrincipalWithItsAccount(t *testing.T) {
	t.Parallel()
	const (
		user = `{"Effect":"Deny","NotPrincipal":{"AWS":["arn:aws:iam::` + guest + `:user/bob","arn:aws:iam::` + guest + `:root"]},"Action":"*"}`
		role = `{"Effect":"Deny","NotPrincipal":{"AWS":["arn:aws:sts::` + guest + `:assumed-role/ci/build-7",` +
			`"arn:aws:iam::` + guest + `:role/ci","arn:aws:iam::` + guest + `:root"]},"Action":"*"}`
	)
	for reason, tt := range map[string]struct {
		statement string
		who       auth.Principal
		want      policy.Effect
	}{
		"the user is spared":                      {user, bob, policy.Allow},
		"the root of his account is spared":       {user, root(guest), policy.Allow},
		"another user of his account is denied":   {user, carol, policy.Deny},
		"a role of his account is denied":         {user, session, policy.Deny},
		"a user of another account is denied":     {user, mallory, policy.Deny},
		"the session is spared":                   {role, session, policy.Allow},
		"another session of the role is denied":   {role, auth.Principal{Account: guest, Name: "assumed-role/ci/build-8"}, policy.Deny},
		"a session of another role is denied":     {role, auth.Principal{Account: guest, Name: "assumed-role/cd/build-7"}, policy.Deny},
		"a user of the session's account, too":    {role, bob, policy.Deny},
		"a user of the owner's account is denied": {role, alice, policy.Deny},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := &sources{policies: []string{document(allowAll)}, policy: document(allowAnyone, tt.statement)}
			expect(t, s, push(tt.who), tt.want)
		})
	}
}

// A name that ends like the ARN of an account does not make a user the whole account. Names
// have no colon in IAM, so such a policy may also be refused.
func TestDecideUserThatEndsInRoot(t *testing.T) {
	t.Parallel()
	for _, arn := range []string{
		"arn:aws:iam::" + guest + ":user/a:root",
		"arn:aws:iam::" + guest + ":role/a:root",
		"arn:aws:sts::" + guest + ":assumed-role/ci/a:root",
	} {
		s := &sources{policies: []string{document(allowAll)}, policy: document(`{"Effect":"Allow","Principal":{"AWS":"` + arn + `"},"Action":"*"}`)}
		if got, err := evaluate(t, s, push(bob)); got.Effect == policy.Allow {
			t.Errorf("%s names bob: %q, %v", arn, got.Reason, err)
		}
	}
}

func TestDecideActions(t *testing.T) {
	t.Parallel()
	for reason, tt := range map[string]struct {
		element string
		action  policy.Action
		want    bool
	}{
		"all actions":                               {`"Action":"*"`, policy.PutImage, true},
		"all actions of the service":                {`"Action":"ecr-public:*"`, policy.PutImage, true},
		"all actions of another service":            {`"Action":"ecr:*"`, policy.PutImage, false},
		"one action":                                {`"Action":"ecr-public:PutImage"`, policy.PutImage, true},
		"one action in another case":                {`"Action":"ECR-Public:putIMAGE"`, policy.PutImage, true},
		"one action of another service":             {`"Action":"ecr:PutImage"`, policy.PutImage, false},
		"one action that begins like it":            {`"Action":"ecr-public:PutImage"`, "ecr-public:PutImageTag", false},
		"one action that it begins like":            {`"Action":"ecr-public:PutImageTag"`, policy.PutImage, false},
		"a star at the end":                         {`"Action":"ecr-public:Put*"`, policy.PutImage, true},
		"a star at the end, in another case":        {`"Action":"ecr-public:put*"`, policy.PutImage, true},
		"a star for nothing":                        {`"Action":"ecr-public:PutImage*"`, policy.PutImage, true},
		"a star at the start":                       {`"Action":"ecr-public:*Image"`, policy.PutImage, true},
		"a star in the middle":                      {`"Action":"ecr-public:Describe*Tags"`, policy.DescribeImageTags, true},
		"a star in the middle, with another end":    {`"Action":"ecr-public:Describe*Tags"`, policy.DescribeImages, false},
		"two stars that need to be tried again":     {`"Action":"ecr-public:*e*tags"`, policy.DescribeImageTags, true},
		"a question mark for one":                   {`"Action":"ecr-public:?utImage"`, policy.PutImage, true},
		"a question mark for nothing":               {`"Action":"ecr-public:PutImage?"`, policy.PutImage, false},
		"a question mark for two":                   {`"Action":"ecr-public:?tImage"`, policy.PutImage, false},
		"the last of a list":                        {`"Action":["s3:*","ecr-public:TagResource","ecr-public:PutImage"]`, policy.PutImage, true},
		"none of a list":                            {`"Action":["s3:*","ecr-public:TagResource"]`, policy.PutImage, false},
		"an action that ECR Public does not have":   {`"Action":"ecr-public:PutRegistryPolicy"`, policy.PutImage, false},
		"an action that nobody knows yet":           {`"Action":"ecr-public:future"`, "ecr-public:Future", true},
		"a token":                                   {`"Action":"ecr-public:GetAuthorizationToken"`, policy.GetAuthorizationToken, true},
		"not this action":                           {`"NotAction":"ecr-public:PutImage"`, policy.PutImage, false},
		"not this action, in another case":          {`"NotAction":"ecr-public:PUTimage"`, policy.PutImage, false},
		"not this action, but another":              {`"NotAction":"ecr-public:DeleteRepository"`, policy.PutImage, true},
		"not all actions":                           {`"NotAction":"*"`, policy.PutImage, false},
		"not those that a star stands for":          {`"NotAction":"ecr-public:Put*"`, policy.PutImage, false},
		"not those of another service":              {`"NotAction":"s3:*"`, policy.PutImage, true},
		"not those of a list":                       {`"NotAction":["s3:*","ecr-public:Put*"]`, policy.PutImage, false},
		"not those of a list, but another":          {`"NotAction":["s3:*","ecr-public:Put*"]`, policy.TagResource, true},
		"not this action, but one nobody knows yet": {`"NotAction":"ecr-public:PutImage"`, "ecr-public:Future", true},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			req := push(alice)
			req.Action = tt.action
			for _, effect := range []string{"Allow", "Deny"} {
				statement := `{"Effect":"` + effect + `",` + tt.element
				if got := matches(t, &sources{}, req, "2012-10-17", statement+`,"Resource":"*"}`); got != tt.want {
					t.Errorf("%s of an identity: %v, want %v", effect, got, tt.want)
				}
				s := &sources{policy: document(statement + `,"Principal":"*"}`)}
				decided := policy.Allow
				if effect == "Deny" {
					decided = policy.Deny
				}
				if got, err := evaluate(t, s, req); (got.Effect == decided) != tt.want || err != nil {
					t.Errorf("%s of a repository: %s, %v; want %v", effect, effectName(got.Effect), err, tt.want)
				}
			}
		})
	}
}

// The reason names the policy and the statement that decided: the host's log and the client
// must be able to find it.
func TestDecideReason(t *testing.T) {
	t.Parallel()
	const (
		named   = `{"Sid":"LetThemPush","Effect":"Allow","Action":"*","Resource":"*"}`
		refused = `{"Sid":"NotToday","Effect":"Deny","Action":"*","Resource":"*"}`
		welcome = `{"Sid":"Open House","Effect":"Allow","Principal":"*","Action":"*"}`
		closed  = `{"Sid":"Closed","Effect":"Deny","Principal":"*","Action":"*"}`
		aside   = `{"Sid":"Aside","Effect":"Allow","Action":"s3:*","Resource":"*"}`
	)
	for reason, tt := range map[string]struct {
		who        auth.Principal
		identity   []string
		repository string
		want       policy.Effect
		parts      []string
	}{
		"an allow of an identity, by its name":           {alice, []string{document(aside, named)}, "", policy.Allow, []string{`"LetThemPush"`, "identity-based policy 1"}},
		"an allow of an identity, by its place":          {alice, []string{document(aside, allowAll)}, "", policy.Allow, []string{"statement 2", "identity-based policy 1"}},
		"an allow of the second policy":                  {alice, []string{document(aside), document(named)}, "", policy.Allow, []string{`"LetThemPush"`, "identity-based policy 2"}},
		"a deny of an identity":                          {alice, []string{document(allowAll), document(aside, refused)}, "", policy.Deny, []string{`"NotToday"`, "explicit deny", "identity-based policy 2"}},
		"a deny of an identity, by its place":            {alice, []string{document(allowAll, denyAll)}, "", policy.Deny, []string{"statement 2", "explicit deny", "identity-based policy 1"}},
		"an allow of a repository":                       {alice, nil, document(welcome), policy.Allow, []string{`"Open House"`, "resource-based policy"}},
		"a deny of a repository":                         {alice, []string{document(named)}, document(welcome, closed), policy.Deny, []string{`"Closed"`, "explicit deny", "resource-based policy"}},
		"an allow of both":                               {bob, []string{document(named)}, document(welcome), policy.Allow, []string{`"LetThemPush"`, `"Open House"`}},
		"the first statement that denies":                {alice, []string{document(refused, denyAll)}, "", policy.Deny, []string{`"NotToday"`}},
		"no policy at home":                              {alice, nil, "", policy.Abstain, []string{"no identity-based policy", "ecr-public:PutImage"}},
		"no policy of the repository for a guest":        {bob, []string{document(named)}, "", policy.Abstain, []string{"no resource-based policy", "ecr-public:PutImage"}},
		"no policy of the guest, who is let in by ours":  {bob, nil, document(welcome), policy.Abstain, []string{"no identity-based policy", "ecr-public:PutImage"}},
		"a statement whose name is empty, by its place":  {alice, []string{document(`{"Sid":"","Effect":"Allow","Action":"*","Resource":"*"}`)}, "", policy.Allow, []string{"statement 1"}},
		"a statement whose name has quotes, by its name": {alice, nil, document(`{"Sid":"a \"b\"","Effect":"Allow","Principal":"*","Action":"*"}`), policy.Allow, []string{`"a \"b\""`}},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			got, err := evaluate(t, &sources{policies: tt.identity, policy: tt.repository}, push(tt.who))
			if got.Effect != tt.want || err != nil {
				t.Errorf("%s, %v; want %s", effectName(got.Effect), err, effectName(tt.want))
			}
			for _, part := range tt.parts {
				if !strings.Contains(got.Reason, part) {
					t.Errorf("the reason %q does not say %s", got.Reason, part)
				}
			}
		})
	}
}

// An error is never an Allow, wherever it comes from, and does not get lost.
func TestDecideErrors(t *testing.T) {
	t.Parallel()
	failure := errors.New("the database is away")
	const (
		tagged     = `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/k":"a"}}}`
		untagged   = `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/k":"a"}}}`
		labelled   = `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/k":"a"}}}`
		variable   = `{"Effect":"Allow","Action":"*","Resource":"arn:aws:ecr-public::*:repository/${aws:PrincipalTag/k}"}`
		fallback   = `{"Effect":"Allow","Action":"*","Resource":"arn:aws:ecr-public::*:repository/${aws:PrincipalTag/k, 'app'}"}`
		absent     = `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Null":{"aws:PrincipalTag/k":"true"}}}`
		theirs     = `{"Effect":"Allow","Principal":"*","Action":"*","Condition":{"StringEquals":{"aws:PrincipalTag/k":"a"}}}`
		ours       = `{"Effect":"Deny","Principal":"*","Action":"*","Condition":{"StringEquals":{"ecr-public:ResourceTag/k":"a"}}}`
		unreadable = `{"Statement":[]}`
	)
	broken := iam.ErrPolicy
	for reason, tt := range map[string]struct {
		who    auth.Principal
		s      *sources
		change func(*policy.Request)
		is     error
	}{
		"identity policies cannot be read":                      {alice, &sources{policiesErr: failure, policy: document(allowAnyone)}, nil, failure},
		"identity policies cannot be read, of a root":           {root(owner), &sources{policiesErr: failure}, nil, failure},
		"identity policies come with an error":                  {alice, &sources{policies: []string{document(allowAll)}, policiesErr: failure}, nil, failure},
		"the repository's policy cannot be read":                {alice, &sources{policies: []string{document(allowAll)}, policyErr: failure}, nil, failure},
		"the repository's policy cannot be read, of a root":     {root(owner), &sources{policyErr: failure}, nil, failure},
		"the repository's policy comes with an error":           {alice, &sources{policy: document(allowAnyone), policyErr: failure}, nil, failure},
		"tags cannot be read for a condition":                   {alice, &sources{policies: []string{document(tagged)}, tagsErr: failure}, nil, failure},
		"tags cannot be read, and would match":                  {alice, &sources{policies: []string{document(tagged)}, tags: map[string]string{"k": "a"}, tagsErr: failure}, nil, failure},
		"tags cannot be read for a condition that denies":       {alice, &sources{policies: []string{document(untagged, allowAll)}, tagsErr: failure}, nil, failure},
		"tags cannot be read, and a later statement allows":     {alice, &sources{policies: []string{document(tagged, allowAll)}, tagsErr: failure}, nil, failure},
		"tags cannot be read, and a later policy allows":        {alice, &sources{policies: []string{document(tagged), document(allowAll)}, tagsErr: failure}, nil, failure},
		"tags cannot be read, and the repository's allows":      {alice, &sources{policies: []string{document(tagged)}, policy: document(allowAnyone), tagsErr: failure}, nil, failure},
		"tags cannot be read for a variable":                    {alice, &sources{policies: []string{document(variable)}, tagsErr: failure}, nil, failure},
		"tags cannot be read, which is no missing value":        {alice, &sources{policies: []string{document(fallback)}, tagsErr: failure}, nil, failure},
		"tags cannot be read, which is no missing key":          {alice, &sources{policies: []string{document(absent)}, tagsErr: failure}, nil, failure},
		"tags cannot be read, of a root":                        {root(owner), &sources{policies: []string{document(untagged)}, tagsErr: failure}, nil, failure},
		"tags cannot be read for the repository's policy":       {alice, &sources{policies: []string{document(allowAll)}, policy: document(theirs), tagsErr: failure}, nil, failure},
		"the repository's tags cannot be read":                  {alice, &sources{policies: []string{document(labelled)}, repositoryTagsErr: failure}, nil, failure},
		"the repository's tags cannot be read for its policy":   {alice, &sources{policies: []string{document(allowAll)}, policy: document(ours), repositoryTagsErr: failure}, nil, failure},
		"the repository's tags cannot be read, for a guest":     {bob, &sources{policies: []string{document(allowAll)}, policy: document(ours, allowAnyone), repositoryTagsErr: failure}, nil, failure},
		"an identity policy does not parse":                     {alice, &sources{policies: []string{"{"}, policy: document(allowAnyone)}, nil, broken},
		"an identity policy has no statement":                   {alice, &sources{policies: []string{unreadable}, policy: document(allowAnyone)}, nil, broken},
		"an identity policy is empty":                           {alice, &sources{policies: []string{""}, policy: document(allowAnyone)}, nil, broken},
		"a later identity policy does not parse":                {alice, &sources{policies: []string{document(allowAll), "{"}}, nil, broken},
		"an identity policy of a root does not parse":           {root(owner), &sources{policies: []string{"{"}}, nil, broken},
		"an identity policy is one for repositories":            {alice, &sources{policies: []string{document(allowAnyone)}}, nil, broken},
		"the repository's policy does not parse":                {alice, &sources{policies: []string{document(allowAll)}, policy: "{"}, nil, broken},
		"the repository's policy does not parse, of a root":     {root(owner), &sources{policy: "{"}, nil, broken},
		"the repository's policy is one for identities":         {alice, &sources{policies: []string{document(allowAll)}, policy: document(allowAll)}, nil, broken},
		"the repository's policy is no text":                    {alice, &sources{policies: []string{document(allowAll)}, policy: "\xff"}, nil, broken},
		"a proposed policy does not parse":                      {alice, &sources{policies: []string{document(allowAll)}}, func(r *policy.Request) { r.Resource.Proposed = new("{") }, broken},
		"a proposed policy is only blank":                       {alice, &sources{policies: []string{document(allowAll)}}, func(r *policy.Request) { r.Resource.Proposed = new(" ") }, broken},
		"a private pull where nothing can be read":              {alice, &sources{policiesErr: failure}, func(r *policy.Request) { r.Action = policy.BatchGetImage; r.Resource.Public = false }, failure},
		"a token where nothing can be read":                     {alice, &sources{policiesErr: failure}, func(r *policy.Request) { *r = policy.Request{Principal: alice, Action: policy.GetAuthorizationToken} }, failure},
		"a guest whose own policies cannot be read":             {bob, &sources{policiesErr: failure, policy: document(allowAnyone)}, nil, failure},
		"a guest where the repository's policy cannot be read":  {bob, &sources{policies: []string{document(allowAll)}, policyErr: failure}, nil, failure},
		"a policy that denies without asking for the tags":      {alice, &sources{policies: []string{document(denyAll, untagged)}, tagsErr: failure}, nil, nil},
		"tags that cannot be read are not asked for":            {alice, &sources{policies: []string{document(allowAll, tagged)}, tagsErr: failure}, nil, nil},
		"tags that cannot be read, of an action that is not so": {alice, &sources{policies: []string{document(strings.Replace(tagged, `"*"`, `"s3:*"`, 1), allowAll)}, tagsErr: failure}, nil, nil},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			req := push(tt.who)
			if tt.change != nil {
				tt.change(req)
			}
			got, err := evaluate(t, tt.s, req)
			if !errors.Is(err, tt.is) || (err == nil) != (tt.is == nil) {
				t.Errorf("%s, %q, %v; want the error %v", effectName(got.Effect), got.Reason, err, tt.is)
			}
		})
	}
}

// The error of a stored policy says which policy it was, and is the parser's.
func TestDecideErrorNamesThePolicy(t *testing.T) {
	t.Parallel()
	bad := `{"Sid":"S1","Effect":"Permit","Action":"*","Resource":"*"}`
	s := &sources{policies: []string{document(allowAll), document(allowAll, bad)}}
	_, err := evaluate(t, s, push(alice))
	parsed, ok := errors.AsType[*iam.Error](err)
	if !ok || !strings.Contains(err.Error(), "identity-based policy 2") {
		t.Fatalf("%v is no *iam.Error that names the policy", err)
	}
	if diff := cmp.Diff(place{2, "S1", "Effect"}, placeOf(parsed)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	_, err = evaluate(t, &sources{policy: "{"}, push(alice))
	if err == nil || !strings.Contains(err.Error(), "resource-based policy") {
		t.Errorf("%v does not name the policy", err)
	}
}

// What the sources answer holds at once, though parsed policies are remembered.
func TestDecideHoldsAtOnce(t *testing.T) {
	t.Parallel()
	s := &sources{}
	e := iam.New(s, s)
	for i, tt := range []struct {
		identity, repository string
		want                 policy.Effect
	}{
		{document(allowAll), "", policy.Allow},
		{document(denyAll), "", policy.Deny},
		{document(allowAll), document(denyAnyone), policy.Deny},
		{document(allowAll), "", policy.Allow},
		{document(allowAll), "{", policy.Abstain},
		{document(allowAll), "", policy.Allow},
	} {
		s.policies, s.policy = []string{tt.identity}, tt.repository
		got, err := e.Evaluate(t.Context(), push(alice))
		if got.Effect != tt.want || (err == nil) == (tt.repository == "{") {
			t.Errorf("%d: %s, %v; want %s", i, effectName(got.Effect), err, effectName(tt.want))
		}
	}
}

// A text that is an identity policy is not one for a repository because it was parsed
// before.
func TestDecideKindsAreApart(t *testing.T) {
	t.Parallel()
	text := document(allowAll)
	s := &sources{policies: []string{text}}
	e := iam.New(s, s)
	if got, err := e.Evaluate(t.Context(), push(alice)); got.Effect != policy.Allow || err != nil {
		t.Fatalf("%s, %v", effectName(got.Effect), err)
	}
	s.policy = text
	if got, err := e.Evaluate(t.Context(), push(alice)); got.Effect == policy.Allow || err == nil {
		t.Errorf("the repository has an identity's policy: %s, %v", effectName(got.Effect), err)
	}
}

func TestDecideConcurrently(t *testing.T) {
	t.Parallel()
	s := &sources{policies: append(numbered(260), document(allowAll)), policy: document(allowAnyone)}
	e := iam.New(s, s)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 4 {
				if got, err := e.Evaluate(t.Context(), push(bob)); got.Effect != policy.Allow || err != nil {
					t.Errorf("%s, %v", effectName(got.Effect), err)
				}
			}
		})
	}
	group.Wait()
}

// CheckRepositoryPolicy says the same as Parse.
func TestCheckRepositoryPolicy(t *testing.T) {
	t.Parallel()
	e := iam.New(nil, &sources{})
	for _, text := range []string{"", " ", "{}", "null", document(allowAnyone), document(allowAll), document(denyAnyone), document(`{}`)} {
		_, want := iam.Parse(iam.Repository, text)
		if got := e.CheckRepositoryPolicy(text); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %v, Parse says %v", text, got, want)
		}
	}
	if err := e.CheckRepositoryPolicy(""); !errors.Is(err, iam.ErrPolicy) {
		t.Errorf("the empty text: %v", err)
	}
}
