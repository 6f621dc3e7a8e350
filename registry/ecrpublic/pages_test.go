package ecrpublic_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic/types"

	"github.com/esplanade-registry/esplanade/auth"
)

// many is more than one page can have, of 1,000.
const many = 1050

func TestPagesOfRepositories(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	root := w.As(auth.Principal{Account: accountA, Name: auth.Root})
	var want []string
	for i := range many {
		name := fmt.Sprintf("r%04d", i*7919%many) // not in order
		if i%2 == 0 {
			name = "team/" + name
		}
		if _, err := root.CreateRepository(t.Context(), accountA+"/"+name, nil); err != nil {
			t.Fatal(err)
		}
		want = append(want, name)
	}
	slices.Sort(want)
	w.b.create("another-account") // which is in no page
	for size, pages := range map[int32]int{0: 11, 7: 150, 100: 11, 1000: 2} {
		in := &sdk.DescribeRepositoriesInput{}
		if size != 0 {
			in.MaxResults = &size
		}
		var got []string
		n := 0
		for p := sdk.NewDescribeRepositoriesPaginator(w.a.Client, in); p.HasMorePages(); n++ {
			page := must(p.NextPage(t.Context()))(t)
			for _, r := range page.Repositories {
				got = append(got, *r.RepositoryName)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d have %d repositories, each once and in order: %v", size, len(got), slices.Equal(got, want))
		}
		same(t, fmt.Sprintf("pages of %d", size), n, pages)
	}
}

func TestPagesOfImages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat")
	var digests, names []string
	for i := range many {
		img := imageOf("one layer")
		img.raw = strings.Replace(img.raw, `"schemaVersion":2`, fmt.Sprintf(`"annotations":{"n":"%d"},"schemaVersion":2`, i), 1)
		img.digest = sha([]byte(img.raw))
		if i > 0 {
			img.config, img.layer = nil, nil
		}
		name := fmt.Sprintf("v%d", i)
		w.a.push("hat", img, name)
		digests, names = append(digests, img.digest), append(names, name)
	}
	slices.Sort(digests)
	slices.Sort(names)
	hat := ptr("hat")
	for _, size := range []int32{0, 13, 1000} {
		var max *int32
		if size != 0 {
			max = &size
		}
		var got []string
		for p := sdk.NewDescribeImagesPaginator(w.a.Client, &sdk.DescribeImagesInput{RepositoryName: hat, MaxResults: max}); p.HasMorePages(); {
			page := must(p.NextPage(t.Context()))(t)
			if n := len(page.ImageDetails); size != 0 && n > int(size) || n > 1000 || size == 0 && n > 100 {
				t.Errorf("a page has %d images", n)
			}
			for _, d := range page.ImageDetails {
				got = append(got, *d.ImageDigest)
			}
		}
		same(t, fmt.Sprintf("images in pages of %d are all there, in order", size), slices.Equal(got, digests), true)
		got = nil
		for p := sdk.NewDescribeImageTagsPaginator(w.a.Client, &sdk.DescribeImageTagsInput{RepositoryName: hat, MaxResults: max}); p.HasMorePages(); {
			for _, d := range must(p.NextPage(t.Context()))(t).ImageTagDetails {
				got = append(got, *d.ImageTag)
			}
		}
		same(t, fmt.Sprintf("tags in pages of %d are all there, in order", size), slices.Equal(got, names), true)
	}
}

// A page that ends with the last entry is the last page: no token leads to an empty one.
func TestLastPageHasNoToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat", "coat")
	w.a.push("hat", imageOf("x"), "v1", "v2")
	w.a.push("hat", imageOf("y"))
	for operation, input := range map[string]object{
		"DescribeRepositories": {}, "DescribeImages": {"repositoryName": "hat"}, "DescribeImageTags": {"repositoryName": "hat"},
	} {
		input["maxResults"] = 2
		if next, ok := w.a.send(operation, input).ok()["nextToken"]; ok {
			t.Errorf("%s: all are on the page, and the token is %v", operation, next)
		}
		input["maxResults"] = 1
		next := w.a.send(operation, input).ok()["nextToken"]
		input["nextToken"] = next
		if next == nil || w.a.send(operation, input).ok()["nextToken"] != nil {
			t.Errorf("%s: the token of the first page is %v, and the second page has another", operation, next)
		}
	}
}

