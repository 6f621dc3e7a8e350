package gallery

import (
	"math"
	"time"
)

// Field is where in a document a word was found.
type Field uint8

// The fields, the one that says most first.
const (
	FullName    Field = iota // the query is alias/name
	WholeName                // the word is the name, or its last part
	FoldedName               // it is, but for punctuation
	AliasWord                // it is the alias
	NamePrefix               // the name begins with it
	NameWord                 // it is a word of the name
	Keyword                  // it is a keyword, or a word of one
	Description              // it is in the description
	NamePart                 // it is somewhere within the name
	Text                     // it is in about or usage
	Fields                   // how many there are
)

// Ranker orders hits.
type Ranker interface {
	// Field returns how much a word found in a field counts.
	Field(f Field) float64
	// Score turns how well the words of a query match a document, the mean of what Field
	// says, into a score. Hits are in the order of their scores, the highest first. A document
	// that is suspect, which looks like what it is not, never scores higher than if it were not:
	// indexes ask late who is.
	Score(d *Document, match float64, suspect bool, now time.Time) float64
}

// DefaultRanker multiplies how well the words match by what is known of the repository:
// popularity, which is damped so that no number of pulls makes up for another name; the
// operator's word for its publisher; and age. What its publisher deprecates comes later, and
// a name that looks like that of somebody verified much later.
type DefaultRanker struct{}

var fieldWeights = [Fields]float64{12, 10, 9, 6, 5, 4.5, 3.5, 2.5, 2, 1}

// Field implements [Ranker].
func (DefaultRanker) Field(f Field) float64 { return fieldWeights[f] }

// Score implements [Ranker].
func (DefaultRanker) Score(d *Document, match float64, suspect bool, now time.Time) float64 {
	score := match * (0.4 + 0.6*math.Log10(1+float64(max(d.Pulls, 0)))/9)
	if d.Verified {
		score *= 1.25
	}
	if age := now.Sub(d.Updated); age > 0 {
		score *= 0.85 + 0.15*math.Exp(-age.Hours()/24/365)
	}
	if d.Deprecated {
		score *= 0.35
	}
	if suspect {
		score *= 0.3
	}
	return score
}
