package match

import (
	"bytes"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/gallery"
)

// FuzzDecode: what is damaged is an error, and whatever is not comes back as it was.
func FuzzDecode(f *testing.F) {
	f.Add(Encode(&gallery.Document{}))
	f.Add(Encode(&gallery.Document{
		Name: "acme/hat", Description: "\xff\x00", Keywords: []string{"a", ""}, Architectures: []string{"amd64"}, OperatingSystems: []string{"linux"},
		Kind: "image", Tag: "1", Logo: "/l", Verified: true, Deprecated: true, Pulls: -1, Updated: time.Unix(-1, 5),
	}))
	f.Add([]byte{5, 'a'})
	f.Add(bytes.Repeat([]byte{0xff}, 30))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d, again gallery.Document
		if Decode(b, &d) != nil {
			return
		}
		if err := Decode(Encode(&d), &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestWordList(t *testing.T) {
	t.Parallel()
	want := map[string]FieldSet{"hat": 1, "hats": Bit(gallery.Text), "hatstand": 7, "§hat": 3, "a": 2}
	list := NewWordList(want)
	if diff := cmp.Diff(want, maps.Collect(list.All(""))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for word, set := range want {
		if got := list.Fields(word); got != set {
			t.Errorf("%s is in %b, want %b", word, got, set)
		}
	}
	if got := list.Fields("ha"); got != 0 {
		t.Errorf("a beginning is in %b", got)
	}
	longer := maps.Collect(list.All("hats"))
	if diff := cmp.Diff(map[string]FieldSet{"hats": want["hats"], "hatstand": 7}, longer); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