// A page may begin at what has been deleted since.
func TestPageAfterWhatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("r1", "r2", "r3")
	first := must(w.a.DescribeRepositories(t.Context(), &sdk.DescribeRepositoriesInput{MaxResults: ptr(int32(2))}))(t)
	must(w.a.DeleteRepository(t.Context(), &sdk.DeleteRepositoryInput{RepositoryName: ptr("r2")}))(t)
	w.a.create("r0")
	second := must(w.a.DescribeRepositories(t.Context(), &sdk.DescribeRepositoriesInput{NextToken: first.NextToken}))(t)
	if len(second.Repositories) != 1 || *second.Repositories[0].RepositoryName != "r3" {
		t.Errorf("the second page is %v, want r3", second.Repositories)
	}
}

func TestTokensAreGoodForWhatTheyWereGivenFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tokens := map[string]string{}
	pages := map[string]object{}
	for _, repository := range []string{"hat", "coat"} {
		w.a.create(repository)
		w.a.push(repository, imageOf("x"), "v1")
		w.a.push(repository, imageOf("y"), "v2")
	}
	w.b.create("hat", "coat")
	w.b.push("hat", imageOf("x"), "v1")
	w.b.push("hat", imageOf("y"), "v2")
	for operation, input := range map[string]object{
		"DescribeRepositories":   {},
		"DescribeImages hat":     {"repositoryName": "hat"},
		"DescribeImages coat":    {"repositoryName": "coat"},
		"DescribeImageTags hat":  {"repositoryName": "hat"},
		"DescribeImageTags coat": {"repositoryName": "coat"},
	} {
		for account, c := range map[string]*client{"A ": w.a, "B ": w.b} {
			if account == "B " && strings.HasSuffix(operation, "coat") {
				continue
			}
			name, _, _ := strings.Cut(operation, " ")
			input["maxResults"] = 1
			tokens[account+operation] = c.send(name, input).ok()["nextToken"].(string)
		}
		pages[operation] = input
	}
	garbage := []string{
		"x", "null", "{}", "e30", "!", "0", "../..", strings.Repeat("A", 100_000), "\x00", "é",
		base64.RawURLEncoding.EncodeToString([]byte(`{"o":1}`)), base64.RawURLEncoding.EncodeToString([]byte(`[]`)),
	}
	for i, s := range garbage {
		tokens[fmt.Sprint("garbage ", i)] = s
	}
	for of, token := range maps.Clone(tokens) {
		tokens[of+", cut short"] = token[:len(token)-1]
	}
	for operation, input := range pages {
		for of, token := range tokens {
			name, _, _ := strings.Cut(operation, " ")
			input["nextToken"] = token
			r := w.a.send(name, input)
			switch {
			case of == "A "+operation:
				r.ok()
			case token != "":
				if r.exception() != "InvalidParameterException" {
					t.Errorf("%s with the token of %s: status %d, %.200s", operation, of, r.status, r.body)
				}
			}
		}
	}
	for _, token := range tokens {
		if token != "" {
			w.a.send("DescribeRegistries", object{"nextToken": token}).want("InvalidParameterException")
		}
	}
}

func TestPagesAndIdsExcludeEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat")
	w.a.push("hat", imageOf("x"), "v1")
	ctx := t.Context()
	ids := []types.ImageIdentifier{{ImageTag: ptr("v1")}}
	for name, err := range map[string]error{
		"names and size":   of(w.a.DescribeRepositories(ctx, &sdk.DescribeRepositoriesInput{RepositoryNames: []string{"hat"}, MaxResults: ptr(int32(10))})),
		"names and token":  of(w.a.DescribeRepositories(ctx, &sdk.DescribeRepositoriesInput{RepositoryNames: []string{"hat"}, NextToken: ptr("x")})),
		"images and size":  of(w.a.DescribeImages(ctx, &sdk.DescribeImagesInput{RepositoryName: ptr("hat"), ImageIds: ids, MaxResults: ptr(int32(10))})),
		"images and token": of(w.a.DescribeImages(ctx, &sdk.DescribeImagesInput{RepositoryName: ptr("hat"), ImageIds: ids, NextToken: ptr("x")})),
	} {
		if kind, message := typed(err); kind != "*types.InvalidParameterException" {
			t.Errorf("%s: %s: %s", name, kind, message)
		}
	}
}
