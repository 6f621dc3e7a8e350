package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"strconv"
	"strings"
)

// logoSide is how wide and high logos are, in pixels.
const logoSide = 128

// shapes say of a point, from -1 to 1 either way, whether it is part of a drawing.
var shapes = map[string]func(x, y float64) bool{
	"ring": func(x, y float64) bool { r := math.Hypot(x, y); return r > 0.34 && r < 0.58 },
	"moon": func(x, y float64) bool { return math.Hypot(x, y) < 0.6 && math.Hypot(x-0.25, y+0.15) > 0.5 },
	"stack": func(x, y float64) bool {
		return math.Abs(x) < 0.55 && math.Mod(y+0.62, 0.44) < 0.3 && math.Abs(y) < 0.6
	},
	"bars": func(x, y float64) bool {
		return math.Mod(x+0.62, 0.44) < 0.3 && math.Abs(x) < 0.6 && y < 0.55 && y > -0.1-x*0.7
	},
	"peaks": func(x, y float64) bool {
		return y < 0.5 && (y > 1.3*math.Abs(x+0.22)-0.5 || y > 1.3*math.Abs(x-0.38)-0.05) && math.Abs(x) < 0.75
	},
	"hex": func(x, y float64) bool { return hexagon(x, y) < 0.62 && hexagon(x, y) > 0.4 || hexagon(x, y) < 0.2 },
	"leaf": func(x, y float64) bool {
		return math.Hypot(x-0.3, y-0.3) < 0.85 && math.Hypot(x+0.3, y+0.3) < 0.85 && math.Abs(x-y) > 0.06
	},
	"waves": func(x, y float64) bool {
		return math.Abs(x) < 0.65 && math.Abs(y) < 0.6 && math.Mod(y+0.12*math.Sin(5*x)+2.1, 0.4) < 0.2
	},
	"shield": func(x, y float64) bool {
		return y > -0.6 && math.Abs(x) < 0.5-math.Max(0, y)*math.Max(0, y)*1.1 && y < 0.66
	},
	"arrow": func(x, y float64) bool {
		return y > -0.55 && y < 0.1 && math.Abs(x) < y+0.6 || y >= 0.1 && y < 0.6 && math.Abs(x) < 0.2
	},
	"dots": func(x, y float64) bool {
		return math.Hypot(math.Mod(x+1.8, 0.6)-0.3, math.Mod(y+1.8, 0.6)-0.3) < 0.2 && math.Abs(x) < 0.6 && math.Abs(y) < 0.6
	},
	"bolt": func(x, y float64) bool {
		return math.Abs(x+0.5*y) < 0.3 && math.Abs(y) < 0.65 && (y < 0.08 && x < 0.25 || y > -0.08 && x > -0.25)
	},
}

func hexagon(x, y float64) float64 {
	x, y = math.Abs(x), math.Abs(y)
	return math.Max(x*0.866+y*0.5, y)
}

// drawLogo draws what "shape ground figure" says, the colours as in HTML, on a tile with round
// corners. No text is no logo.
func drawLogo(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	f := strings.Fields(text)
	if len(f) != 3 || shapes[f[0]] == nil {
		return nil, fmt.Errorf("%q is no logo", text)
	}
	ground, err := parseColor(f[1])
	if err != nil {
		return nil, err
	}
	figure, err := parseColor(f[2])
	if err != nil {
		return nil, err
	}
	img := image.NewNRGBA(image.Rect(0, 0, logoSide, logoSide))
	const fine = 3 // points by which each pixel is judged, either way, for smooth edges
	for py := range logoSide {
		for px := range logoSide {
			var inTile, inShape float64
			for i := range fine * fine {
				x := 2*(float64(px)+(float64(i%fine)+0.5)/fine)/logoSide - 1
				y := 2*(float64(py)+(float64(i/fine)+0.5)/fine)/logoSide - 1
				if !inRoundSquare(x, y) {
					continue
				}
				inTile++
				if shapes[f[0]](x, y) {
					inShape++
				}
			}
			if inTile == 0 {
				continue
			}
			mix := func(a, b uint8) uint8 { return uint8(float64(a) + (float64(b)-float64(a))*inShape/inTile) }
			img.SetNRGBA(px, py, color.NRGBA{mix(ground.R, figure.R), mix(ground.G, figure.G), mix(ground.B, figure.B), uint8(255 * inTile / (fine * fine))})
		}
	}
	var out bytes.Buffer
	err = png.Encode(&out, img)
	return out.Bytes(), err
}

func inRoundSquare(x, y float64) bool {
	const radius = 0.4
	dx, dy := math.Max(0, math.Abs(x)-1+radius), math.Max(0, math.Abs(y)-1+radius)
	return math.Hypot(dx, dy) <= radius
}

// parseColor reads #rrggbb.
func parseColor(s string) (color.NRGBA, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "#"), 16, 24)
	return color.NRGBA{uint8(n >> 16), uint8(n >> 8), uint8(n), 255}, err
}
