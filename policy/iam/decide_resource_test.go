package iam_test

import (
	"testing"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
)

// The resources of statements, without variables.
func TestDecideResourcePatterns(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:ecr-public::" + owner + ":"
	registry := policy.Resource{Account: owner}
	nowhere := policy.Resource{}
	repository := func(name string) policy.Resource {
		return policy.Resource{Account: owner, Repository: name, ID: 7}
	}
	app := repository("app")
	for reason, tt := range map[string]struct {
		element  string
		resource policy.Resource
		want     bool
	}{
		"everything, of a repository":                   {`"Resource":"*"`, app, true},
		"everything, of a registry":                     {`"Resource":"*"`, registry, true},
		"everything, of nothing in particular":          {`"Resource":"*"`, nowhere, true},
		"a repository":                                  {`"Resource":"` + arn + `repository/app"`, app, true},
		"a repository, and another":                     {`"Resource":"` + arn + `repository/app"`, repository("apple"), false},
		"a repository, and one below":                   {`"Resource":"` + arn + `repository/app"`, repository("app/web"), false},
		"a repository in another case":                  {`"Resource":"` + arn + `repository/App"`, app, false},
		"a repository of another account":               {`"Resource":"arn:aws:ecr-public::` + guest + `:repository/app"`, app, false},
		"a repository of private ECR":                   {`"Resource":"arn:aws:ecr::` + owner + `:repository/app"`, app, false},
		"a repository with a region, which none has":    {`"Resource":"arn:aws:ecr-public:us-east-1:` + owner + `:repository/app"`, app, false},
		"a repository with any region":                  {`"Resource":"arn:aws:ecr-public:*:` + owner + `:repository/app"`, app, true},
		"a repository of any account":                   {`"Resource":"arn:aws:ecr-public::*:repository/app"`, app, true},
		"a repository of another partition":             {`"Resource":"arn:aws-cn:ecr-public::` + owner + `:repository/app"`, app, false},
		"all repositories":                              {`"Resource":"` + arn + `repository/*"`, repository("team/a/web"), true},
		"all repositories, and the registry":            {`"Resource":"` + arn + `repository/*"`, registry, false},
		"all repositories, and nothing in particular":   {`"Resource":"` + arn + `repository/*"`, nowhere, false},
		"all that an account has, a repository":         {`"Resource":"` + arn + `*"`, app, true},
		"all that an account has, its registry":         {`"Resource":"` + arn + `*"`, registry, true},
		"a prefix of repositories":                      {`"Resource":"` + arn + `repository/team/*"`, repository("team/a/web"), true},
		"a prefix of repositories, without its slash":   {`"Resource":"` + arn + `repository/team/*"`, repository("team"), false},
		"a suffix of repositories":                      {`"Resource":"` + arn + `repository/*-web"`, repository("team/shop-web"), true},
		"a star that must be tried again":               {`"Resource":"` + arn + `repository/*/web"`, repository("a/web/b/web"), true},
		"a question mark":                               {`"Resource":"` + arn + `repository/a?p"`, app, true},
		"a question mark for nothing":                   {`"Resource":"` + arn + `repository/app?"`, app, false},
		"a registry":                                    {`"Resource":"` + arn + `registry/` + owner + `"`, registry, true},
		"a registry, of another account":                {`"Resource":"` + arn + `registry/` + guest + `"`, registry, false},
		"the last of a list":                            {`"Resource":["arn:aws:s3:::a","` + arn + `repository/x","` + arn + `repository/app"]`, app, true},
		"none of a list":                                {`"Resource":["arn:aws:s3:::a","` + arn + `repository/x"]`, app, false},
		"not everything":                                {`"NotResource":"*"`, app, false},
		"not this repository":                           {`"NotResource":"` + arn + `repository/app"`, app, false},
		"not this repository, but another":              {`"NotResource":"` + arn + `repository/app"`, repository("web"), true},
		"not this repository, but the registry":         {`"NotResource":"` + arn + `repository/app"`, registry, true},
		"not this repository, but nothing":              {`"NotResource":"` + arn + `repository/app"`, nowhere, true},
		"not those of a prefix":                         {`"NotResource":"` + arn + `repository/team/*"`, repository("team/a"), false},
		"not those of a list, the last of it":           {`"NotResource":["` + arn + `repository/x","` + arn + `repository/a*"]`, app, false},
		"not those of a list, but another":              {`"NotResource":["` + arn + `repository/x","` + arn + `repository/y"]`, app, true},
		"not the one of another account":                {`"NotResource":"arn:aws:ecr-public::` + guest + `:repository/app"`, app, true},
		"the star of an account goes beyond its colon":  {`"Resource":"arn:aws:ecr-public::*:*/app"`, app, true},
		"a pattern that begins like it and has no star": {`"Resource":"` + arn + `repository/"`, app, false},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			req := push(alice)
			req.Resource = tt.resource
			for _, effect := range []string{"Allow", "Deny"} {
				for _, version := range []string{"2012-10-17", "2008-10-17"} {
					statement := `{"Effect":"` + effect + `","Action":"*",` + tt.element + `}`
					if got := matches(t, &sources{}, req, version, statement); got != tt.want {
						t.Errorf("%s of version %s: %v, want %v", effect, version, got, tt.want)
					}
				}
			}
		})
	}
}

