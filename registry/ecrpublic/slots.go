package ecrpublic

import (
	"context"
	"sync"
)

const (
	// maxLarge is how many requests with large bodies are served at once: each is in memory
	// as a whole, until it is done.
	maxLarge = 16
	// maxLargeOfKey is how many of them one access key may have, so that nobody shuts the
	// others out.
	maxLargeOfKey = 4
)

// slots are the places for large bodies.
type slots struct {
	all  chan struct{}
	mu   sync.Mutex
	keys map[string]int // how many places each access key has or waits for
}

func newSlots() *slots { return &slots{all: make(chan struct{}, maxLarge), keys: map[string]int{}} }

// take waits for a place, which free gives back. One key may not have too many.
func (s *slots) take(ctx context.Context, key string) (free func(), err error) {
	s.mu.Lock()
	if s.keys[key] >= maxLargeOfKey {
		s.mu.Unlock()
		return nil, &exception{Type: "ThrottlingException", Message: "Rate exceeded"}
	}
	s.keys[key]++
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.keys[key]--; s.keys[key] == 0 {
			delete(s.keys, key)
		}
	}
	select {
	case s.all <- struct{}{}:
		return func() {
			<-s.all
			leave()
		}, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
