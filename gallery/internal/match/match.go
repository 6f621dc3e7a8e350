// Package match is what the indexes of a gallery have in common: which words of a document
// say what, what else a word of a query may stand for, and how well a document matches a
// query. It knows nothing of where documents are kept.
//
// Two tables hold general knowledge of the field. In synonyms.txt are words that people use
// for each other (k8s, kubernetes); in concepts.txt what products are (a message queue:
// rabbitmq, kafka), for people who look for the one and do not say the other. A document has
// a mark, which is a word that nobody can type, for each concept that it is or speaks of.
package match

import (
	"hash/fnv"

	"github.com/esplanade-registry/esplanade/gallery"
)

// FieldSet is a set of fields of a document.
type FieldSet uint16

// Bit is the set of one field.
func Bit(f gallery.Field) FieldSet { return 1 << f }

// Weights is how much a word counts, by the set of fields that it is in: as in the best of
// them, and a little more where publisher and repository are both called so, which is how
// products name their own (grafana/grafana).
type Weights [1 << gallery.Fields]float64

// NewWeights asks a ranker for the weights.
func NewWeights(r gallery.Ranker) *Weights {
	w := new(Weights)
	for set := range w {
		for f := range gallery.Fields {
			if FieldSet(set)&Bit(f) != 0 {
				w[set] = r.Field(f)
				break
			}
		}
		if FieldSet(set)&Bit(gallery.AliasWord) != 0 && FieldSet(set)&(Bit(gallery.AliasWord)-1) != 0 {
			w[set] *= ownName
		}
	}
	return w
}

const ownName = 1.1

// Best returns the weight of a set of fields.
func (w *Weights) Best(set FieldSet) float64 { return w[set] }

// Field returns the weight of one field.
func (w *Weights) Field(f gallery.Field) float64 { return w[Bit(f)] }

// version has to change with whatever changes how a document is read.
const version = 1

// Version tells indexes that are kept whether what they hold was read as it would be now.
func Version() uint32 {
	h := fnv.New32a()
	h.Write([]byte{version})
	h.Write([]byte(conceptTable))
	return h.Sum32()
}
