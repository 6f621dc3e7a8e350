package ecrpublic

import (
	"encoding/base64"
	"encoding/json"
	"iter"
)

// defaultPage is how many entries a page has if the client does not say.
const defaultPage = 100

// token is where a page ends, for one operation on one thing.
type token struct {
	Operation string `json:"o"`
	Of        string `json:"r"`
	Key       string `json:"k"`
}

// after reads where a page begins: a token that this operation answered for the same
// thing.
func (c *call) after(of string, nextToken *string) (string, error) {
	if nextToken == nil || *nextToken == "" {
		return "", nil
	}
	var t token
	raw, err := base64.RawURLEncoding.DecodeString(*nextToken)
	if err == nil {
		err = json.Unmarshal(raw, &t)
	}
	if err != nil || t.Operation != c.op.name || t.Of != of || t.Key == "" {
		return "", invalidParameter("Invalid parameter at 'nextToken' failed to satisfy constraint: 'Member must be a token of the last page'")
	}
	return t.Key, nil
}

// collect takes a page from what an actor lists, and the token of the next one, if any.
func collect[T any](c *call, of string, maxResults *int, list iter.Seq2[T, error], key func(T) string) (page []T, next *string, err error) {
	n := defaultPage
	if maxResults != nil {
		n = *maxResults
	}
	page = []T{}
	for item, err := range list {
		if err != nil {
			return nil, nil, err
		}
		if len(page) == n {
			raw, err := json.Marshal(token{c.op.name, of, key(page[n-1])})
			s := base64.RawURLEncoding.EncodeToString(raw)
			return page, &s, err
		}
		page = append(page, item)
	}
	return page, nil, nil
}
