package meter

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"strings"
	"time"

	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

// Line is one request that a cache before the registry has answered, as a line of JSON in its
// access log. nginx writes it so:
//
//	log_format esplanade escape=json '{"time":"$time_iso8601","remote":"$remote_addr","method":"$request_method",'
//		'"path":"$uri","status":"$status","bytes":"$body_bytes_sent","cache":"$upstream_cache_status",'
//		'"digest":"$upstream_http_docker_content_digest","agent":"$http_user_agent"}';
type Line struct {
	Time   time.Time       `json:"time"`
	Remote string          `json:"remote"` // address of the client
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Status int             `json:"status,string"`
	Bytes  int64           `json:"bytes,string"` // of the body
	Cache  string          `json:"cache"`        // HIT, STALE, UPDATING or REVALIDATED: the cache has answered
	Digest manifest.Digest `json:"digest"`       // Docker-Content-Digest of the answer
	Agent  string          `json:"agent"`
}

const (
	maxLine      = 64 << 10 // bytes of a line
	maxLineBytes = 1 << 50  // that one request can have sent
	maxLead      = 24 * time.Hour
	maxLag       = 5 * 366 * 24 * time.Hour
)

// sane reports whether a line tells of something that can have been: not in the mists of time,
// nor in a future that clocks do not explain.
func (l *Line) sane(now time.Time) bool {
	return l.Bytes <= maxLineBytes && l.Time.After(now.Add(-maxLag)) && l.Time.Before(now.Add(maxLead))
}

// Ingested says what became of the lines of a log. Bytes is where to go on reading: after the
// last line that was handled. One at the end that is still being written is left for then.
type Ingested struct {
	Lines   int // all
	Counted int // that were requests which the cache answered, for repositories that there are
	Bad     int // that cannot be read
	Bytes   int64
}

// Ingest counts the requests in the log of a cache that the registry has not seen, until r ends.
// Each line is to be given to one node, once: a program that follows the log goes on at Ingested.Bytes,
// also after an error. Lines that tell of requests which the registry has answered
// are passed over, so that the whole log can be given; what cannot be read is counted and
// passed over too.
func (m *Meter) Ingest(ctx context.Context, r io.Reader) (n Ingested, err error) {
	in := bufio.NewReaderSize(r, maxLine)
	repositories := map[string]meta.Repository{}
	for {
		raw, err := in.ReadSlice('\n')
		length, long := int64(len(raw)), errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a line that is too long
			var rest []byte
			rest, err = in.ReadSlice('\n')
			length += int64(len(rest))
		}
		if len(bytes.TrimSpace(raw)) > 0 {
			var l Line
			readable := !long && json.Unmarshal(raw, &l) == nil
			if err != nil && !readable {
				length = 0 // the end of it is yet to come
			} else {
				n.Lines++
			}
			switch {
			case length == 0:
			case !readable || !l.sane(time.Now()):
				n.Bad++
			default:
				counted, err := m.ingest(ctx, repositories, l)
				if err != nil {
					n.Lines--
					return n, err
				}
				if counted {
					n.Counted++
				}
			}
		}
		n.Bytes += length
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, fmt.Errorf("meter: log: %w", err)
		}
	}
}

// answered are the cache's words for what it answered by itself. After REVALIDATED the registry
// has said 304, which it counts as no pull.
var answered = map[string]bool{"HIT": true, "STALE": true, "UPDATING": true, "REVALIDATED": true}

func (m *Meter) ingest(ctx context.Context, repositories map[string]meta.Repository, l Line) (bool, error) {
	rest, ok := strings.CutPrefix(l.Path, "/v2/")
	if !ok || !answered[l.Cache] || l.Method != "GET" && l.Method != "HEAD" || l.Status != 200 && l.Status != 206 || l.Bytes < 0 {
		return false, nil
	}
	head, ref, _ := cutLast(rest)
	name, noun, ok := cutLast(head)
	isManifest := noun == "manifests"
	if !ok || !isManifest && noun != "blobs" {
		return false, nil
	}
	reference, err := manifest.ParseReference(ref)
	if err != nil || manifest.CheckName(name) != nil {
		return false, nil
	}
	repo, known := repositories[name]
	if !known {
		alias, own, _ := strings.Cut(name, "/")
		if repo, err = m.cfg.Store.Find(ctx, alias, own); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		repositories[name] = repo
	}
	if repo.ID == 0 {
		return false, nil
	}
	w := what{repository: repo.ID, account: repo.Account, hour: hourOf(l.Time)}
	if !isManifest {
		if l.Method == "GET" && l.Bytes > 0 {
			m.count(w, l.Bytes, netip.Addr{})
		}
		return true, nil
	}
	if l.Status != 200 {
		return false, nil
	}
	w.head, w.tag, w.digest, w.client = l.Method == "HEAD", reference.Tag, reference.Digest, ClientOf(l.Agent)
	if _, err := manifest.ParseDigest(string(l.Digest)); err == nil {
		w.digest = l.Digest
	}
	remote, err := netip.ParseAddr(l.Remote)
	if err != nil {
		remote = netip.Addr{}
	}
	m.count(w, l.Bytes, remote)
	return true, nil
}

// cutLast parts s at its last slash.
func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}
