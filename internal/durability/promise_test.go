package durability

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// promise is an answer that left the server and that must survive a power cut.
type promise struct {
	status int
	digest string // of Docker-Content-Digest, if the answer has one
	socket string
	after  int // the end of the answer before it on its connection, or 0
	at     int // where it began to leave
}

var (
	statusLine    = regexp.MustCompile(`"HTTP/1\.1 (\d{3}) `)
	contentDigest = regexp.MustCompile(`Docker-Content-Digest: (sha256:[0-9a-f]{64})`)
)

// promises finds the answers in a trace.
func promises(calls []call) (list []promise) {
	last := map[string]int{} // by socket
	for _, c := range calls {
		m := statusLine.FindStringSubmatch(c.Text)
		if m == nil || !strings.HasPrefix(c.Path, "socket:") && !strings.HasPrefix(c.Path, "TCP") {
			continue
		}
		p := promise{socket: c.Path, after: last[c.Path], at: c.Start}
		fmt.Sscan(m[1], &p.status) //nolint:errcheck // three digits
		if d := contentDigest.FindStringSubmatch(c.Text); d != nil {
			p.digest = d[1]
		}
		list = append(list, p)
		last[c.Path] = c.End
	}
	return list
}

// record is a trace, by what matters in it.
type record struct {
	data     string // the server's folder
	answers  []promise
	syncs    map[string][]call // by path
	writes   map[string][]call // by path
	renames  map[string]call   // by new name
	folders  []call            // made
	walWrite []call
}

func newRecord(data string, calls []call) *record {
	r := &record{data: data, answers: promises(calls), syncs: map[string][]call{}, writes: map[string][]call{}, renames: map[string]call{}}
	for _, c := range calls {
		switch {
		case c.Failed:
		case c.isSync():
			r.syncs[c.Path] = append(r.syncs[c.Path], c)
		case strings.HasPrefix(c.Name, "rename"):
			r.renames[c.To] = c
		case strings.HasPrefix(c.Name, "mkdir"):
			r.folders = append(r.folders, c)
		case c.Path == r.wal():
			r.walWrite = append(r.walWrite, c)
		default:
			r.writes[c.Path] = append(r.writes[c.Path], c)
		}
	}
	return r
}

func (r *record) wal() string { return filepath.Join(r.data, "meta.db-wal") }

// within returns the first of some calls that lies between two places.
func within(list []call, after, before int) (call, bool) {
	for _, c := range list {
		if c.Start > after && c.End < before {
			return c, true
		}
	}
	return call{}, false
}

// object checks that a file of the bucket was durable, under its name, before a place in
// the trace, and returns where its folder was synced.
func (r *record) object(key string, before int) (int, error) {
	path := filepath.Join(r.data, "blobs", filepath.FromSlash(key))
	renamed, ok := r.renames[path]
	if !ok {
		return 0, fmt.Errorf("object %s never got its name", key)
	}
	if renamed.End >= before {
		return 0, fmt.Errorf("object %s got its name after the answer", key)
	}
	written := slices.MaxFunc(append(r.writes[renamed.Path], call{}), func(a, b call) int { return a.End - b.End })
	if written.End == 0 {
		return 0, fmt.Errorf("object %s has no bytes", key)
	}
	synced, ok := within(r.syncs[renamed.Path], written.End, renamed.Start)
	if !ok {
		return 0, fmt.Errorf("object %s was not synced between its last byte and its name", key)
	}
	folder, ok := within(r.syncs[filepath.Dir(path)], renamed.End, before)
	if !ok {
		return 0, fmt.Errorf("object %s, synced at %d, named at %d: its folder was not synced before the answer at %d", key, synced.End, renamed.End, before)
	}
	return folder.End, nil
}

// commit checks that the log of the database was written and then synced between two places.
// Where strict, nothing was written to it afterwards: as nobody else was about, all that was
// written is what the answer promises.
func (r *record) commit(after, before int, strict bool) error {
	var first, last *call
	for i, c := range r.walWrite {
		if c.Start > after && c.Start < before {
			if last = &r.walWrite[i]; first == nil {
				first = last
			}
		}
	}
	if first == nil {
		return fmt.Errorf("nothing was written to the database between %d and the answer at %d", after, before)
	}
	from := first.End
	if strict {
		from = last.End
	}
	if _, ok := within(r.syncs[r.wal()], from, before); !ok {
		return fmt.Errorf("the database was written at %d, and not synced before the answer at %d", from, before)
	}
	return nil
}
