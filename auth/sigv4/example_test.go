package sigv4_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/sigv4"
)

// A handler that knows who called it with AWS's tools. The body is bounded and read before
// it is verified, because the signature covers all of it.
func Example_findWhoSignedARequest() {
	verifier := &sigv4.Verifier{Service: "ecr-public", Keys: auth.StaticKeys{
		"AKIAEXAMPLEEXAMPLE00": {ID: "AKIAEXAMPLEEXAMPLE00", Secret: "a-long-random-secret", Principal: auth.Principal{Account: "123456789012", Name: "ci"}},
	}}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			return
		}
		who, err := verifier.Verify(r, body)
		if refused, ok := errors.AsType[*sigv4.Error](err); ok {
			fmt.Fprint(w, refused.Code)
			return
		}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, who.ARN())
	})

	for _, secret := range []string{"a-long-random-secret", "a guess"} {
		body := []byte("{}")
		r := httptest.NewRequest(http.MethodPost, "https://api.example/", bytes.NewReader(body))
		r.Header.Set("X-Amz-Target", "SpencerFrontendService.DescribeRegistries")
		sum := sha256.Sum256(body)
		if err := v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: "AKIAEXAMPLEEXAMPLE00", SecretAccessKey: secret},
			r, hex.EncodeToString(sum[:]), "ecr-public", "us-east-1", time.Now()); err != nil {
			fmt.Println(err)
		}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		fmt.Println(rec.Body)
	}
	// Output:
	// arn:aws:iam::123456789012:user/ci
	// InvalidSignatureException
}