// Variables in resources and conditions (reference_policies_variables). Each is asked about
// with an Allow and with a Deny, which agree but where a negated comparison has a variable
// without a value.
func TestDecideVariables(t *testing.T) {
	t.Parallel()
	const (
		repository = "arn:aws:ecr-public::" + owner + ":repository/"
		only       = `"Resource":"` + repository
		not        = `"NotResource":"` + repository
		on         = `"Resource":"*","Condition":`
	)
	type tag = map[string]string
	team := func(value string) tag { return tag{"team": value} }
	build := auth.Principal{Account: owner, Name: "assumed-role/ci/build-7"}
	for reason, tt := range map[string]struct {
		who         auth.Principal
		tags        tag
		element     string
		allow, deny bool
	}{
		"the user's name":                             {alice, nil, only + `app${aws:username}"`, false, false},
		"the user's name, whose repository it is":     {auth.Principal{Account: owner, Name: "app"}, nil, only + `${aws:username}"`, true, true},
		"the user's name between other text":          {auth.Principal{Account: owner, Name: "p"}, nil, only + `a${aws:username}p"`, true, true},
		"the user's name, twice":                      {auth.Principal{Account: owner, Name: "p"}, nil, only + `a${aws:username}${aws:username}"`, true, true},
		"the user's name next to a star":              {auth.Principal{Account: owner, Name: "a"}, nil, only + `${aws:username}*"`, true, true},
		"the name of a key knows no case":             {auth.Principal{Account: owner, Name: "app"}, nil, only + `${AWS:userName}"`, true, true},
		"a tag":                                       {alice, team("app"), only + `${aws:PrincipalTag/team}"`, true, true},
		"a tag, in another case":                      {alice, team("app"), only + `${aws:principaltag/TEAM}"`, true, true},
		"a tag with a star is no pattern":             {alice, team("a*"), only + `${aws:PrincipalTag/team}"`, false, false},
		"a tag that is a star is no pattern":          {alice, team("*"), only + `${aws:PrincipalTag/team}"`, false, false},
		"a tag with a question mark is no pattern":    {alice, team("a?p"), only + `${aws:PrincipalTag/team}"`, false, false},
		"a tag with a variable is no variable":        {alice, tag{"team": "${aws:PrincipalTag/name}", "name": "app"}, only + `${aws:PrincipalTag/team}"`, false, false},
		"a tag with a star, next to one":              {alice, team("?"), only + `*${aws:PrincipalTag/team}"`, false, false},
		"an empty tag is the empty text":              {alice, team(""), only + `app${aws:PrincipalTag/team}"`, true, true},
		"a default":                                   {alice, nil, only + `${aws:PrincipalTag/team, 'app'}"`, true, true},
		"a default without a space":                   {alice, nil, only + `${aws:PrincipalTag/team,'app'}"`, true, true},
		"a default that is not needed":                {alice, team("web"), only + `${aws:PrincipalTag/team, 'app'}"`, false, false},
		"a default in place of what is there":         {alice, team("app"), only + `${aws:PrincipalTag/team, 'web'}"`, true, true},
		"a default that is a star is no pattern":      {alice, nil, only + `${aws:PrincipalTag/team, '*'}"`, false, false},
		"a default that has a comma":                  {alice, team("a, b"), on + `{"StringEquals":{"aws:PrincipalTag/team":"${aws:PrincipalTag/none, 'a, b'}"}}`, true, true},
		"an empty default":                            {alice, nil, only + `app${aws:PrincipalTag/team, ''}"`, true, true},
		"a default for a role, which has no name":     {build, nil, only + `${aws:username, 'app'}"`, true, true},
		"a key that nobody has, with a default":       {alice, nil, only + `${aws:SourceVpce, 'app'}"`, true, true},
		"a star as itself":                            {alice, nil, only + `${*}"`, false, false},
		"a question mark as itself":                   {alice, nil, only + `a${?}p"`, false, false},
		"a star as itself in a text with one":         {alice, team("a*b"), on + `{"StringLike":{"aws:PrincipalTag/team":"a${*}?"}}`, true, true},
		"a star as itself in a text without":          {alice, team("axb"), on + `{"StringLike":{"aws:PrincipalTag/team":"a${*}?"}}`, false, false},
		"a question mark as itself in a text":         {alice, team("a?"), on + `{"StringLike":{"aws:PrincipalTag/team":"a${?}"}}`, true, true},
		"a dollar sign as itself in a text":           {alice, team("${a}"), on + `{"StringEquals":{"aws:PrincipalTag/team":"${$}{a}"}}`, true, true},
		"a dollar sign without a brace":               {alice, team("a$b"), on + `{"StringLike":{"aws:PrincipalTag/team":"a$?"}}`, true, true},
		"a variable without a value":                  {alice, nil, only + `${aws:PrincipalTag/team}"`, false, false},
		"a variable without a value next to a star":   {alice, nil, only + `*${aws:PrincipalTag/team}"`, false, false},
		"a variable without a value, in a list":       {alice, nil, `"Resource":["` + repository + `${aws:PrincipalTag/team}","` + repository + `app"]`, true, true},
		"a role has no name":                          {build, nil, only + `${aws:username}"`, false, false},
		"a key that nobody has":                       {alice, nil, only + `${aws:SourceVpce}*"`, false, false},
		"not the resource of a variable":              {alice, team("app"), not + `${aws:PrincipalTag/team}"`, false, false},
		"not the resource of another value":           {alice, team("web"), not + `${aws:PrincipalTag/team}"`, true, true},
		"not the resource of one without a value":     {alice, nil, not + `${aws:PrincipalTag/team}"`, false, true},
		"not the resource of one with a default":      {alice, nil, not + `${aws:PrincipalTag/team, 'web'}"`, true, true},
		"not one of a list, of which one is not set":  {alice, nil, `"NotResource":["` + repository + `web","` + repository + `${aws:PrincipalTag/team}"]`, false, true},
		"a resource that is named before one not set": {alice, nil, `"NotResource":["` + repository + `app","` + repository + `${aws:PrincipalTag/team}"]`, false, false},
		// What a variable without a value would be does not matter where the resource is named.
		"a resource that is named after one not set": {alice, nil, `"NotResource":["` + repository + `${aws:PrincipalTag/team}","` + repository + `app"]`, false, false},

		"equal to a variable":                   {alice, team("alice"), on + `{"StringEquals":{"aws:PrincipalTag/team":"${aws:username}"}}`, true, true},
		"not equal to a variable":               {alice, team("bob"), on + `{"StringEquals":{"aws:PrincipalTag/team":"${aws:username}"}}`, false, false},
		"equal to a variable in another case":   {alice, team("ALICE"), on + `{"StringEqualsIgnoreCase":{"aws:PrincipalTag/team":"${aws:username}"}}`, true, true},
		"like a variable":                       {alice, team("alice/x"), on + `{"StringLike":{"aws:PrincipalTag/team":"${aws:username}/*"}}`, true, true},
		"like a variable that is a star":        {alice, tag{"team": "x", "all": "*"}, on + `{"StringLike":{"aws:PrincipalTag/team":"${aws:PrincipalTag/all}"}}`, false, false},
		"like a default that is a star":         {alice, team("x"), on + `{"StringLike":{"aws:PrincipalTag/team":"${aws:PrincipalTag/all, '*'}"}}`, false, false},
		"an ARN with a variable":                {alice, team("alice"), on + `{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/${aws:PrincipalTag/team}"}}`, true, true},
		"an ARN with a variable in its account": {alice, team(owner), on + `{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::${aws:PrincipalTag/team}:user/*"}}`, true, true},
		"an ARN with a default that has colons": {alice, team("arn:aws:x:::a:b"), on + `{"ArnLike":{"aws:PrincipalTag/team":"arn:aws:x:::${aws:PrincipalTag/none, 'a:b'}"}}`, true, true},
		"one of two, of which one has no value": {alice, team("x"), on + `{"StringEquals":{"aws:PrincipalTag/team":["${aws:PrincipalTag/none}","x"]}}`, true, true},

		"equal to one without a value":                   {alice, team("red"), on + `{"StringEquals":{"aws:PrincipalTag/team":"${aws:PrincipalTag/none}"}}`, false, false},
		"both without a value are not equal":             {alice, nil, on + `{"StringEquals":{"aws:PrincipalTag/team":"${aws:PrincipalTag/none}"}}`, false, false},
		"like one without a value":                       {alice, team("red"), on + `{"StringLike":{"aws:PrincipalTag/team":"*${aws:PrincipalTag/none}*"}}`, false, false},
		"unequal to one without a value":                 {alice, team("red"), on + `{"StringNotEquals":{"aws:PrincipalTag/team":"${aws:PrincipalTag/none}"}}`, false, true},
		"unequal in case to one without a value":         {alice, team("red"), on + `{"StringNotEqualsIgnoreCase":{"aws:PrincipalTag/team":"${aws:PrincipalTag/none}"}}`, false, true},
		"unlike one without a value":                     {alice, team("red"), on + `{"StringNotLike":{"aws:PrincipalTag/team":"b*${aws:PrincipalTag/none}"}}`, false, true},
		"unequal to one with a default":                  {alice, team("red"), on + `{"StringNotEquals":{"aws:PrincipalTag/team":"${aws:PrincipalTag/none, 'blue'}"}}`, true, true},
		"no ARN of one without a value":                  {alice, nil, on + `{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::` + owner + `:user/${aws:PrincipalTag/none}"}}`, false, true},
		"no ARN of one without a value, of another part": {alice, nil, on + `{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::` + guest + `:user/${aws:PrincipalTag/none}"}}`, false, true},
		// A value that is named differs from nothing, whatever stands next to its name.
		"equal to the value before one without":  {alice, team("red"), on + `{"StringNotEquals":{"aws:PrincipalTag/team":["red","${aws:PrincipalTag/none}"]}}`, false, false},
		"equal to the value after one without":   {alice, team("red"), on + `{"StringNotEquals":{"aws:PrincipalTag/team":["${aws:PrincipalTag/none}","red"]}}`, false, false},
		"unequal to the value after one without": {alice, team("red"), on + `{"StringNotEquals":{"aws:PrincipalTag/team":["${aws:PrincipalTag/none}","blue"]}}`, false, true},

		// Two tags may differ in case alone; the policy's case says which is meant.
		"a tag among others of its name":                  {alice, tag{"Own": "app", "own": "web", "OWN": "x"}, only + `${aws:PrincipalTag/Own}"`, true, true},
		"a tag among others of its name, in another case": {alice, tag{"v": "RED", "Own": "red", "own": "blue", "OWN": "x"}, on + `{"StringEqualsIgnoreCase":{"aws:PrincipalTag/v":"${aws:PrincipalTag/Own}"}}`, true, true},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			for effect, want := range map[string]bool{"Allow": tt.allow, "Deny": tt.deny} {
				s := &sources{tags: tt.tags}
				if got := matches(t, s, push(tt.who), "2012-10-17", `{"Effect":"`+effect+`","Action":"*",`+tt.element+`}`); got != want {
					t.Errorf("%s: %v, want %v", effect, got, want)
				}
			}
		})
	}
}

