package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// publisher is an account with the AWS command line and docker.
type publisher struct {
	shell
	docker  docker
	host    string
	profile string
}

// aws runs an operation and returns its answer.
func (p publisher) aws(t *testing.T, operation string, args ...string) (map[string]any, error) {
	t.Helper()
	out, err := p.cli(t, operation, args...)
	if err != nil || strings.TrimSpace(out) == "" {
		return nil, err
	}
	var answer map[string]any
	return answer, json.Unmarshal([]byte(out), &answer)
}

// cli runs an operation and returns what is printed.
func (p publisher) cli(t *testing.T, operation string, args ...string) (string, error) {
	t.Helper()
	return p.shell.run(t, append([]string{"aws", "ecr-public", operation, "--endpoint-url", "http://" + p.host, "--region", "us-east-1",
		"--profile", p.profile, "--output", "json"}, args...)...)
}

// must is for what has to succeed.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// refuse is for what has to fail with some words.
func refuse(t *testing.T, err error, words string) {
	t.Helper()
	switch {
	case err == nil:
		t.Fatal("it was not refused")
	case !strings.Contains(err.Error(), words):
		t.Fatalf("it says not %q but: %v", words, err)
	}
}

// TestPublisher is the way of a publisher as the guides to ECR Public tell it, command by
// command, with a second account that is let in and shut out.
func TestPublisher(t *testing.T) {
	tools := client{programs: []string{"aws", "docker", "dockerd", "containerd"}, root: true}
	tools.needed(t)
	host, data := startServerIn(t)
	open := newDocker(t, host)
	become := func(profile string) publisher {
		s := newShell(t, "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(data, "aws-credentials"), "AWS_CONFIG_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=")
		return publisher{shell: s, docker: open(t, person{}).(docker), host: host, profile: profile}
	}
	logIn := func(p publisher) {
		t.Helper()
		password := must[string](t)(p.cli(t, "get-login-password"))
		must[string](t)(p.docker.feed(t, strings.NewReader(password), "docker", "login", "--username", "AWS", "--password-stdin", host))
	}
	push := func(p publisher, ref string, f *fixture) error {
		t.Helper()
		_, err := p.docker.push(t, ref, f)
		return err
	}
	hatters, strangers, anybody := become("default"), become(stranger.Alias), become("default")

	// Create a repository, log in, build, tag and push.
	created := must[map[string]any](t)(hatters.aws(t, "create-repository", "--repository-name", "hat-cat-generator",
		"--catalog-data", "description=Hats for cats,architectures=x86-64,operatingSystems=Linux", "--tags", "Key=team,Value=hats"))
	uri := created["repository"].(map[string]any)["repositoryUri"].(string)
	if want := host + "/" + owner.Alias + "/hat-cat-generator"; uri != want {
		t.Fatalf("the URI is %s, want %s", uri, want)
	}
	_, err := hatters.aws(t, "create-repository", "--repository-name", "hat-cat-generator")
	refuse(t, err, "RepositoryAlreadyExistsException")
	logIn(hatters)
	image := newFixture(t, "journey", here)
	if err := push(hatters, uri+":1.0", image); err != nil {
		t.Fatal(err)
	}

	// Anyone pulls, without credentials; and the API shows the image.
	must[pulled](t)(anybody.docker.pull(t, uri+":1.0"))
	images := must[map[string]any](t)(hatters.aws(t, "describe-images", "--repository-name", "hat-cat-generator"))
	if list := images["imageDetails"].([]any); len(list) != 1 || fmt.Sprint(list[0].(map[string]any)["imageTags"]) != "[1.0]" {
		t.Fatalf("images: %v", images)
	}

	// Log out: nobody pushes.
	must[string](t)(hatters.docker.run(t, "docker", "logout", host))
	refuse(t, push(hatters, uri+":2.0", image), "denied")

	// Another account is refused, and told where its own repositories are.
	logIn(strangers)
	refuse(t, push(strangers, uri+":2.0", image), "not authorized to perform: ecr-public:InitiateLayerUpload")
	refuse(t, push(strangers, uri+":2.0", image), "named "+stranger.Alias+"/REPOSITORY")
	_, err = strangers.aws(t, "describe-images", "--repository-name", "hat-cat-generator", "--registry-id", owner.AccountID)
	refuse(t, err, "AccessDeniedException")

	// Then it is let in by a policy of the repository, and shut out by an explicit deny.
	policy := func(effect string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"let them push","Effect":%q,"Principal":{"AWS":"arn:aws:iam::%s:root"},"Action":[`+
			`"ecr-public:BatchCheckLayerAvailability","ecr-public:InitiateLayerUpload","ecr-public:UploadLayerPart","ecr-public:CompleteLayerUpload","ecr-public:PutImage"]}]}`,
			effect, stranger.AccountID)
	}
	must[map[string]any](t)(hatters.aws(t, "set-repository-policy", "--repository-name", "hat-cat-generator", "--policy-text", policy("Allow")))
	if err := push(strangers, uri+":2.0", image); err != nil {
		t.Fatal(err)
	}
	must[map[string]any](t)(hatters.aws(t, "set-repository-policy", "--repository-name", "hat-cat-generator", "--policy-text", policy("Deny")))
	refuse(t, push(strangers, uri+":3.0", image), "not authorized to perform: ecr-public:PutImage")
	must[pulled](t)(strangers.docker.pull(t, uri+":2.0"))

	// In the end everything goes.
	_, err = hatters.aws(t, "delete-repository", "--repository-name", "hat-cat-generator")
	refuse(t, err, "RepositoryNotEmptyException")
	must[map[string]any](t)(hatters.aws(t, "delete-repository", "--repository-name", "hat-cat-generator", "--force"))
	_, err = anybody.docker.pull(t, uri+":1.0")
	refuse(t, err, "does not exist")
}
