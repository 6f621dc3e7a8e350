package iam

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"regexp"
	"strings"
	"time"
)

// condition is one operator on one key: all conditions of a statement must hold.
type condition struct {
	key      string
	op       operator
	ifExists bool
	quantity quantity
	isNull   bool      // of the operator Null: what is asked for
	operands []operand // one of which must match, or none where the operator is negated
}

// quantity is how a key with several values is compared.
type quantity uint8

const (
	single quantity = iota
	anyValue
	allValues
)

// operator is what an operand does with a value of the request.
type operator struct {
	name   string
	negate bool
	parse  func(text string, variables bool) (operand, error)
}

// operand is a value of a condition, which tests a value of a request. defined is false
// where a variable has no value.
type operand func(f *facts, value string) (ok, defined bool)

// operators by name, in the order of AWS's reference.
var operators = func() map[string]operator {
	m := map[string]operator{}
	add := func(name, not string, parse func(string, bool) (operand, error)) {
		m[name] = operator{name, false, parse}
		if not != "" {
			m[not] = operator{not, true, parse}
		}
	}
	add("StringEquals", "StringNotEquals", text(false, false))
	add("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", text(false, true))
	add("StringLike", "StringNotLike", text(true, false))
	add("ArnEquals", "ArnNotEquals", arn)
	add("ArnLike", "ArnNotLike", arn)
	add("IpAddress", "NotIpAddress", address)
	add("BinaryEquals", "", binary)
	add("Bool", "", boolean)
	add("NumericEquals", "NumericNotEquals", number(func(c int) bool { return c == 0 }))
	add("NumericLessThan", "", number(func(c int) bool { return c < 0 }))
	add("NumericLessThanEquals", "", number(func(c int) bool { return c <= 0 }))
	add("NumericGreaterThan", "", number(func(c int) bool { return c > 0 }))
	add("NumericGreaterThanEquals", "", number(func(c int) bool { return c >= 0 }))
	add("DateEquals", "DateNotEquals", date(func(c int) bool { return c == 0 }))
	add("DateLessThan", "", date(func(c int) bool { return c < 0 }))
	add("DateLessThanEquals", "", date(func(c int) bool { return c <= 0 }))
	add("DateGreaterThan", "", date(func(c int) bool { return c > 0 }))
	add("DateGreaterThanEquals", "", date(func(c int) bool { return c >= 0 }))
	return m
}()

// text compares text, with wildcards or not.
func text(wildcards, fold bool) func(string, bool) (operand, error) {
	return func(s string, variables bool) (operand, error) {
		p, err := compile(s, wildcards, variables)
		return func(f *facts, value string) (bool, bool) {
			if !fold {
				return p.match(f, value)
			}
			if p.plain {
				return strings.EqualFold(p.literal, value), true
			}
			runes, defined := p.expand(f)
			return defined && glob([]rune(strings.ToLower(p.head+string(runes))), strings.ToLower(value)), defined
		}, err
	}
}

// arn compares the six parts of ARNs one by one, so that a wildcard reaches no further
// than its part.
func arn(s string, variables bool) (operand, error) {
	var parts [6]pattern
	list := splitARN(s)
	if len(list) != 6 || list[0] != "arn" {
		return nil, fmt.Errorf("%q is no ARN", s)
	}
	for i, part := range list {
		var err error
		if parts[i], err = compile(part, true, variables); err != nil {
			return nil, err
		}
	}
	return func(f *facts, value string) (bool, bool) {
		list := splitARN(value)
		if len(list) != 6 {
			return false, true
		}
		all := true
		for i, p := range parts {
			ok, defined := p.match(f, list[i])
			if !defined {
				return false, false
			}
			all = all && ok
		}
		return all, true
	}, nil
}

// splitARN splits at colons, but not at those of variables such as ${aws:username}.
func splitARN(s string) (parts []string) {
	start, depth := 0, 0
	for i := 0; i < len(s) && len(parts) < 5; i++ {
		switch {
		case strings.HasPrefix(s[i:], "${"):
			depth++
		case s[i] == '}' && depth > 0:
			depth--
		case s[i] == ':' && depth == 0:
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	return append(parts, s[start:])
}

func address(s string, _ bool) (operand, error) {
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return nil, fmt.Errorf("%q is neither an address nor a range such as 203.0.113.0/24", s)
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	return func(_ *facts, value string) (bool, bool) {
		addr, err := netip.ParseAddr(value)
		return err == nil && prefix.Contains(addr.Unmap()), true
	}, nil
}

func binary(s string, _ bool) (operand, error) {
	want, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not base64", s)
	}
	return func(_ *facts, value string) (bool, bool) {
		got, err := base64.StdEncoding.DecodeString(value)
		return err == nil && string(got) == string(want), true
	}, nil
}

func boolean(s string, _ bool) (operand, error) {
	want := strings.ToLower(s)
	if want != "true" && want != "false" {
		return nil, fmt.Errorf("%q is neither true nor false", s)
	}
	return func(_ *facts, value string) (bool, bool) { return strings.EqualFold(value, want), true }, nil
}

// maxNumber keeps numbers such as 1e999999999 from being computed.
const maxNumber = 64

var numberSyntax = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)

