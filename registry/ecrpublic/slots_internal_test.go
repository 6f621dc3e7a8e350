package ecrpublic

import (
	"context"
	"fmt"
	"testing"
)

// One access key may hold some places and no more, whoever else waits for one may go, and
// nothing is left behind.
func TestSlots(t *testing.T) {
	t.Parallel()
	s := newSlots()
	var frees []func()
	for i := range maxLarge {
		free, err := s.take(t.Context(), fmt.Sprint("key", i/maxLargeOfKey))
		if err != nil {
			t.Fatal(err)
		}
		frees = append(frees, free)
	}
	if _, err := s.take(t.Context(), "key0"); err == nil || err.(*exception).Type != "ThrottlingException" {
		t.Errorf("one too many of a key: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.take(gone, "another"); err != context.Canceled {
		t.Errorf("whoever has gone while waiting: %v", err)
	}
	for _, free := range frees {
		free()
	}
	if len(s.keys) > 0 || len(s.all) > 0 {
		t.Errorf("left behind: %v, %d places", s.keys, len(s.all))
	}
}
