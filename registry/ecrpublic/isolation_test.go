package ecrpublic_test

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecrpublic"

	"github.com/esplanade-registry/esplanade/registry/ecrpublic"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// about are inputs of the operations on a repository of a registry, which is given as
// registryId or within an ARN.
type about struct {
	byARN   bool // there is no registryId
	anyID   bool // the registryId may be an alias
	foreign bool // a policy of the repository can allow it to others
	input   func(registry, repository, upload string) object
}

func simple(more object) func(registry, repository, upload string) object {
	return func(registry, repository, _ string) object {
		in := object{"registryId": registry, "repositoryName": repository}
		for k, v := range more {
			in[k] = v
		}
		return in
	}
}

func byARN(more object) func(registry, repository, upload string) object {
	return func(registry, repository, _ string) object {
		in := object{"resourceArn": "arn:aws:ecr-public::" + registry + ":repository/" + repository}
		for k, v := range more {
			in[k] = v
		}
		return in
	}
}

func onUpload(more object) func(registry, repository, upload string) object {
	return func(registry, repository, upload string) object {
		in := simple(more)(registry, repository, "")
		in["uploadId"] = upload
		return in
	}
}

var newPolicy = document(to(statement("Allow", "*"), "*"))

// aboutRepositories are the operations on a repository, but for CreateRepository, which
// takes no registry.
var aboutRepositories = map[string]about{
	"BatchCheckLayerAvailability": {anyID: true, foreign: true, input: simple(object{"layerDigests": []string{sha([]byte("x"))}})},
	"BatchDeleteImage":            {anyID: true, foreign: true, input: simple(object{"imageIds": []any{object{"imageTag": "v1"}}})},
	"CompleteLayerUpload":         {anyID: true, foreign: true, input: onUpload(object{"layerDigests": []string{sha([]byte("part"))}})},
	"DeleteRepository":            {foreign: true, input: simple(object{"force": true})},
	"DeleteRepositoryPolicy":      {foreign: true, input: simple(nil)},
	"DescribeImageTags":           {foreign: true, input: simple(nil)},
	"DescribeImages":              {foreign: true, input: simple(nil)},
	"DescribeRepositories": {foreign: true, input: func(registry, repository, _ string) object {
		return object{"registryId": registry, "repositoryNames": []string{repository}}
	}},
	"GetRepositoryCatalogData": {foreign: true, input: simple(nil)},
	"GetRepositoryPolicy":      {foreign: true, input: simple(nil)},
	"InitiateLayerUpload":      {anyID: true, foreign: true, input: simple(nil)},
	"ListTagsForResource":      {byARN: true, foreign: true, input: byARN(nil)},
	"PutImage":                 {anyID: true, foreign: true, input: simple(object{"imageManifest": imageOf("x").raw, "imageTag": "v2"})},
	"PutRepositoryCatalogData": {foreign: true, input: simple(object{"catalogData": object{"description": "taken over"}})},
	"SetRepositoryPolicy":      {foreign: true, input: simple(object{"policyText": newPolicy, "force": true})},
	"TagResource":              {byARN: true, foreign: true, input: byARN(object{"tags": []any{object{"Key": "k", "Value": "v"}}})},
	"UntagResource":            {byARN: true, foreign: true, input: byARN(object{"tagKeys": []string{"team"}})},
	"UploadLayerPart":          {anyID: true, foreign: true, input: onUpload(object{"partFirstByte": 4, "partLastByte": 5, "layerPartBlob": base64.StdEncoding.EncodeToString([]byte("xy"))})},
}

// own are the inputs of the operations that name no registry: the caller's is meant.
var own = map[string]object{
	"CreateRepository":              {"repositoryName": "coat"},
	"DescribeRegistries":            {},
	"DescribeRegistryAliasRequests": {},
	"GetAuthorizationToken":         {},
	"GetRegistryCatalogData":        {},
	"PutRegistryCatalogData":        {"displayName": "x"},
	"RequestRegistryAlias":          {"registryAliasName": "another"},
	"DeleteRegistryAlias":           {"registryAliasName": "second"},
	"SetPrimaryRegistryAlias":       {"registryAliasName": "second"},
}

