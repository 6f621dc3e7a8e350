package sqlmeta

import (
	"encoding/json"
	"fmt"
	"time"
)

// The types of columns that database/sql has no conversion for, or a slow one by
// reflection. Each reads NULL as the zero value, which a left join answers.
type (
	text[S ~string] struct{ p *S }
	integer         struct{ p *int64 }
	timestamp       struct{ p *time.Time }
	document[T any] struct{ p *T }
)

// Scan implements sql.Scanner.
func (t text[S]) Scan(v any) error {
	switch v := v.(type) {
	case string:
		*t.p = S(v)
	case []byte:
		*t.p = S(v)
	case nil:
		*t.p = ""
	default:
		return fmt.Errorf("%T is not text", v)
	}
	return nil
}

// Scan implements sql.Scanner.
func (i integer) Scan(v any) error {
	n, ok := v.(int64)
	if !ok && v != nil {
		return fmt.Errorf("%T is not an integer", v)
	}
	*i.p = n
	return nil
}

// Scan implements sql.Scanner.
func (t timestamp) Scan(v any) error {
	var n int64
	if err := (integer{&n}).Scan(v); err != nil {
		return err
	}
	*t.p = time.Time{}
	if n != 0 {
		*t.p = time.Unix(0, n).UTC()
	}
	return nil
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// Scan implements sql.Scanner.
func (d document[T]) Scan(v any) error {
	var s string
	if err := (text[string]{&s}).Scan(v); err != nil || s == "" {
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
