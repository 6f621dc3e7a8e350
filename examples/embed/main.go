// Command embed is a web application with a registry in it: its own mux, its own users.
package main

import (
	"context"
	"log"
	"net/http"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/auth/basic"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
	"gocloud.dev/blob/memblob"
)

func main() {
	reg, err := registry.New(registry.Config{
		Store: memmeta.New(), Bucket: gocloud.New(memblob.OpenBucket(nil)), CreateOnPush: true,
		Authenticators: []auth.Authenticator{basic.New(basic.PasswordsFunc(checkUser), "app")},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := reg.AddAlias(context.Background(), "111122223333", "acme"); err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/v2/", reg)
	mux.Handle("/", http.FileServer(http.Dir("public"))) // the application's own pages
	log.Fatal(http.ListenAndServe("127.0.0.1:5001", mux))
}

// checkUser asks the application's users, of whom there is one.
func checkUser(_ context.Context, name, password string) (auth.Principal, error) {
	if name != "ann" || password != "correct horse battery staple" {
		return auth.Principal{}, auth.ErrInvalidCredential
	}
	return auth.Principal{Account: "111122223333", Name: name}, nil
}
