package sqlindex

import (
	"encoding/json"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/gallery/internal/match"
)

// last comes after everything that begins with what stands before it.
const last = "\U0010FFFF"

// Known implements [match.Vocabulary].
func (s *search) Known(t string) bool {
	var n int
	if len(t) < match.MinPrefix {
		s.one("SELECT count(*) FROM word WHERE word = ?", []any{t}, &n)
	} else {
		s.one("SELECT count(*) FROM (SELECT 1 FROM word WHERE word >= ? AND word < ? LIMIT 1)", []any{t, t + last}, &n)
	}
	if n == 0 {
		// in a text alone, perhaps
		condition := anyOf(match.Lookup{Term: match.Term{Word: t, Forms: []match.Form{{Word: t}}}, Prefix: len(t) >= match.MinPrefix})
		s.one("SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT 1)", []any{condition}, &n)
	}
	return n > 0
}

// Has implements [match.Vocabulary].
func (s *search) Has(name string) bool {
	var n int
	s.one("SELECT count(*) FROM document WHERE name = ?", []any{[]byte(name)}, &n)
	return n > 0
}

// maxLonger is how many words are looked for by themselves. FTS5 reads all documents of all
// words with a prefix before it says which the first is, and those of a word one by one.
const maxLonger = 30

// longer returns the words that begin with another, or that they are too many. Names without
// their separators are found as parts of names.
func (s *search) longer(t string) (list []string, many bool) {
	if len(t) < match.MinPrefix {
		return nil, false
	}
	s.rows("SELECT word FROM word WHERE word > ? AND word < ? AND spoken > 0 LIMIT ?", []any{t, t + last, maxLonger + 1}, func(scan func(...any) error) error {
		var w string
		err := scan(&w)
		list = append(list, w)
		return err
	})
	if len(list) > maxLonger {
		return nil, true
	}
	return list, false
}

// Nearest implements [match.Vocabulary].
func (s *search) Nearest(t string) string {
	best, _ := s.nearest(t)
	return best
}

// nearest returns the word that t is most likely a slip of, with its weight.
func (s *search) nearest(t string) (best string, weight int64) {
	slips, ok := match.NewSlips(t)
	if !ok {
		return "", 0
	}
	low, high := len(t)-2*slips.Limit(), len(t)+2*slips.Limit()
	r := []rune(t) // four at least
	bestScore := 0.0
	s.rows(`SELECT word, weight FROM word WHERE head IN (?, ?) AND length BETWEEN ? AND ?
UNION SELECT word, weight FROM word WHERE head = ? AND length BETWEEN ? AND ?
UNION SELECT word, weight FROM word WHERE tail = ? AND length BETWEEN ? AND ? ORDER BY word`,
		[]any{string(r[:1]), string(r[1:2]), low, longWord - 1, string(r[:3]), max(low, longWord), high, string(r[len(r)-3:]), max(low, longWord), high},
		func(scan func(...any) error) error {
			var w string
			var n int64
			if err := scan(&w, &n); err != nil || !slips.May(w, match.Letters(w)) {
				return err
			}
			if f := slips.Factor(w); f > 0 && f*float64(n) > bestScore {
				best, weight, bestScore = w, n, f*float64(n)
			}
			return nil
		})
	return best, weight
}

// slipOf returns the word that many have of which one that few have is rather a slip, or "".
// It is none if it begins another; and names of look-alikes, which are made to be found by
// slips, are none.
func (s *search) slipOf(t string) string {
	better, weight := s.nearest(t)
	if better == "" {
		return ""
	}
	var longer int
	s.one("SELECT count(*) FROM (SELECT 1 FROM word WHERE word > ? AND word < ? AND spoken > 0 LIMIT 1)", []any{t, t + last}, &longer)
	if longer > 0 {
		return ""
	}
	own := int64(0)
	for _, c := range s.load(s.match(anyOf(match.Lookup{Term: match.Term{Forms: []match.Form{{Word: t}}}}), match.RareWord)) {
		if !s.suspect(&c.Document) {
			own += s.x.weights.Likely(c.Words.Fields(t), c.Pulls)
		}
	}
	if weight <= match.SureSlip*own {
		return ""
	}
	return better
}

// suspect reports whether a document is a look-alike.
func (s *search) suspect(d *gallery.Document) bool {
	return match.Suspect(d, func(keys []string) (list []match.Known) {
		b, err := json.Marshal(keys)
		if err != nil {
			s.err = err
			return nil
		}
		s.rows("SELECT name, max(pulls), max(verified) FROM known WHERE key IN (SELECT value FROM json_each(?)) GROUP BY name", []any{string(b)},
			func(scan func(...any) error) error {
				var k match.Known
				err := scan(&k.Name, &k.Pulls, &k.Verified)
				list = append(list, k)
				return err
			})
		return list
	})
}

// frequency is how many documents have a word in one of its forms, or more: those with
// several count several times.
func (s *search) frequency(t match.Term) (n int) {
	words := make([]string, len(t.Forms))
	for i, f := range t.Forms {
		words[i] = f.Word
	}
	b, err := json.Marshal(words)
	if err != nil {
		s.err = err
		return 0
	}
	s.one("SELECT CAST(total(documents) AS INTEGER) FROM word WHERE word IN (SELECT value FROM json_each(?))", []any{string(b)}, &n)
	if len(t.Word) >= match.MinPrefix {
		var longer int
		s.one("SELECT CAST(total(documents) AS INTEGER) FROM (SELECT documents FROM word WHERE word > ? AND word < ? LIMIT 200)", []any{t.Word, t.Word + last}, &longer)
		n += longer
	}
	return min(n, s.documents)
}
