package ecrpublic

import (
	"maps"
	"slices"
)

// Operations are the names of all operations, for tests that nothing is left out.
func Operations() []string { return slices.Sorted(maps.Keys(operations)) }
