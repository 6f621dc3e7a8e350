package ecrpublic_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	pixels "image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic/types"
)

// secret is what must not come back out of a picture.
const secret = "<script>GPS 52.5N 13.4E</script>"

func drawn(width, height int) pixels.Image {
	img := pixels.NewRGBA(pixels.Rect(0, 0, width, height))
	for x := range width {
		for y := range height {
			img.Set(x, y, color.RGBA{uint8(x), uint8(y), 128, 255})
		}
	}
	return img
}

func encoded(encode func(*bytes.Buffer) error) []byte {
	var buf bytes.Buffer
	if err := encode(&buf); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// chunk is one of a PNG.
func chunk(kind, data string) []byte {
	raw := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	raw = append(raw, kind+data...)
	return binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE([]byte(kind+data)))
}

// withText is a PNG with text in it.
func withText(raw []byte) []byte {
	const header = 8 + 25 // signature and IHDR
	return append(append(append([]byte{}, raw[:header]...), chunk("tEXt", "Comment\x00"+secret)...), raw[header:]...)
}

// withExif is a JPEG with an APP1 segment in it.
func withExif(raw []byte) []byte {
	data := "Exif\x00\x00" + secret
	segment := append([]byte{0xff, 0xe1, 0, byte(len(data) + 2)}, data...)
	return append(append(append([]byte{}, raw[:2]...), segment...), raw[2:]...)
}

func (w *world) putLogo(raw []byte) *reply {
	return w.a.send("PutRepositoryCatalogData", object{"repositoryName": "hat", "catalogData": object{"logoImageBlob": base64.StdEncoding.EncodeToString(raw)}})
}

// logo puts a logo and returns the path at which it is.
func (w *world) logo(raw []byte) string {
	w.t.Helper()
	url, _ := w.putLogo(raw).ok()["catalogData"].(object)["logoUrl"].(string)
	path, ok := strings.CutPrefix(url, base)
	if !ok {
		w.t.Fatalf("the logo is at %q", url)
	}
	return path
}

// Pictures come out as pictures: the same pixels, but none of what else was sent.
func TestLogosAreEncodedAnew(t *testing.T) {
	t.Parallel()
	img := drawn(100, 60)
	asPNG := encoded(func(b *bytes.Buffer) error { return png.Encode(b, img) })
	asJPEG := encoded(func(b *bytes.Buffer) error { return jpeg.Encode(b, img, nil) })
	asGIF := encoded(func(b *bytes.Buffer) error { return gif.Encode(b, img, nil) })
	for _, test := range []struct {
		name, mediaType, format string
		raw                     []byte
	}{
		{"PNG", "image/png", "png", asPNG},
		{"PNG with text", "image/png", "png", withText(asPNG)},
		{"PNG and a page", "image/png", "png", append(bytes.Clone(asPNG), secret...)},
		{"JPEG", "image/jpeg", "jpeg", asJPEG},
		{"JPEG with a place", "image/jpeg", "jpeg", withExif(asJPEG)},
		{"JPEG and a page", "image/jpeg", "jpeg", append(bytes.Clone(asJPEG), secret...)},
		{"GIF", "image/png", "png", asGIF},
		{"GIF and a page", "image/png", "png", append(bytes.Clone(asGIF), secret...)},
		{"smallest", "image/png", "png", picture(60, 60)},
		{"widest", "image/png", "png", picture(2048, 60)},
		{"highest", "image/png", "png", picture(60, 2048)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.a.create("hat")
			path := w.logo(test.raw)
			r := w.get(path, "")
			same(t, "status", r.status, 200)
			for name, want := range map[string]string{
				"Content-Type": test.mediaType, "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox",
			} {
				same(t, name, r.header.Get(name), want)
			}
			if cache := r.header.Get("Cache-Control"); !strings.Contains(cache, "max-age=31536000") || !strings.Contains(cache, "immutable") {
				t.Errorf("Cache-Control is %q; what is at the path never changes", cache)
			}
			// One that the same library made may come out as it was.
			if r.body == string(test.raw) && strings.Contains(test.name, " ") {
				t.Error("the picture is what was sent")
			}
			for _, part := range []string{secret, "Exif", "tEXt"} {
				if strings.Contains(r.body, part) {
					t.Errorf("the picture still has %q in it", part)
				}
			}
			got, format, err := pixels.Decode(strings.NewReader(r.body))
			if err != nil || format != test.format {
				t.Fatalf("what is served is %s, %v", format, err)
			}
			sent, _, err := pixels.Decode(bytes.NewReader(test.raw))
			if err != nil {
				t.Fatal(err)
			}
			same(t, "size", got.Bounds().Size(), sent.Bounds().Size())
			same(t, "HEAD", w.head(path), r.header.Get("Content-Length"))
		})
	}
}

// head returns the Content-Length of what is at a path, if it answers HEAD as it should.
func (w *world) head(path string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), "HEAD", base+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r := w.do(req)
	if r.status != 200 || r.body != "" {
		w.t.Errorf("HEAD: status %d and %d bytes", r.status, len(r.body))
	}
	return r.header.Get("Content-Length")
}

