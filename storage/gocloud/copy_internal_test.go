package gocloud

import (
	"bytes"
	"io"
	"math/rand"
	"sync"
	"testing"
	"testing/iotest"
)

// stalling fills what it is first given, tells how large what it is given next is, and ends when
// told to.
type stalling struct {
	read  bool
	asked chan<- int
	end   <-chan struct{}
}

func (s *stalling) Read(p []byte) (int, error) {
	if !s.read {
		s.read = true
		return len(p), nil
	}
	s.asked <- len(p)
	<-s.end
	return 0, io.EOF
}

// However many clients stop sending, the large buffers they hold are few, and others get on.
func TestCopyHoldsLittle(t *testing.T) {
	const clients = 3 * maxLarge
	asked, end := make(chan int), make(chan struct{})
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			if err := copyTo(io.Discard, &stalling{asked: asked, end: end}); err != nil {
				t.Error(err)
			}
		})
	}
	count := map[int]int{}
	for range clients {
		count[<-asked]++
	}
	if count[largeSize] != maxLarge || count[smallSize] != clients-maxLarge {
		t.Errorf("buffers held, by size: %v, want %d of %d, the others of %d", count, maxLarge, largeSize, smallSize)
	}
	wantCopied(t)
	close(end)
	all.Wait()
	wantCopied(t)
}

func wantCopied(t *testing.T) {
	t.Helper()
	for _, size := range []int{0, 1, smallSize - 1, smallSize, smallSize + 1, smallSize + largeSize, smallSize + largeSize + 1, 1 << 20} {
		content := make([]byte, size)
		rand.New(rand.NewSource(1)).Read(content)
		for name, r := range map[string]io.Reader{
			"whole":             bytes.NewReader(content),
			"end with the last": iotest.DataErrReader(bytes.NewReader(content)),
			"by half":           iotest.HalfReader(bytes.NewReader(content)),
		} {
			var got bytes.Buffer
			if err := copyTo(&got, r); err != nil || !bytes.Equal(got.Bytes(), content) {
				t.Errorf("%d bytes, %s: copied %d, %v", size, name, got.Len(), err)
			}
		}
	}
}

func TestCopyFails(t *testing.T) {
	for _, size := range []int{0, 1, smallSize, smallSize + 1, smallSize + largeSize} {
		r := io.MultiReader(io.LimitReader(rand.New(rand.NewSource(1)), int64(size)), iotest.ErrReader(io.ErrUnexpectedEOF))
		if err := copyTo(io.Discard, r); err != io.ErrUnexpectedEOF {
			t.Errorf("a failure after %d bytes: %v", size, err)
		}
	}
}