func TestEveryOperationIsIsolated(t *testing.T) {
	t.Parallel()
	for _, operation := range ecrpublic.Operations() {
		_, on := aboutRepositories[operation]
		if _, none := own[operation]; on == none {
			t.Errorf("%s is in both or in none of the tables of this file", operation)
		}
	}
}

const there, gone = "exists", "no-one"

// isolated is a world in which account A has the repository "exists" with everything that
// can be asked about. Each client has begun an upload to it, which nobody else can go on
// with, as long as a policy let it.
func isolated(t *testing.T) (w *world, uploads map[*client]string) {
	t.Helper()
	w = newWorld(t)
	w.a.create(there, "other1")
	w.a.send("SetRepositoryPolicy", object{"repositoryName": there, "policyText": newPolicy}).ok()
	uploads = map[*client]string{}
	for _, c := range []*client{w.a, w.b, w.userA, w.userB} {
		if c != w.a && c != w.b {
			c.allow("*")
		}
		uploads[c] = c.send("InitiateLayerUpload", object{"registryId": accountA, "repositoryName": there}).ok()["uploadId"].(string)
		c.send("UploadLayerPart", object{
			"registryId": accountA, "repositoryName": there, "uploadId": uploads[c], "partFirstByte": 0, "partLastByte": 3, "layerPartBlob": base64.StdEncoding.EncodeToString([]byte("part")),
		}).ok()
		if err := w.accounts.DeletePolicy(t.Context(), c.principal, "test"); err != nil {
			t.Fatal(err)
		}
	}
	w.a.push(there, imageOf("x"), "v1")
	w.b.create("theirs")
	if err := w.AddAlias(t.Context(), accountA, "second"); err != nil {
		t.Fatal(err)
	}
	w.a.send("TagResource", object{"resourceArn": arnOf(there), "tags": []any{object{"Key": "team", "Value": "a"}}}).ok()
	w.a.send("SetRepositoryPolicy", object{"repositoryName": there, "policyText": document(to(statement("Allow", "*"), "arn:aws:iam::333333333333:root"))}).ok()
	w.a.send("PutRepositoryCatalogData", object{"repositoryName": there, "catalogData": object{"description": "d"}}).ok()
	w.a.send("GetAuthorizationToken", object{}).ok()
	return w, uploads
}

// Whatever is asked of a repository of another account is refused, whoever asks, whether it
// exists or not, in the same words and having changed nothing.
func TestOtherAccountsAreToldNothing(t *testing.T) {
	t.Parallel()
	for operation, a := range aboutRepositories {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			w, uploads := isolated(t)
			anybody := w.client(accountB, "user/may-do-all")
			anybody.allow("*")
			stranger := w.client("444444444444", "user/without-registry")
			stranger.allow("*")
			before := w.rows()
			registries := []string{accountA, "555555555555"}
			if a.anyID {
				registries = append(registries, aliasA, "second", "nobody")
			}
			for _, registry := range registries {
				for name, c := range map[string]*client{"root of B": w.b, "user of B without a policy": w.userB, "user of B with all rights": anybody, "user of an account without a registry": stranger} {
					var bodies []string // by two names, of which one is that of a repository
					for _, repository := range []string{there, gone} {
						for _, id := range []string{uploads[w.a], uploads[w.b], noUpload} {
							r := c.send(operation, a.input(registry, repository, id)).want("AccessDeniedException")
							if !strings.Contains(r.message(), "User: "+c.principal.ARN()+" is not authorized to perform: ecr-public:"+operation+" on resource: ") {
								t.Errorf("%s of %s: the message is %s", name, registry, r.message())
							}
							if strings.Contains(r.body, accountA) && registry != accountA {
								t.Errorf("%s is told whose %s is: %s", name, registry, r.body)
							}
							bodies = append(bodies, strings.ReplaceAll(strings.ReplaceAll(r.body, repository, "NAME"), id, "ID"))
						}
					}
					slices.Sort(bodies)
					if bodies = slices.Compact(bodies); len(bodies) != 1 {
						t.Errorf("%s of %s: what exists can be told from what does not:\n%s", name, registry, strings.Join(bodies, "\n"))
					}
					w.unchanged(t, name+" of "+registry, before)
				}
			}
		})
	}
}

