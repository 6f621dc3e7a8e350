package repair

// SetPages makes runs look at so many rows and objects in one go, so that a small registry has
// many checkpoints.
func (o *Options) SetPages(rows, objects int) { o.page, o.chunk = rows, objects }

// Kinds are all that there are.
func Kinds() (list []Kind) {
	for k := range kinds {
		list = append(list, k)
	}
	return list
}

// ParseKey and FormatKey are for the fuzz target.
var (
	ParseKey  = parseKey
	FormatKey = formatKey
)

// NameKeys returns which of the listed keys are not named.
func NameKeys(listed, named []string) []string {
	s := &keySet{}
	for _, k := range listed {
		s.add(k)
	}
	s.seal()
	for _, k := range named {
		s.name(k)
	}
	return s.left()
}
