package importer

// Report says what an import did. It can be written as JSON.
type Report struct {
	Repositories int       `json:"repositories"` // that were looked into
	Blobs        Count     `json:"blobs"`
	Manifests    Count     `json:"manifests"`
	Tags         Count     `json:"tags"`
	Bytes        int64     `json:"bytes"`    // of the blobs that were copied
	Problems     []Problem `json:"problems"` // by repository and reference
	Skipped      []Problem `json:"skipped"`  // what the registry does not hold: Docker's schema 1
}

// Count counts blobs, manifests or tags of the target's repositories.
type Count struct {
	Copied  int `json:"copied"`  // of tags: set, or moved
	Mounted int `json:"mounted"` // of blobs: which another repository of the target had
	Present int `json:"present"` // were there already
}

// Problem is something that was not copied.
type Problem struct {
	Repository string `json:"repository"` // of the source
	Reference  string `json:"reference"`  // tag or digest; "" if it is about the repository
	Error      string `json:"error"`
}

// Object is what an [Event] is about.
type Object string

// The objects of events.
const (
	Repository Object = "repository"
	Blob       Object = "blob"
	Manifest   Object = "manifest"
	Tag        Object = "tag"
)

// Outcome is what became of an [Object].
type Outcome string

// The outcomes of events.
const (
	Begun   Outcome = "begun" // of repositories alone
	Copied  Outcome = "copied"
	Mounted Outcome = "mounted"
	Present Outcome = "present"
	Failed  Outcome = "failed"  // a [Problem] of the report
	Skipped Outcome = "skipped" // is one of what the report has as skipped
)

// Event is a step of an import.
type Event struct {
	Object     Object
	Outcome    Outcome
	Repository string // of the source
	Target     string // alias/repository
	Reference  string // tag or digest; "" of a repository
	Size       int64  // bytes, of a blob that was copied
	Err        error  // why it failed or was skipped
}

// tell counts an event and passes it on.
func (r *run) tell(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Outcome == Copied || e.Outcome == Mounted {
		r.failures = 0
	}
	r.report.add(e)
	if r.progress != nil {
		r.progress(e)
	}
}

func (r *Report) add(e Event) {
	switch e.Outcome {
	case Begun:
		r.Repositories++
		return
	case Failed:
		r.Problems = append(r.Problems, Problem{e.Repository, e.Reference, e.Err.Error()})
		return
	case Skipped:
		r.Skipped = append(r.Skipped, Problem{e.Repository, e.Reference, e.Err.Error()})
		return
	}
	count := map[Object]*Count{Blob: &r.Blobs, Manifest: &r.Manifests, Tag: &r.Tags}[e.Object]
	switch e.Outcome {
	case Copied:
		count.Copied++
		r.Bytes += e.Size
	case Mounted:
		count.Mounted++
	case Present:
		count.Present++
	}
}