// Who knows an account's number is not told by which alias its registry is found, nor
// whether it has one: what was named is what is answered, as the ARN that it is.
func TestAccountsOfOthersKeepTheirAliases(t *testing.T) {
	t.Parallel()
	w, uploads := isolated(t)
	for operation, a := range aboutRepositories {
		one := w.b.send(operation, a.input(accountA, gone, uploads[w.b])).want("AccessDeniedException")
		other := w.b.send(operation, a.input("555555555555", gone, uploads[w.b])).want("AccessDeniedException")
		same(t, operation, one.body, strings.ReplaceAll(other.body, "555555555555", accountA))
		if !strings.Contains(one.message(), "arn:aws:ecr-public::"+accountA+":repository/"+gone) {
			t.Errorf("%s: the message is %s", operation, one.message())
		}
	}
}

// Of a repository that nobody may pull from, not even that it exists is known.
func TestPrivateRepositoriesAreHidden(t *testing.T) {
	t.Parallel()
	w, uploads := isolated(t)
	err := w.store.Update(t.Context(), func(tx meta.Tx) error {
		repo, err := tx.Repositories().Get(meta.RepositoryKey{Account: accountA, Name: there})
		if err != nil {
			return err
		}
		repo.Visibility = meta.Private
		return tx.Repositories().Put(repo)
	})
	if err != nil {
		t.Fatal(err)
	}
	policies := map[string]string{
		"of others": document(to(statement("Allow", "*"), "arn:aws:iam::333333333333:root")),
		"of denial": document(to(statement("Allow", "*"), "arn:aws:iam::"+accountA+":root"), to(statement("Deny", "*"), accountB)),
	}
	for name, text := range policies {
		w.a.send("SetRepositoryPolicy", object{"repositoryName": there, "policyText": text, "force": true}).ok()
		for operation, a := range aboutRepositories {
			for _, c := range []*client{w.b, w.userB} {
				one := c.send(operation, a.input(accountA, there, uploads[c])).want("AccessDeniedException").body
				other := c.send(operation, a.input(accountA, gone, uploads[c])).want("AccessDeniedException").body
				same(t, "with a policy "+name+", "+operation, one, strings.ReplaceAll(other, gone, there))
			}
		}
	}
}

// Aliases that lead somewhere, and those that lead nowhere, cannot be told apart either.
func TestAliasesOfOthersAreToldNothing(t *testing.T) {
	t.Parallel()
	w, uploads := isolated(t)
	for operation, a := range aboutRepositories {
		if !a.anyID {
			continue
		}
		one := w.b.send(operation, a.input("acme", there, uploads[w.a])).want("AccessDeniedException").body
		other := w.b.send(operation, a.input("emca", there, noUpload)).want("AccessDeniedException").body
		same(t, operation, strings.ReplaceAll(other, "emca", "acme"), one)
	}
}

// The list of another account's repositories is nobody's either: there is no repository
// whose policy could allow it.
func TestListsOfOthers(t *testing.T) {
	t.Parallel()
	w, _ := isolated(t)
	w.a.send("SetRepositoryPolicy", object{"repositoryName": there, "policyText": newPolicy}).ok()
	w.userB.allow("*")
	for _, c := range []*client{w.b, w.userB} {
		for _, registry := range []string{accountA, "555555555555"} {
			c.send("DescribeRepositories", object{"registryId": registry}).want("AccessDeniedException")
			c.send("DescribeRepositories", object{"registryId": registry, "repositoryNames": []string{"other1"}}).want("AccessDeniedException")
		}
		c.send("DescribeRepositories", object{"registryId": accountA, "repositoryNames": []string{there, "other1"}}).want("AccessDeniedException")
	}
}

