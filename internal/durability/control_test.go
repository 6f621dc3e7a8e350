package durability

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// control returns a client of the control plane for one request, which is not tried again.
func (c *client) control() *ecrpublic.Client {
	c.before()
	c.host = c.pick()
	return ecrpublic.New(ecrpublic.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://" + c.host), HTTPClient: c.http, Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: c.account.AccessKeyID, SecretAccessKey: c.account.SecretAccessKey}, nil
		}),
	})
}

// answered tells an answer of the control plane from none at all.
func answered(what string, err error) error {
	if _, ok := errors.AsType[smithy.APIError](err); !ok {
		return err
	}
	res, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok {
		return err
	}
	return &statusError{fmt.Sprintf("%s: %v", what, err), res.HTTPStatusCode()}
}

// nameOf is the control plane's name of a repository.
func nameOf(repo string) *string {
	_, name, _ := strings.Cut(repo, "/")
	return &name
}

const policyText = `{"Version":"2012-10-17","Statement":[{"Sid":"%s","Effect":"Allow","Principal":"*","Action":"ecr-public:BatchCheckLayerAvailability"}]}`

var policyWord = regexp.MustCompile(`"Sid":"(\w+)"`)

// setPolicy sets the policy of a repository to one with a word, or deletes it for none.
func (c *client) setPolicy(ctx context.Context, repo, word string) (err error) {
	if word == "" {
		_, err = c.control().DeleteRepositoryPolicy(ctx, &ecrpublic.DeleteRepositoryPolicyInput{RepositoryName: nameOf(repo)})
		return answered("delete the policy of "+repo, err)
	}
	_, err = c.control().SetRepositoryPolicy(ctx, &ecrpublic.SetRepositoryPolicyInput{
		RepositoryName: nameOf(repo), PolicyText: aws.String(fmt.Sprintf(policyText, word)),
	})
	return answered("set the policy of "+repo, err)
}

// getPolicy returns the word in the policy of a repository, or "" where there is none.
func (c *client) getPolicy(ctx context.Context, repo string) (string, error) {
	out, err := c.control().GetRepositoryPolicy(ctx, &ecrpublic.GetRepositoryPolicyInput{RepositoryName: nameOf(repo)})
	if _, none := errors.AsType[*types.RepositoryPolicyNotFoundException](err); none {
		return "", nil
	}
	if _, none := errors.AsType[*types.RepositoryNotFoundException](err); none {
		return "", nil
	}
	if err != nil {
		return "", answered("get the policy of "+repo, err)
	}
	m := policyWord.FindStringSubmatch(*out.PolicyText)
	if m == nil || fmt.Sprintf(policyText, m[1]) != *out.PolicyText {
		return "", fmt.Errorf("the policy of %s is %s", repo, *out.PolicyText)
	}
	return m[1], nil
}