func TestWhatIsNoLogo(t *testing.T) {
	t.Parallel()
	w, _ := matrixWorld(t)
	before := w.rows()
	bomb := picture(60, 60)
	binary.BigEndian.PutUint32(bomb[16:], 60000)
	binary.BigEndian.PutUint32(bomb[20:], 60000)
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	bombGIF := encoded(func(b *bytes.Buffer) error { return gif.Encode(b, drawn(60, 60), nil) })
	binary.LittleEndian.PutUint16(bombGIF[6:], 65535)
	binary.LittleEndian.PutUint16(bombGIF[8:], 65535)
	for name, raw := range map[string][]byte{
		"narrow":             picture(59, 60),
		"low":                picture(60, 59),
		"wide":               picture(2049, 60),
		"high":               picture(60, 2049),
		"a pixel":            picture(1, 1),
		"bomb":               bomb,
		"GIF bomb":           bombGIF,
		"more than 500 KB":   append(picture(60, 60), make([]byte, 512000)...),
		"SVG":                []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100"><script>alert(1)</script></svg>`),
		"page":               []byte("<!DOCTYPE html><script>alert(1)</script>"),
		"PNG's first bytes":  picture(100, 100)[:40],
		"PNG cut short":      picture(100, 100)[:200],
		"PNG's signature":    []byte("\x89PNG\r\n\x1a\n" + secret),
		"GIF's signature":    []byte("GIF89a" + secret),
		"JPEG's signature":   []byte("\xff\xd8\xff\xe0" + secret),
		"WebP":               []byte("RIFF\x24\x00\x00\x00WEBPVP8 \x18\x00\x00\x000\x01\x00\x9d\x01\x2a\x01\x00\x01\x00\x02\x004%\xa4\x00\x03p\x00\xfe\xfb\x94\x00\x00"),
		"BMP":                append([]byte("BM"), make([]byte, 60)...),
		"GIF without colors": append([]byte("GIF89a\x64\x00\x64\x00\x00\x00\x00"), 0x3b),
	} {
		r := w.putLogo(raw).want("InvalidParameterException")
		if !strings.Contains(r.message(), "catalogData.logoImageBlob") {
			t.Errorf("%s: the message is %s", name, r.message())
		}
		w.unchanged(t, name, before)
	}
}

// A GIF says the size of its screen and that of each picture. What is shown is the picture,
// so that is what must have the size of a logo.
func TestGIFWithAPictureSmallerThanItsScreen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat")
	dot := pixels.NewPaletted(pixels.Rect(10, 10, 11, 11), color.Palette{color.Black, color.White})
	raw := encoded(func(b *bytes.Buffer) error {
		return gif.EncodeAll(b, &gif.GIF{Image: []*pixels.Paletted{dot}, Delay: []int{0}, Config: pixels.Config{Width: 100, Height: 100, ColorModel: dot.Palette}})
	})
	r := w.putLogo(raw)
	if r.status != 200 {
		r.want("InvalidParameterException")
		return
	}
	path := strings.TrimPrefix(r.ok()["catalogData"].(object)["logoUrl"].(string), base)
	img, _, err := pixels.DecodeConfig(strings.NewReader(w.get(path, "").body))
	if err != nil || img.Width < 60 || img.Height < 60 {
		t.Errorf("the logo is %dx%d, %v", img.Width, img.Height, err)
	}
}

// Only the logo that is set is there, at its own path, for as long as it is set.
func TestPathsOfLogos(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat", "coat")
	path := w.logo(picture(60, 60))
	same(t, "status", w.get(path, "").status, 200)
	for _, other := range []string{
		strings.Replace(path, "hat", "coat", 1), strings.Replace(path, "acme", "nobody", 1), strings.Replace(path, ".png", ".jpeg", 1), strings.TrimSuffix(path, ".png"),
		path + "/", path + ".png", path[:len(path)-5] + "0.png", path[:len(path)-5] + "f.png", "/-/logo/", "/-/logo/acme/hat/", "/-/logo/acme/hat", "/-/logo/x", "/-/logo//x.png",
		strings.Replace(path, "/acme/", "/acme/../acme/", 1), strings.Replace(path, "/hat/", "/hat//", 1),
	} {
		if other == path {
			continue
		}
		r := w.get(other, "")
		if r.status != 404 || strings.Contains(r.header.Get("Content-Type"), "html") {
			t.Errorf("%s: status %d, %s", other, r.status, r.header.Get("Content-Type"))
		}
	}
	another := w.logo(picture(61, 61))
	if another == path {
		t.Error("another logo has the same path")
	}
	same(t, "status of the first", w.get(path, "").status, 404)
	same(t, "status of the second", w.get(another, "").status, 200)
	w.a.send("PutRepositoryCatalogData", object{"repositoryName": "hat", "catalogData": object{}}).ok()
	same(t, "status once there is none", w.get(another, "").status, 404)

	path = w.logo(picture(62, 62))
	must(w.a.DeleteRepository(t.Context(), &sdk.DeleteRepositoryInput{RepositoryName: ptr("hat")}))(t)
	same(t, "status once there is no repository", w.get(path, "").status, 404)
}

// A logo of a repository that is not made, is not kept where anybody finds it; and one that
// exists is not replaced.
func TestLogoOfARepositoryThatIsNotMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.a.create("hat")
	path := w.logo(picture(60, 60))
	_, err := w.a.CreateRepository(t.Context(), &sdk.CreateRepositoryInput{
		RepositoryName: ptr("hat"), CatalogData: &types.RepositoryCatalogDataInput{LogoImageBlob: picture(70, 70), Description: ptr("taken over")},
	})
	if kind, _ := typed(err); kind != "*types.RepositoryAlreadyExistsException" {
		t.Errorf("%s", kind)
	}
	same(t, "status", w.get(path, "").status, 200)
	got := must(w.a.GetRepositoryCatalogData(t.Context(), &sdk.GetRepositoryCatalogDataInput{RepositoryName: ptr("hat")}))(t)
	if got.CatalogData.Description != nil || *got.CatalogData.LogoUrl != base+path {
		t.Errorf("the catalog data is %s", marshal(got.CatalogData))
	}
}