// Across accounts there must be an allow in the policy of the repository and one in the
// policy of the user, and no deny in either (section 5.2).
func TestBothPoliciesAllowOthers(t *testing.T) {
	t.Parallel()
	ann := "arn:aws:iam::" + accountB + ":user/bob"
	for operation, a := range aboutRepositories {
		for _, test := range []struct {
			name               string
			identity, resource []map[string]any
			allowed            bool
		}{
			{"identity alone", []map[string]any{statement("Allow", operation)}, nil, false},
			{"resource alone", nil, []map[string]any{to(statement("Allow", operation), ann)}, false},
			{"both", []map[string]any{statement("Allow", operation)}, []map[string]any{to(statement("Allow", operation), ann)}, true},
			{"both, by the account", []map[string]any{statement("Allow", "*")}, []map[string]any{to(statement("Allow", "*"), accountB)}, true},
			{"another action", []map[string]any{statement("Allow", "*")}, []map[string]any{to(statement("Allow", "ListImages"), ann)}, false},
			{"another user", []map[string]any{statement("Allow", "*")}, []map[string]any{to(statement("Allow", operation), "arn:aws:iam::"+accountB+":user/eve")}, false},
			{
				"denied to the user",
				[]map[string]any{statement("Allow", "*"), statement("Deny", operation)}, []map[string]any{to(statement("Allow", operation), ann)}, false,
			},
			{
				"denied by the repository",
				[]map[string]any{statement("Allow", "*")}, []map[string]any{to(statement("Allow", "*"), "*"), to(statement("Deny", operation), ann)}, false,
			},
		} {
			t.Run(operation+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				w, uploads := isolated(t)
				if test.identity != nil {
					w.userB.attach(test.identity...)
				}
				if test.resource == nil {
					w.a.send("DeleteRepositoryPolicy", object{"repositoryName": there}).ok()
				} else {
					w.a.send("SetRepositoryPolicy", object{"repositoryName": there, "policyText": document(test.resource...)}).ok()
				}
				before := w.rows()
				input := a.input(accountA, there, uploads[w.userB])
				if !test.allowed {
					w.userB.send(operation, input).want("AccessDeniedException")
					w.unchanged(t, operation, before)
					return
				}
				w.userB.send(operation, input).ok()
				// The other repositories of the account are as they were.
				w.userB.send(operation, a.input(accountA, "other1", uploads[w.userB])).want("AccessDeniedException")
			})
		}
	}
}

// A user can do nothing in the own account without an allow, and then that and no more. A
// policy of the repository alone is enough there, but for what is about no repository.
func TestUsersOfTheOwnAccount(t *testing.T) {
	t.Parallel()
	inputs := map[string]func(upload string) object{}
	for operation, a := range aboutRepositories {
		inputs[operation] = func(upload string) object { return a.input(accountA, there, upload) }
	}
	for operation, input := range own {
		inputs[operation] = func(string) object { return input }
	}
	for operation, input := range inputs {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			ann := "arn:aws:iam::" + accountA + ":user/ann"
			_, on := aboutRepositories[operation]
			w, uploads := isolated(t)
			before := w.rows()
			w.userA.send(operation, input(uploads[w.userA])).want("AccessDeniedException")
			w.unchanged(t, operation, before)

			var others []string
			for _, o := range ecrpublic.Operations() {
				if o != operation {
					others = append(others, o)
				}
			}
			w.userA.allow(others...)
			w.userA.send(operation, input(uploads[w.userA])).want("AccessDeniedException")
			w.userA.attach(statement("Allow", "*"), statement("Deny", operation))
			w.userA.send(operation, input(uploads[w.userA])).want("AccessDeniedException")
			if on {
				w.a.send("SetRepositoryPolicy", object{"repositoryName": there, "policyText": document(to(statement("Allow", "*"), ann))}).ok()
				w.userA.send(operation, input(uploads[w.userA])).want("AccessDeniedException")
				w.userA.attach(statement("Allow", "ListImages"))
				w.userA.send(operation, input(uploads[w.userA])).ok()
				w, uploads = isolated(t)
			} else {
				for _, r := range []string{there, "other1"} {
					w.a.send("SetRepositoryPolicy", object{"repositoryName": r, "policyText": document(to(statement("Allow", "*"), ann))}).ok()
				}
				w.userA.attach(statement("Allow", "ListImages"))
				w.userA.send(operation, input(uploads[w.userA])).want("AccessDeniedException")
			}
			w.userA.allow(operation)
			w.userA.send(operation, input(uploads[w.userA])).ok()
		})
	}
}

