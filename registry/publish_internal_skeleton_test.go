package registry

import "testing"

// twins are pairs of names that a reader takes for one another.
var twins = map[string][][2]string{
	"0 and o": {{"hello", "hell0"}, {"o0o0", "0o0o"}, {"foo-bar", "f00-bar"}},
	"1, l and i": {
		{"lima", "1ima"}, {"lima", "iima"}, {"ill", "l1i"}, {"mail", "mai1"}, {"mail", "mall"},
	},
	"rn and m": {{"modern", "modem"}, {"corner", "comer"}, {"rnrn", "mm"}, {"barn", "bam"}},
	"vv and w": {{"wave", "vvave"}, {"www", "vvwvv"}, {"www", "vvvvvv"}},
	"cl and d": {{"cloud", "doud"}, {"acdc", "acclc"}, {"ddd", "clclcl"}},
	"separators": {
		{"hat-box", "hat_box"}, {"hat-box", "hat.box"}, {"hat.box", "hat_box"}, {"hat-box", "hat--box"}, {"hat-box", "hat__box"},
		{"hat-box", "hat---box"}, {"hat.box", "hat---box"}, {"a-b-c", "a.b_c"}, {"a-b-c", "a__b----c"},
	},
	"digits":  {{"sass", "5a55"}, {"zoo", "2oo"}, {"bob", "8o8"}},
	"several": {{"modern-clock0", "rnodem.docko"}, {"m1cro_soft", "rnlcro-5oft"}},
	// one replacement makes what another is about: a pass over the text must not hide it
	"one within another": {
		{"cloud", "c1oud"}, {"cloud", "cioud"}, {"client", "c1ient"}, {"client", "cllent"}, {"dock", "c1ock"}, {"dock", "ciock"}, {"ciao", "c1ao"},
		{"ciao", "clao"}, {"clao", "c1ao"},
	},
	// "vvv" is v and w as well as w and v
	"more than one way to read it": {{"vw", "vvv"}, {"wv", "vvv"}, {"vw-cars", "vvv-cars"}},
}

func TestLookAlikesShareASkeleton(t *testing.T) {
	t.Parallel()
	for what, list := range twins {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for _, pair := range list {
				if a, b := skeleton(pair[0]), skeleton(pair[1]); a != b {
					t.Errorf("%s and %s look alike, but their skeletons are %s and %s", pair[0], pair[1], a, b)
				}
			}
		})
	}
}

func TestOtherNamesHaveSkeletonsOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, name := range []string{
		"hat", "hats", "hatbox", "hat-box", "box-hat", "hut", "ha", "acme", "acne", "acmes", "google", "goggle", "alpine", "debian", "nginx",
		"redis", "amazon", "ubuntu", "a-b", "ab", "a-b-c", "ab-c", "a-bc", "x0", "x3", "x4", "x7", "x9", "node", "nodes", "run", "rum", "vow", "wow",
	} {
		s := skeleton(name)
		if other, ok := seen[s]; ok {
			t.Errorf("%s and %s share the skeleton %s", name, other, s)
		}
		seen[s] = name
	}
}

// A name that is its own skeleton stands for all that look like it: it must look like itself.
func FuzzSkeleton(f *testing.F) {
	for _, list := range twins {
		for _, pair := range list {
			f.Add(pair[0])
			f.Add(pair[1])
		}
	}
	f.Fuzz(func(t *testing.T, name string) {
		if len(name) > 200 || !aliasSyntax.MatchString(name) {
			t.Skip()
		}
		once := skeleton(name)
		if twice := skeleton(once); twice != once {
			t.Errorf("%s has skeleton %s, and that has %s", name, once, twice)
		}
	})
}
