package sqlmeta

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"
)

// column is where the value of a column goes. NULL, which a left join answers, is read as
// the zero value.
type column interface {
	set(v driver.Value) error
}

// The types of columns.
type (
	text[S ~string]   struct{ p *S }
	integer[I number] struct{ p *I }
	boolean           struct{ p *bool }
	bytes             struct{ p *[]byte }
	timestamp         struct{ p *time.Time }
	document[T any]   struct{ p *T }
	derived           struct{} // of the other columns: it is only written
)

type number interface{ ~int64 | ~uint8 }

func (t text[S]) set(v driver.Value) error {
	s, ok := v.(string)
	if !ok && v != nil {
		return fmt.Errorf("%T is not text", v)
	}
	*t.p = S(s)
	return nil
}

func (i integer[I]) set(v driver.Value) error {
	n, ok := v.(int64)
	if b, is := v.(bool); is { // of a condition, on PostgreSQL
		ok = true
		if b {
			n = 1
		}
	}
	if !ok && v != nil {
		return fmt.Errorf("%T is not an integer", v)
	}
	*i.p = I(n)
	return nil
}

func (derived) set(driver.Value) error { return nil }

func (b boolean) set(v driver.Value) error {
	var n int64
	err := integer[int64]{&n}.set(v)
	*b.p = n != 0
	return err
}

func (b bytes) set(v driver.Value) error {
	raw, ok := v.([]byte)
	if !ok && v != nil {
		return fmt.Errorf("%T is not bytes", v)
	}
	*b.p = raw
	return nil
}

func (t timestamp) set(v driver.Value) error {
	var n int64
	err := integer[int64]{&n}.set(v)
	*t.p = time.Time{}
	if n != 0 {
		*t.p = time.Unix(0, n).UTC()
	}
	return err
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func (d document[T]) set(v driver.Value) error {
	var s string
	if err := (text[string]{&s}).set(v); err != nil || s == "" {
		return err
	}
	return json.Unmarshal([]byte(s), d.p)
}

// encode writes a document of n elements; none are written as no text.
func encode(n int, v any) string {
	if n == 0 {
		return ""
	}
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and integers alone
	}
	return string(raw)
}
