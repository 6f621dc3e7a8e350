package registrytest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/esplanade-registry/esplanade/registry/registrytest"
)

func TestServerAnswersWithoutAPort(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	layer := []byte("a layer")
	want := s.Push("test/hat", registrytest.Image{Layers: [][]byte{layer}}, "v1", "latest")
	c := s.Client()
	res, err := c.Get("http://any.example/v2/test/hat/manifests/v1")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || int64(len(body)) != want.Size || res.Header.Get("Docker-Content-Digest") != string(want.Digest) {
		t.Errorf("manifest: %s, %d bytes, %v, %v; want %d bytes of %s", res.Status, len(body), res.Header, err, want.Size, want.Digest)
	}
	res, err = c.Get("http://any.example/v2/test/hat/tags/list")
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Tags []string }
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil || len(list.Tags) != 2 {
		t.Errorf("tags %v, %v; want two", list.Tags, err)
	}
}