// Before 2012-10-17, and without a Version, a variable is text.
func TestDecideVariablesOfOldVersions(t *testing.T) {
	t.Parallel()
	const repository = "arn:aws:ecr-public::" + owner + ":repository/"
	for reason, tt := range map[string]struct {
		who     auth.Principal
		tag     string
		element string
		want    bool
	}{
		"a resource with a variable":                 {auth.Principal{Account: owner, Name: "app"}, "", `"Resource":"` + repository + `${aws:username}"`, false},
		"a resource with a default":                  {alice, "", `"Resource":"` + repository + `${aws:PrincipalTag/k, 'app'}"`, false},
		"not a resource with a variable":             {auth.Principal{Account: owner, Name: "app"}, "", `"NotResource":"` + repository + `${aws:username}"`, true},
		"a text with a variable":                     {alice, "alice", `"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/k":"${aws:username}"}}`, false},
		"a text that is a variable":                  {alice, "${aws:username}", `"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/k":"${aws:username}"}}`, true},
		"a text that is a variable, its case":        {alice, "${AWS:USERNAME}", `"Resource":"*","Condition":{"StringEqualsIgnoreCase":{"aws:PrincipalTag/k":"${aws:username}"}}`, true},
		"a pattern with a star in braces":            {alice, "${xyz}", `"Resource":"*","Condition":{"StringLike":{"aws:PrincipalTag/k":"${*}"}}`, true},
		"a pattern with a star in braces, of a star": {alice, "*", `"Resource":"*","Condition":{"StringLike":{"aws:PrincipalTag/k":"${*}"}}`, false},
		"an open brace":                              {alice, "${a", `"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/k":"${a"}}`, true},
		"an ARN with a variable":                     {alice, "arn:aws:iam::1:user/${aws:username}", `"Resource":"*","Condition":{"ArnEquals":{"aws:PrincipalTag/k":"arn:aws:iam::1:user/${aws:username}"}}`, true},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			for _, effect := range []string{"Allow", "Deny"} {
				statement := `{"Effect":"` + effect + `","Action":"*",` + tt.element + `}`
				for _, version := range []string{`"Version":"2008-10-17",`, ``} {
					s := &sources{tags: map[string]string{"k": tt.tag}, policies: []string{`{` + version + `"Statement":[` + statement + `]}`}}
					decided, other := policy.Allow, policy.Abstain
					if effect == "Deny" {
						decided, other = policy.Deny, policy.Allow
						s.policies = append(s.policies, document(allowAll))
					}
					if !tt.want {
						decided = other
					}
					expect(t, s, push(tt.who), decided)
				}
			}
		})
	}
}