// A root's right to its own account is taken by a policy that denies (section 5.2).
func TestDenyBindsRootToo(t *testing.T) {
	t.Parallel()
	w, uploads := isolated(t)
	w.a.send("SetRepositoryPolicy", object{"repositoryName": there, "force": true, "policyText": document(to(statement("Deny", "*"), "*"))}).ok()
	before := w.rows()
	for operation, a := range aboutRepositories {
		w.a.send(operation, a.input(accountA, there, uploads[w.a])).want("AccessDeniedException")
		w.unchanged(t, operation, before)
	}
	w.a.send("DescribeRepositories", object{"repositoryNames": []string{"other1"}}).ok()
}

// Creating with tags needs the right to tag as well, or there is no repository.
func TestCreatingWithTagsNeedsTagResource(t *testing.T) {
	t.Parallel()
	w, _ := isolated(t)
	w.userA.allow("CreateRepository")
	before := w.rows()
	input := object{"repositoryName": "tagged", "tags": []any{object{"Key": "k", "Value": "v"}}}
	if r := w.userA.send("CreateRepository", input).want("AccessDeniedException"); !strings.Contains(r.message(), "ecr-public:TagResource") {
		t.Errorf("the message is %s", r.message())
	}
	w.unchanged(t, "CreateRepository", before)
	w.userA.allow("CreateRepository", "TagResource")
	w.userA.send("CreateRepository", input).ok()
}

// What a repository's policy grants ends with the repository.
func TestPolicyEndsWithItsRepository(t *testing.T) {
	t.Parallel()
	w, _ := isolated(t)
	w.userB.allow("*")
	w.a.send("SetRepositoryPolicy", object{"repositoryName": there, "policyText": document(to(statement("Allow", "*"), accountB))}).ok()
	input := object{"registryId": accountA, "repositoryName": there}
	w.userB.send("DescribeImages", input).ok()
	w.a.send("DeleteRepository", object{"repositoryName": there, "force": true}).ok()
	w.userB.send("DescribeImages", input).want("AccessDeniedException")
	w.a.create(there)
	w.userB.send("DescribeImages", input).want("AccessDeniedException")
}

// An upload belongs to the repository that it was begun for, also for whom both are open.
func TestUploadsDoNotMoveBetweenAccounts(t *testing.T) {
	t.Parallel()
	w, uploads := isolated(t)
	before := w.rows()
	if _, err := part(t.Context(), w.b.Client, "theirs", uploads[w.a], 4, []byte("x")); !strings.Contains(asText(err), "UploadNotFoundException") {
		t.Errorf("a part to an upload of another account: %v", err)
	}
	if err := finish(t.Context(), w.b.Client, "theirs", uploads[w.a], []byte("part")); !strings.Contains(asText(err), "UploadNotFoundException") {
		t.Errorf("the end of an upload of another account: %v", err)
	}
	w.unchanged(t, "B", before)

	// A layer that A has is not there for B, not even by its digest.
	r := w.b.send("BatchCheckLayerAvailability", object{"repositoryName": "theirs", "layerDigests": []string{sha([]byte("x"))}}).ok()
	if !strings.Contains(marshal(r), "UNAVAILABLE") {
		t.Errorf("a layer of another account is there: %v", r)
	}
	raw := imageOf("x").raw
	if err := of(w.b.PutImage(t.Context(), &sdk.PutImageInput{RepositoryName: ptr("theirs"), ImageManifest: &raw})); !strings.Contains(asText(err), "LayersNotFoundException") {
		t.Errorf("an image of layers of another account: %v", err)
	}
}

func asText(err error) string {
	kind, message := typed(err)
	return kind + ": " + message
}

// The requests of many principals at once are each answered as their own.
func TestRequestsAtOnce(t *testing.T) {
	t.Parallel()
	w, _ := isolated(t)
	done := make(chan string)
	for i := range 40 {
		go func() {
			c, want := w.a, there
			if i%2 == 0 {
				c, want = w.b, "theirs"
			}
			out, err := c.DescribeRepositories(t.Context(), &sdk.DescribeRepositoriesInput{})
			switch {
			case err != nil:
				done <- err.Error()
			case !bytes.Contains([]byte(marshal(out.Repositories)), []byte(`"`+want+`"`)):
				done <- "not its own: " + marshal(out.Repositories)
			default:
				done <- ""
			}
		}()
	}
	for range 40 {
		if s := <-done; s != "" {
			t.Error(s)
		}
	}
}
