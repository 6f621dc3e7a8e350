package gallery

import "github.com/esplanade-registry/esplanade/gallery/markdown"

// What publishers write goes through these as it comes from the source, so that no page, feed
// or badge shows it in another order than it is in; see markdown.Plain. Names, tags and digests
// have a grammar that holds no such characters, and Markdown is cleaned when it is rendered.

func plainAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = line(s)
	}
	return out
}

func plainDocument(d Document) Document {
	d.Description = markdown.Plain(d.Description)
	d.Keywords, d.Architectures, d.OperatingSystems = plainAll(d.Keywords), plainAll(d.Architectures), plainAll(d.OperatingSystems)
	return d
}

func plainDocuments(list []Document) []Document {
	out := make([]Document, len(list)) // none is an empty list of JSON too
	for i, d := range list {
		out[i] = plainDocument(d)
	}
	return out
}

func plainPublisher(p Publisher) Publisher {
	p.Name = line(p.Name)
	return p
}

func plainRepository(r Repository) Repository {
	r.Document, r.Publisher, r.Notice = plainDocument(r.Document), plainPublisher(r.Publisher), line(r.Notice)
	return r
}

func plainTags(list []Tag) []Tag {
	for i, t := range list {
		list[i].Platforms = plainAll(t.Platforms)
	}
	return list
}
