package registry_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	pic "image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/event"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// picture draws an image of one color with a dot.
func picture(width, height int, c color.Color) pic.Image {
	img := pic.NewPaletted(pic.Rect(0, 0, width, height), color.Palette{c, color.Black})
	img.SetColorIndex(width/2, height/2, 1)
	return img
}

func pngOf(t testing.TB, img pic.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(t testing.TB, img pic.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gifOf(t testing.TB, img pic.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := gif.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// claiming is a PNG whose header claims sides that its content does not have.
func claiming(t testing.TB, width, height uint32) []byte {
	t.Helper()
	raw := pngOf(t, picture(100, 100, color.White))
	binary.BigEndian.PutUint32(raw[16:], width)
	binary.BigEndian.PutUint32(raw[20:], height)
	binary.BigEndian.PutUint32(raw[29:], crc32.ChecksumIEEE(raw[12:29]))
	return raw
}

// withText is a PNG with a chunk of text, which may be a script.
func withText(t testing.TB, raw []byte, text string) []byte {
	t.Helper()
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(text)))
	chunk = append(append(chunk, "tEXt"...), text...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	return slices.Concat(raw[:33], chunk, raw[33:])
}

func texts(n int, s string) []string { return slices.Repeat([]string{s}, n) }

func objects(t testing.TB, b storage.Bucket) (keys []string) {
	t.Helper()
	for o, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

func reviewed(t testing.TB, store meta.Store, kind meta.ReviewKind) (subjects []string) {
	t.Helper()
	err := store.View(t.Context(), func(tx meta.Tx) error {
		for r, err := range tx.Reviews().Scan(meta.Range[meta.ReviewKey]{}) {
			if err != nil {
				return err
			}
			if r.Kind == kind {
				subjects = append(subjects, r.Subject)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return subjects
}

func TestCatalogDataBounds(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	ctx := t.Context()
	owner := s.Owner()
	if _, err := owner.CreateRepository(ctx, "test/hat", nil); err != nil {
		t.Fatal(err)
	}
	if c, err := owner.CatalogData(ctx, "test/hat"); err != nil || !cmp.Equal(c, registry.CatalogData{}) {
		t.Errorf("before anything was set: %+v, %v", c, err)
	}
	// ü and 帽 are characters of two and three bytes: characters count
	for name, c := range map[string]registry.CatalogData{
		"nothing":           {},
		"description":       {Description: strings.Repeat("ü", 1024)},
		"about":             {About: strings.Repeat("帽", 25600)},
		"usage":             {Usage: strings.Repeat("帽", 25600)},
		"architectures":     {Architectures: texts(50, strings.Repeat("ü", 50))},
		"operating systems": {OperatingSystems: texts(50, strings.Repeat("ü", 50))},
		"lines":             {Description: "a\nb", About: "# Hat\r\n\n\tcode", Usage: "<script>alert(1)</script>"},
		"all":               {Description: "d", Architectures: []string{"ARM 64", "x86-64"}, OperatingSystems: []string{"Linux"}, About: "a", Usage: "u"},
	} {
		got, err := owner.PutCatalogData(ctx, "test/hat", c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		same(t, name+" as it was put", got, c)
		got, err = owner.CatalogData(ctx, "test/hat")
		if wantErr(t, name, err, nil); err == nil {
			same(t, name, got, c)
		}
	}
	before, err := owner.CatalogData(ctx, "test/hat")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]registry.CatalogData{
		"description":             {Description: strings.Repeat("ü", 1025)},
		"about":                   {About: strings.Repeat("a", 25601)},
		"usage":                   {Usage: strings.Repeat("a", 25601)},
		"architectures":           {Architectures: texts(51, "x")},
		"architecture":            {Architectures: []string{strings.Repeat("x", 51)}},
		"empty architecture":      {Architectures: []string{"x", ""}},
		"lines of architecture":   {Architectures: []string{"a\nb"}},
		"operating systems":       {OperatingSystems: texts(51, "x")},
		"operating system":        {OperatingSystems: []string{strings.Repeat("x", 51)}},
		"empty operating system":  {OperatingSystems: []string{""}},
		"description not UTF-8":   {Description: "\xff"},
		"about not UTF-8":         {About: "a\xc3"},
		"usage with a zero":       {Usage: "a\x00b"},
		"description with escape": {Description: "\x1b[31m"},
		"architecture not UTF-8":  {Architectures: []string{"\xff"}},
	} {
		wantErr(t, name, second(owner.PutCatalogData(ctx, "test/hat", c)), registry.ErrCatalogInvalid)
		wantErr(t, "create with "+name, second(owner.CreateRepository(ctx, "test/cap", &registry.CreateOptions{Catalog: &c})), registry.ErrCatalogInvalid)
	}
	after, err := owner.CatalogData(ctx, "test/hat")
	if wantErr(t, "after", err, nil); err == nil {
		same(t, "after what was refused", after, before)
	}
	wantErr(t, "cap", second(owner.Repository(ctx, "test/cap")), fs.ErrNotExist)
	wantErr(t, "of a repository that is not there", second(owner.CatalogData(ctx, "test/cap")), registry.ErrNameUnknown)
}

// What an operator says of a repository is not for its owner to set or to take away.
func TestCertifiedIsTheOperatorsWord(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	ctx := t.Context()
	repo, err := s.Owner().CreateRepository(ctx, "test/hat", &registry.CreateOptions{Catalog: &registry.CatalogData{Certified: true, LogoURL: "https://evil.example/x.png"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Owner().CatalogData(ctx, "test/hat")
	if err != nil || c.Certified || c.LogoURL != "" {
		t.Errorf("%+v, %v", c, err)
	}
	err = s.Store.Update(ctx, func(tx meta.Tx) error { return tx.Catalogs().Put(meta.Catalog{Repository: repo.ID, Certified: true}) })
	if err != nil {
		t.Fatal(err)
	}
	if c, err = s.Owner().PutCatalogData(ctx, "test/hat", registry.CatalogData{Description: "x"}); err != nil || !c.Certified {
		t.Errorf("%+v, %v; want it certified still", c, err)
	}
}

func TestLogo(t *testing.T) {
	t.Parallel()
	red := color.RGBA{R: 255, A: 255}
	script := "<script>alert(1)</script>"
	photo := pic.NewGray(pic.Rect(0, 0, 100, 80))
	for name, c := range map[string]struct {
		raw       []byte
		mediaType string
	}{
		"PNG":                   {pngOf(t, picture(100, 80, red)), "image/png"},
		"GIF":                   {gifOf(t, picture(100, 80, red)), "image/png"},
		"JPEG":                  {jpegOf(t, picture(100, 80, red)), "image/jpeg"},
		"gray JPEG":             {jpegOf(t, photo), "image/jpeg"},
		"smallest":              {pngOf(t, picture(60, 60, red)), "image/png"},
		"largest":               {pngOf(t, picture(2048, 2048, red)), "image/png"},
		"wide":                  {pngOf(t, picture(2048, 60, red)), "image/png"},
		"PNG with a script":     {withText(t, pngOf(t, picture(100, 80, red)), "Comment\x00"+script), "image/png"},
		"PNG with what follows": {append(pngOf(t, picture(100, 80, red)), script...), "image/png"},
		"JPEG with a page":      {append(jpegOf(t, picture(100, 80, red)), "<html>"+script...), "image/jpeg"},
		"of the largest size":   {append(pngOf(t, picture(100, 80, red)), make([]byte, 512000-len(pngOf(t, picture(100, 80, red))))...), "image/png"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := registrytest.New(t)
			ctx := t.Context()
			if _, err := s.Owner().CreateRepository(ctx, "test/hat/red", nil); err != nil {
				t.Fatal(err)
			}
			got, err := s.Owner().PutCatalogData(ctx, "test/hat/red", registry.CatalogData{Logo: c.raw, Description: "d"})
			if err != nil {
				t.Fatal(err)
			}
			if got.Logo != nil || !strings.HasPrefix(got.LogoURL, registry.LogoPath+"test/hat/red/") || got.Description != "d" {
				t.Fatalf("%+.200v", got)
			}
			anybody := s.As(auth.Principal{})
			raw, mediaType, err := anybody.Logo(ctx, got.LogoURL)
			if err != nil || mediaType != c.mediaType {
				t.Fatalf("logo: %s, %v; want %s", mediaType, err, c.mediaType)
			}
			if bytes.Contains(raw, []byte("script")) {
				t.Error("the script has come through")
			}
			want, _, err := pic.Decode(bytes.NewReader(c.raw))
			if err != nil {
				t.Fatal(err)
			}
			shown, format, err := pic.Decode(bytes.NewReader(raw))
			if err != nil || shown.Bounds() != want.Bounds() || "image/"+format != c.mediaType {
				t.Fatalf("shown as %s of %v, %v; want %v", format, shown.Bounds(), err, want.Bounds())
			}
			r, g, b, _ := shown.At(1, 1).RGBA()
			wr, wg, wb, _ := want.At(1, 1).RGBA()
			for _, d := range []int{int(r) - int(wr), int(g) - int(wg), int(b) - int(wb)} {
				if d < -0x0fff || d > 0x0fff {
					t.Errorf("the color at 1,1 is %x %x %x, want %x %x %x", r, g, b, wr, wg, wb)
				}
			}
			if !strings.Contains(got.LogoURL, sha(raw)[len("sha256:"):]) {
				t.Errorf("%s does not name the digest %s", got.LogoURL, sha(raw))
			}
			if len(reviewed(t, s.Store, meta.ReviewObject)) > 0 || len(objects(t, s.Bucket)) != 1 {
				t.Errorf("objects %v, for review %v", objects(t, s.Bucket), reviewed(t, s.Store, meta.ReviewObject))
			}
		})
	}
}

func TestLogosThatAreRefused(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	ctx := t.Context()
	good := pngOf(t, picture(100, 80, color.White))
	if _, err := s.Owner().CreateRepository(ctx, "test/hat", nil); err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{
		"text":            []byte("hello"),
		"SVG":             []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100"><script>alert(1)</script></svg>`),
		"HTML":            []byte("<html><body>GIF89a"),
		"cut short":       good[:len(good)-20],
		"header only":     good[:33],
		"BMP":             append([]byte("BM"), make([]byte, 200)...),
		"too narrow":      pngOf(t, picture(59, 100, color.White)),
		"too low":         pngOf(t, picture(100, 59, color.White)),
		"too wide":        pngOf(t, picture(2049, 100, color.White)),
		"too high":        pngOf(t, picture(100, 2049, color.White)),
		"one byte more":   append(slices.Clone(good), make([]byte, 512001-len(good))...),
		"sides of 2^31-1": claiming(t, 1<<31-1, 1<<31-1),
		"sides of 30,000": claiming(t, 30000, 30000),
		"no side":         claiming(t, 0, 100),
		"wrong sides":     claiming(t, 2000, 2000),
		"JPEG cut short":  jpegOf(t, picture(100, 80, color.White))[:300],
	} {
		_, err := s.Owner().PutCatalogData(ctx, "test/hat", registry.CatalogData{Logo: raw})
		wantErr(t, name, err, registry.ErrCatalogInvalid)
	}
	if keys := objects(t, s.Bucket); len(keys) > 0 {
		t.Errorf("objects are left: %v", keys)
	}
}

// A bomb is refused by its header: nothing of its size is ever made. The test is not parallel,
// for what it measures is the process's.
func TestALogoThatIsABomb(t *testing.T) {
	s := registrytest.New(t)
	if _, err := s.Owner().CreateRepository(t.Context(), "test/hat", nil); err != nil {
		t.Fatal(err)
	}
	// 65,535 by 65,535 pixels: 4 GB to hold, and a few bytes to send
	var bomb bytes.Buffer
	if err := gif.Encode(&bomb, pic.NewPaletted(pic.Rect(0, 0, 1, 1), color.Palette{color.Black, color.White}), nil); err != nil {
		t.Fatal(err)
	}
	raw := bomb.Bytes()
	binary.LittleEndian.PutUint16(raw[6:], 65535)
	binary.LittleEndian.PutUint16(raw[8:], 65535)
	for name, raw := range map[string][]byte{"GIF": raw, "PNG": claiming(t, 60000, 60000)} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := s.Owner().PutCatalogData(t.Context(), "test/hat", registry.CatalogData{Logo: raw})
		runtime.ReadMemStats(&after)
		wantErr(t, name, err, registry.ErrCatalogInvalid)
		if n := after.TotalAlloc - before.TotalAlloc; n > 32<<20 {
			t.Errorf("%s: refusing it took %d MiB", name, n>>20)
		}
	}
}

// One file can hold many pictures: frames are not all to be held.
func TestALogoOfManyFrames(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	if _, err := s.Owner().CreateRepository(t.Context(), "test/hat", nil); err != nil {
		t.Fatal(err)
	}
	frame := picture(100, 100, color.White).(*pic.Paletted)
	all := &gif.GIF{}
	for range 50 {
		all.Image, all.Delay = append(all.Image, frame), append(all.Delay, 1)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, all); err != nil {
		t.Fatal(err)
	}
	c, err := s.Owner().PutCatalogData(t.Context(), "test/hat", registry.CatalogData{Logo: b.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	raw, mediaType, err := s.Owner().Logo(t.Context(), c.LogoURL)
	if err != nil || mediaType != "image/png" || !bytes.HasPrefix(raw, []byte("\x89PNG")) {
		t.Errorf("logo %s, %v", mediaType, err)
	}
}

func TestLogoIsReplaced(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	ctx := t.Context()
	owner := s.Owner()
	logo := func(c color.Color) registry.CatalogData {
		return registry.CatalogData{Logo: pngOf(t, picture(100, 80, c))}
	}
	data := logo(color.White)
	if _, err := owner.CreateRepository(ctx, "test/hat", &registry.CreateOptions{Catalog: &data}); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.CreateRepository(ctx, "test/cap", nil); err != nil {
		t.Fatal(err)
	}
	first, err := owner.CatalogData(ctx, "test/hat")
	if err != nil {
		t.Fatal(err)
	}
	firstObject := objects(t, s.Bucket)
	if len(firstObject) != 1 || len(reviewed(t, s.Store, meta.ReviewObject)) > 0 {
		t.Fatalf("objects %v, for review %v", firstObject, reviewed(t, s.Store, meta.ReviewObject))
	}
	see := func(p string) error {
		_, _, err := s.As(auth.Principal{}).Logo(ctx, p)
		return err
	}
	wantErr(t, "the first", see(first.LogoURL), nil)
	dir, file := path.Split(first.LogoURL)
	other := strings.Repeat("0", 64)
	for _, p := range []string{
		dir + other + ".png", dir + strings.TrimSuffix(file, ".png") + ".jpeg", dir + strings.TrimSuffix(file, ".png"), dir + "sha256:" + file, dir + "." + file, dir + strings.ToUpper(file),
		dir, registry.LogoPath, "", "/", registry.LogoPath + "test/cap/" + file, registry.LogoPath + "nobody/hat/" + file, registry.LogoPath + "test/" + file, dir + "../hat/" + file,
	} {
		if err := see(p); err == nil {
			t.Errorf("%s leads to a logo", p)
		}
	}
	second, err := owner.PutCatalogData(ctx, "test/hat", logo(color.RGBA{B: 255, A: 255}))
	if err != nil || second.LogoURL == first.LogoURL {
		t.Fatalf("%+v, %v", second, err)
	}
	wantErr(t, "the second", see(second.LogoURL), nil)
	wantErr(t, "the first, after the second", see(first.LogoURL), fs.ErrNotExist)
	same(t, "for review", reviewed(t, s.Store, meta.ReviewObject), firstObject)

	// the same picture once more: its object is a new one, and what is shown stays
	third, err := owner.PutCatalogData(ctx, "test/hat", logo(color.RGBA{B: 255, A: 255}))
	if err != nil || third.LogoURL != second.LogoURL {
		t.Errorf("%s, %v; want %s", third.LogoURL, err, second.LogoURL)
	}
	wantErr(t, "the third", see(third.LogoURL), nil)
	if n := len(reviewed(t, s.Store, meta.ReviewObject)); n != 2 {
		t.Errorf("%d objects for review, want 2", n)
	}
	none, err := owner.PutCatalogData(ctx, "test/hat", registry.CatalogData{Description: "no logo"})
	if err != nil || none.LogoURL != "" {
		t.Errorf("%+v, %v", none, err)
	}
	wantErr(t, "the third, when there is none", see(third.LogoURL), fs.ErrNotExist)
	left := objects(t, s.Bucket)
	queued := reviewed(t, s.Store, meta.ReviewObject)
	slices.Sort(queued)
	same(t, "objects that nothing needs are queued", queued, left)
}

// A create that fails leaves nothing that nobody knows of.
func TestAFailedCreateLeavesItsLogoForReview(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		repo string
		opts registry.CreateOptions
		want error
	}{
		"too many tags": {"test/cap", registry.CreateOptions{Tags: manyTags(51)}, registry.ErrTooManyResourceTags},
		"invalid tag":   {"test/cap", registry.CreateOptions{Tags: map[string]string{"aws:x": ""}}, registry.ErrResourceTagInvalid},
		"invalid name":  {"test/c", registry.CreateOptions{}, registry.ErrNameInvalid},
		"quota":         {"test/cap", registry.CreateOptions{}, registry.ErrQuota},
		"exists":        {"test/hat", registry.CreateOptions{}, registry.ErrNameExists},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := registrytest.New(t, func(cfg *registry.Config) {
				cfg.WideNames = false
				cfg.Quotas.Repositories = 2
			})
			ctx := t.Context()
			told := recordEvents(t, s.Store)
			names := []string{"test/hat"}
			if name == "quota" {
				names = append(names, "test/shoe")
			}
			for _, n := range names {
				if _, err := s.Owner().CreateRepository(ctx, n, nil); err != nil {
					t.Fatal(err)
				}
			}
			before := len(told())
			c.opts.Catalog = &registry.CatalogData{Logo: pngOf(t, picture(100, 80, color.White))}
			wantErr(t, "create", second(s.Owner().CreateRepository(ctx, c.repo, &c.opts)), c.want)
			if name != "exists" {
				wantErr(t, "the repository", second(s.Owner().Repository(ctx, c.repo)), fs.ErrNotExist)
			}
			same(t, "objects are queued", reviewed(t, s.Store, meta.ReviewObject), objects(t, s.Bucket))
			same(t, "events", typesOf(told()[before:]), []event.Type(nil))
		})
	}
}

func manyTags(n int) map[string]string {
	tags := map[string]string{}
	for i := range n {
		tags[fmt.Sprintf("key%d", i)] = "v"
	}
	return tags
}

func TestResourceTags(t *testing.T) {
	t.Parallel()
	s := registrytest.New(t)
	ctx := t.Context()
	owner := s.Owner()
	told := recordEvents(t, s.Store)
	if _, err := owner.CreateRepository(ctx, "test/hat", &registry.CreateOptions{Tags: map[string]string{"a": "1", "b": "2"}}); err != nil {
		t.Fatal(err)
	}
	have := func(want map[string]string) {
		t.Helper()
		got, err := owner.RepositoryTags(ctx, "test/hat")
		if wantErr(t, "tags", err, nil); err == nil {
			same(t, "tags", got, want)
		}
	}
	have(map[string]string{"a": "1", "b": "2"})
	wantErr(t, "overwrite", owner.TagRepository(ctx, "test/hat", map[string]string{"b": "3", "A": "4"}), nil)
	have(map[string]string{"a": "1", "b": "3", "A": "4"})
	wantErr(t, "remove, some of which are not there", owner.UntagRepository(ctx, "test/hat", "b", "nothing"), nil)
	have(map[string]string{"a": "1", "A": "4"})

	wide, long := strings.Repeat("ü", 128), strings.Repeat("帽", 256)
	good := map[string]string{wide: long, "team/a_b.c:d=e+f-g@h": "x y", "k": "", "awsx": "1", "x:aws:": "2", "12": "3"}
	wantErr(t, "good ones", owner.TagRepository(ctx, "test/hat", good), nil)
	good["a"], good["A"] = "1", "4"
	have(good)
	for name, tag := range map[string][2]string{
		"no key": {"", "v"}, "key of 129": {wide + "a", "v"}, "value of 257": {"k", long + "a"}, "reserved": {"aws:createdBy", "v"}, "reserved, upper": {"AWS:createdBy", "v"}, "only reserved": {"aws:", "v"},
		"key with a star": {"a*", "v"}, "value with a star": {"k", "*"}, "key with a line": {"a\nb", "v"}, "value with a line": {"k", "a\n"}, "key not UTF-8": {"\xff", "v"},
		"value not UTF-8": {"k", "\xff"}, "key with a zero": {"a\x00", "v"}, "key with markup": {"<b>", "v"}, "value with quotes": {"k", `"`},
		"key that ends in a line": {"k\n", "v"},
	} {
		err := owner.TagRepository(ctx, "test/hat", map[string]string{tag[0]: tag[1], "fine": "v"})
		wantErr(t, name, err, registry.ErrResourceTagInvalid)
	}
	wantErr(t, "remove of a reserved one", owner.UntagRepository(ctx, "test/hat", "a", "aws:x"), registry.ErrResourceTagInvalid)
	have(good)

	room := registry.MaxResourceTags - len(good)
	wantErr(t, "one too many", owner.TagRepository(ctx, "test/hat", manyTags(room+1)), registry.ErrTooManyResourceTags)
	have(good)
	wantErr(t, "exactly the limit", owner.TagRepository(ctx, "test/hat", manyTags(room)), nil)
	wantErr(t, "one more", owner.TagRepository(ctx, "test/hat", map[string]string{"new": ""}), registry.ErrTooManyResourceTags)
	wantErr(t, "one that is there", owner.TagRepository(ctx, "test/hat", map[string]string{"key0": "other"}), nil)
	wantErr(t, "remove one", owner.UntagRepository(ctx, "test/hat", "key0"), nil)
	wantErr(t, "one more, now that there is room", owner.TagRepository(ctx, "test/hat", map[string]string{"new": ""}), nil)
	wantErr(t, "create with one too many", second(owner.CreateRepository(ctx, "test/cap", &registry.CreateOptions{Tags: manyTags(51)})), registry.ErrTooManyResourceTags)
	wantErr(t, "create with the limit", second(owner.CreateRepository(ctx, "test/cap", &registry.CreateOptions{Tags: manyTags(50)})), nil)
	for _, e := range told() {
		if e.Type != event.TagsChanged && e.Type != event.RepositoryCreated || e.Account != registrytest.Account || e.Repository == "" {
			t.Errorf("event %+v", e)
		}
	}
}