func parseNumber(s string) (*big.Rat, bool) {
	if len(s) > maxNumber || !numberSyntax.MatchString(s) {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

func number(holds func(int) bool) func(string, bool) (operand, error) {
	return func(s string, _ bool) (operand, error) {
		want, ok := parseNumber(s)
		if !ok {
			return nil, fmt.Errorf("%q is no decimal number", s)
		}
		return func(_ *facts, value string) (bool, bool) {
			got, ok := parseNumber(value)
			return ok && holds(got.Cmp(want)), true
		}, nil
	}
}

// dateLayouts are the forms of ISO 8601 that AWS's reference names.
var dateLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02", "2006-01", "2006"}

func parseDate(s string) (time.Time, bool) {
	if n, ok := parseNumber(s); ok && len(s) > 4 && n.IsInt() && n.Num().IsInt64() {
		return time.Unix(n.Num().Int64(), 0), true
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func date(holds func(int) bool) func(string, bool) (operand, error) {
	return func(s string, _ bool) (operand, error) {
		want, ok := parseDate(s)
		if !ok {
			return nil, fmt.Errorf("%q is neither a date such as 2026-11-21T12:00:00Z nor seconds since 1970", s)
		}
		return func(_ *facts, value string) (bool, bool) {
			got, ok := parseDate(value)
			return ok && holds(got.Compare(want)), true
		}, nil
	}
}

// parseConditions reads the element Condition.
func parseConditions(v any, variables bool) ([]condition, error) {
	o, ok := v.(object)
	if !ok {
		return nil, fmt.Errorf("is not an object")
	}
	var list []condition
	for _, m := range o {
		keys, ok := m.value.(object)
		if !ok || len(keys) == 0 {
			return nil, fmt.Errorf("%s is not an object of condition keys", m.name)
		}
		for _, k := range keys {
			c, err := parseCondition(m.name, k, variables)
			if err != nil {
				return nil, fmt.Errorf("%s %w", m.name, err)
			}
			list = append(list, c)
		}
	}
	return list, nil
}

func parseCondition(name string, k member, variables bool) (c condition, err error) {
	if rest, ok := strings.CutPrefix(name, "ForAnyValue:"); ok {
		name, c.quantity = rest, anyValue
	} else if rest, ok := strings.CutPrefix(name, "ForAllValues:"); ok {
		name, c.quantity = rest, allValues
	}
	var ok bool
	if c.key, ok = parseKey(k.name); !ok {
		return c, fmt.Errorf("has %q, which is no condition key", k.name)
	}
	values, err := scalars(k.value)
	if err != nil {
		return c, fmt.Errorf("%s %w", k.name, err)
	}
	if name == "Null" {
		if c.quantity != single || len(values) != 1 || values[0] != "true" && values[0] != "false" {
			return c, fmt.Errorf("%s is neither true nor false", k.name)
		}
		c.isNull, c.op.name = values[0] == "true", name
		return c, nil
	}
	name, c.ifExists = strings.CutSuffix(name, "IfExists")
	if c.op, ok = operators[name]; !ok {
		return c, fmt.Errorf("is no operator")
	}
	for _, s := range values {
		t, err := c.op.parse(s, variables)
		if err != nil {
			return c, fmt.Errorf("%s: %w", k.name, err)
		}
		c.operands = append(c.operands, t)
	}
	return c, nil
}

// scalars reads one value or a list of them: texts, numbers and booleans.
func scalars(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("is an empty list")
	}
	var out []string
	for _, item := range list {
		switch t := item.(type) {
		case string:
			out = append(out, t)
		case bool:
			out = append(out, fmt.Sprint(t))
		case json.Number:
			out = append(out, t.String())
		default:
			return nil, fmt.Errorf("has a value that is neither text, number nor boolean")
		}
	}
	return out, nil
}

// holds reports whether the condition of a statement that allows or denies is true of a
// request.
func (c *condition) holds(f *facts, deny bool) bool {
	values, exists := f.values(c.key)
	if c.op.name == "Null" {
		return exists != c.isNull
	}
	if !exists {
		// A key that is not there equals nothing; of its values, none differs.
		return c.ifExists || c.quantity == allValues || c.op.negate && c.quantity == single
	}
	if c.quantity == allValues {
		for _, v := range values {
			if !c.test(f, v, deny) {
				return false
			}
		}
		return true
	}
	if c.quantity == single && c.op.negate {
		// none of several values may be one of the operands
		for _, v := range values {
			if !c.test(f, v, deny) {
				return false
			}
		}
		return true
	}
	for _, v := range values {
		if c.test(f, v, deny) {
			return true
		}
	}
	return false
}

// test compares one value with all operands. A negated operator with a variable that has
// no value is taken the safe way.
func (c *condition) test(f *facts, value string, deny bool) bool {
	unknown := false
	for _, operand := range c.operands {
		ok, defined := operand(f, value)
		if ok {
			return !c.op.negate
		}
		unknown = unknown || !defined
	}
	if unknown && c.op.negate {
		return deny
	}
	return c.op.negate
}
