package registry

import (
	"errors"
	"io"
	"math"
	"net/http"
	"time"
)

// A client that takes or sends nothing for stallTime is cut off: net/http's own limits are of a
// whole reply or request, and a layer may take long. What is written is in pieces, each of which
// has that time: who is slower than some 17 KiB a second is cut off too.
const (
	stallTime    = time.Minute
	pieceSize    = 1 << 20
	deadlineSlip = 5 * time.Second // a deadline that was set so long ago is moved on
)

// send copies to the client with a deadline for each piece. A file goes by the kernel, which looks
// for one behind one limit and not behind two. Where the ResponseWriter has no deadlines, there
// are none.
func (c *call) send(r io.Reader) (sent int64, err error) {
	c.finished() // what is left is the client's to take
	control := http.NewResponseController(c.ResponseWriter)
	left := int64(math.MaxInt64)
	limited, ok := r.(*io.LimitedReader)
	if ok {
		left = limited.N
	} else {
		limited = &io.LimitedReader{R: r}
	}
	for left > 0 {
		if err := control.SetWriteDeadline(time.Now().Add(stallTime)); err != nil {
			limited.N = left
			n, err := io.Copy(c.ResponseWriter, limited)
			return sent + n, err
		}
		piece := min(left, pieceSize)
		limited.N = piece
		n, err := io.Copy(c.ResponseWriter, limited)
		sent, left = sent+n, left-n
		if err != nil {
			return sent, err
		}
		if n < piece {
			break
		}
	}
	return sent, c.untimed(control)
}

// untimed takes the deadline away: the connection may be used again.
func (c *call) untimed(control *http.ResponseController) error {
	if err := control.SetWriteDeadline(time.Time{}); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// patient is a request's body with a deadline for each read.
type patient struct {
	body    io.Reader
	control *http.ResponseController
	moved   time.Time
	none    bool // there are no deadlines, or no more of the body
}

// input is the body of the request, whose reads have deadlines. The request keeps its own, which
// net/http has to know when it ends the reply.
func (c *call) input() *patient {
	return &patient{body: c.req.Body, control: http.NewResponseController(c.ResponseWriter)}
}

func (p *patient) Read(b []byte) (int, error) {
	if now := time.Now(); !p.none && now.Sub(p.moved) > deadlineSlip {
		p.moved = now
		p.none = p.control.SetReadDeadline(now.Add(stallTime)) != nil
	}
	n, err := p.body.Read(b)
	if err != nil {
		p.done()
	}
	return n, err
}

// done ends the deadlines, once no more is read. net/http reads on, to learn of the client's
// end, and that may come later.
func (p *patient) done() {
	if !p.none {
		p.none = true
		p.control.SetReadDeadline(time.Time{}) //nolint:errcheck // there were deadlines before
	}
}
