package basic_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
)

// A handful of access keys, such as a CI system has them.
func ExampleStatic() {
	keys := basic.Static{
		"ci": {
			Password:  "mJ8sQ2vX0pRtY6uW1zLk4nBd",
			Principal: auth.Principal{Account: "123456789012", Name: "ci"},
		},
	}
	authenticator := basic.New(keys, "registry.example.com")

	r := httptest.NewRequest(http.MethodGet, "/v2/", nil)
	r.SetBasicAuth("ci", "mJ8sQ2vX0pRtY6uW1zLk4nBd")
	identity, err := authenticator.Authenticate(r)
	fmt.Println(identity.Principal, err)

	r.SetBasicAuth("ci", "guessed")
	identity, err = authenticator.Authenticate(r)
	fmt.Println(identity.Principal, err)
	fmt.Println(authenticator.Challenge())
	// Output:
	// 123456789012/ci <nil>
	// anonymous invalid credential
	// Basic realm="registry.example.com"
}
