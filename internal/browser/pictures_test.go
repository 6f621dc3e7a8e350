package browser_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "keep the pictures of now")

// Where kept pictures are, and what made them.
const (
	kept       = "testdata/screenshots"
	madeByFile = kept + "/made-by.json"
)

// How many pixels of a picture may be others, and how far a pixel may be from what it was, of
// 255, in any of its colours.
const (
	mostOthers = 0.001
	nearEnough = 32
)

// madeBy is what pictures depend on besides the pages: other versions of the browser, and other
// fonts, draw the same page differently.
type madeBy struct {
	Chromium string `json:"chromium,omitempty"`
	Glyphs   string `json:"glyphs,omitempty"` // hash of some drawn text
}

// comparePictures compares the pictures of a folder with the kept ones, or keeps them.
func comparePictures(t *testing.T, folder string, by madeBy) {
	now, err := filepath.Glob(filepath.Join(folder, "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		keepPictures(t, now, by)
		return
	}
	var before madeBy
	raw, err := os.ReadFile(madeByFile)
	if err == nil {
		err = json.Unmarshal(raw, &before)
	}
	if err != nil {
		t.Fatal(err)
	}
	if before != by {
		t.Logf("pictures are not compared: the kept ones were made by %v, this is %v", before, by)
		return
	}
	for _, file := range now {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(filepath.Join(kept, name))
			if err != nil {
				t.Fatalf("%v; -update keeps the one of now", err)
			}
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := compare(want, got); err != nil {
				shown := filepath.Join(t.ArtifactDir(), name)
				if err := os.WriteFile(shown, got, 0o600); err != nil {
					t.Error(err)
				}
				t.Errorf("%v; -artifacts keeps %s, -update makes it the right one", err, shown)
			}
		})
	}
	if old, _ := filepath.Glob(filepath.Join(kept, "*.png")); len(old) != len(now) {
		t.Errorf("%d pictures are kept and %d were made; -update brings them together", len(old), len(now))
	}
}

// keepPictures replaces the kept pictures.
func keepPictures(t *testing.T, files []string, by madeBy) {
	if err := os.RemoveAll(kept); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(kept, 0o755); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err == nil {
			raw, err = squeeze(raw)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(kept, filepath.Base(file)), raw, 0o644) //nolint:gosec // it is to be committed
		}
		if err != nil {
			t.Fatal(err)
		}
		total += len(raw)
	}
	raw, err := json.MarshalIndent(by, "", "  ")
	if err == nil {
		err = os.WriteFile(madeByFile, append(raw, '\n'), 0o644) //nolint:gosec // it is to be committed
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d pictures are kept, of %d KB", len(files), total/1000)
}

// squeeze writes a picture with at most 256 colours, the most frequent ones. Others are shades at
// the edges of letters, which nobody can tell from their neighbours. Where that is not so, the
// picture stays as it is.
func squeeze(raw []byte) ([]byte, error) {
	img, err := decode(raw)
	if err != nil {
		return nil, err
	}
	count := map[color.RGBA]int{}
	for i := 0; i < len(img.Pix); i += 4 {
		count[color.RGBA{img.Pix[i], img.Pix[i+1], img.Pix[i+2], 255}]++
	}
	colours := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	var palette color.Palette
	for _, c := range colours[:min(len(colours), 256)] {
		palette = append(palette, c)
	}
	index := map[color.RGBA]uint8{}
	for _, c := range colours {
		index[c] = uint8(palette.Index(c)) //nolint:gosec // of 256
	}
	flat := image.NewPaletted(img.Rect, palette)
	for i := range flat.Pix {
		flat.Pix[i] = index[color.RGBA{img.Pix[4*i], img.Pix[4*i+1], img.Pix[4*i+2], 255}]
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, flat); err != nil {
		return nil, err
	}
	if compare(out.Bytes(), raw) != nil {
		return raw, nil
	}
	return out.Bytes(), nil
}

// compare says how many pixels are others, if those are too many.
func compare(want, got []byte) error {
	w, err := decode(want)
	if err != nil {
		return err
	}
	g, err := decode(got)
	if err != nil {
		return err
	}
	if w.Rect != g.Rect {
		return fmt.Errorf("it has the size %v, and had %v", g.Rect.Size(), w.Rect.Size())
	}
	others, pixels := 0, w.Rect.Dx()*w.Rect.Dy()
	for i := 0; i < len(w.Pix); i += 4 {
		for c := range 3 {
			if d := int(w.Pix[i+c]) - int(g.Pix[i+c]); d > nearEnough || d < -nearEnough {
				others++
				break
			}
		}
	}
	if float64(others) > mostOthers*float64(pixels) {
		return fmt.Errorf("%d of %d pixels are others than before", others, pixels)
	}
	return nil
}

func decode(raw []byte) (*image.RGBA, error) {
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	out := image.NewRGBA(img.Bounds())
	draw.Draw(out, out.Rect, img, out.Rect.Min, draw.Src)
	return out, nil
}
