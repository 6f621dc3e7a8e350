package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
)

// release is one push of an image: what it is, when it was, and which tags it moved.
type release struct {
	version, variant string
	at               time.Time
	tags             []moved
}

// moved is a tag that a release made or moved. Most do so at once; some later, when it turned
// out that nothing else is to be had for the tag.
type moved struct {
	name string
	at   time.Time
}

// channel is a row of builds that are no releases, each of which moves its tags. In a tag,
// {date} stands for the day, {sha} for a commit.
type channel struct {
	tags  string  // with spaces between them
	every float64 // days
	count int
	first float64 // days since the last of them
	again int     // on how many further days its last tag is made again for the same build
}

// releases returns the pushes of a repository, the first first.
func (r *repository) releases(now time.Time) (list []release) {
	variants := append([]string{""}, r.variants...)
	highest := map[string]string{} // version by floating tag
	for text := range strings.FieldsSeq(r.versions) {
		version, days := cutDays(text)
		floating := r.floating(version, highest)
		for i, variant := range variants {
			rel := release{version: version, variant: variant, at: daysBefore(now, days).Add(time.Duration(4*i) * time.Minute)}
			for _, tag := range append([]string{version}, floating...) {
				if variant != "" {
					tag += "-" + variant
					if strings.HasPrefix(tag, "latest-") {
						tag = variant
					}
				}
				rel.tags = append(rel.tags, moved{tag, rel.at})
			}
			list = append(list, rel)
		}
	}
	for _, c := range r.channels {
		for i := range c.count {
			list = append(list, c.build(r, now, float64(c.count-1-i)*c.every+c.first))
		}
	}
	slices.SortStableFunc(list, func(a, b release) int { return a.at.Compare(b.at) })
	return list
}

// cutDays splits 1.27.3:40, a version and how many days ago it was released.
func cutDays(text string) (version string, days float64) {
	version, after, _ := strings.Cut(text, ":")
	days, err := strconv.ParseFloat(after, 64)
	if err != nil {
		panic(err) // of a constant
	}
	return version, days
}

// floating returns the tags that a version takes over from lower ones: 1.27, 1 and latest.
func (r *repository) floating(version string, highest map[string]string) (tags []string) {
	v, ok := manifest.ParseTagVersion(version)
	if !ok || v.Prerelease {
		return nil
	}
	prefix := ""
	if strings.HasPrefix(version, "v") {
		prefix = "v"
	}
	candidates := []string{"latest"}
	if !r.exact {
		for n := 1; n < len(v.Numbers); n++ {
			candidates = append(candidates, prefix+strings.Join(v.Numbers[:n], "."))
		}
	}
	for _, tag := range candidates {
		if before, ok := highest[tag]; !ok || manifest.TagOrder(version) < manifest.TagOrder(before) {
			highest[tag] = version
			tags = append(tags, tag)
		}
	}
	return tags
}

// build returns the build of a channel that was some days ago.
func (c channel) build(r *repository, now time.Time, days float64) release {
	at := daysBefore(now, days)
	sha := commit(r.name, at.Format(time.DateOnly))[:7]
	rel := release{version: "0.0.0-" + at.Format("20060102"), at: at}
	fill := func(tag string, at time.Time) string {
		return strings.NewReplacer("{date}", at.Format("20060102"), "{sha}", sha).Replace(tag)
	}
	tags := strings.Fields(c.tags)
	for _, tag := range tags {
		rel.tags = append(rel.tags, moved{fill(tag, at), at})
	}
	for i := range c.again {
		if later := at.AddDate(0, 0, i+1); later.Before(now) {
			rel.tags = append(rel.tags, moved{fill(tags[len(tags)-1], later), later})
		}
	}
	return rel
}

// commit returns what looks like the name of a commit.
func commit(texts ...string) string {
	sum := sha256.Sum256(fmt.Append(nil, texts))
	return hex.EncodeToString(sum[:20])
}

// age is how many days ago the repository was made: shortly before its first push.
func (r *repository) age() int {
	oldest := 30.0
	for text := range strings.FieldsSeq(r.versions) {
		_, days := cutDays(text)
		oldest = max(oldest, days)
	}
	for _, c := range r.channels {
		oldest = max(oldest, float64(c.count)*c.every)
	}
	return int(oldest) + 2
}
