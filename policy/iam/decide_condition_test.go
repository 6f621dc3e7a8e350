package iam_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
)

// Every operator alone, with IfExists, and over sets, for a value that matches, one that
// does not, and none (reference_policies_elements_condition_operators,
// reference_policies_multi-value-conditions).
func TestDecideOperators(t *testing.T) {
	t.Parallel()
	for op, tt := range map[string]struct {
		operand, other string // other matches neither value
		match, miss    string
		negated        bool
	}{
		"StringEquals":              {`"Red"`, `"unrelated"`, "Red", "red", false},
		"StringNotEquals":           {`"Red"`, `"unrelated"`, "Red", "red", true},
		"StringEqualsIgnoreCase":    {`"Red"`, `"unrelated"`, "rED", "reds", false},
		"StringNotEqualsIgnoreCase": {`"Red"`, `"unrelated"`, "rED", "reds", true},
		"StringLike":                {`"R?d*"`, `"unrelated"`, "Red/7", "red/7", false},
		"StringNotLike":             {`"R?d*"`, `"unrelated"`, "Red/7", "red/7", true},
		"ArnEquals":                 {`"arn:aws:s3:::a/*"`, `"arn:aws:x:::y"`, "arn:aws:s3:::a/b", "arn:aws:s3::1:a/b", false},
		"ArnLike":                   {`"arn:aws:s3:::a/*"`, `"arn:aws:x:::y"`, "arn:aws:s3:::a/b", "arn:aws:s3::1:a/b", false},
		"ArnNotEquals":              {`"arn:aws:s3:::a/*"`, `"arn:aws:x:::y"`, "arn:aws:s3:::a/b", "arn:aws:s3::1:a/b", true},
		"ArnNotLike":                {`"arn:aws:s3:::a/*"`, `"arn:aws:x:::y"`, "arn:aws:s3:::a/b", "arn:aws:s3::1:a/b", true},
		"IpAddress":                 {`"192.0.2.0/24"`, `"2001:db8::/32"`, "192.0.2.255", "192.0.3.0", false},
		"NotIpAddress":              {`"192.0.2.0/24"`, `"2001:db8::/32"`, "192.0.2.255", "192.0.3.0", true},
		"BinaryEquals":              {`"QmluYXJ5"`, `"eHh4"`, "QmluYXJ5", "QmluYXJ6", false},
		"Bool":                      {`"true"`, `"true"`, "true", "false", false},
		"NumericEquals":             {`10`, `-1`, "10.0", "10.01", false},
		"NumericNotEquals":          {`"10"`, `-1`, "10.0", "10.01", true},
		"NumericLessThan":           {`"10"`, `-1`, "9.99", "10", false},
		"NumericLessThanEquals":     {`"10"`, `-1`, "10", "10.01", false},
		"NumericGreaterThan":        {`"10"`, `99`, "10.01", "10", false},
		"NumericGreaterThanEquals":  {`"10"`, `99`, "10", "9.99", false},
		"DateEquals":                {`"2026-11-21"`, `"2001"`, "2026-11-21T01:00:00+01:00", "2026-11-21T00:00:00.5Z", false},
		"DateNotEquals":             {`"2026-11-21"`, `"2001"`, "2026-11-21T01:00:00+01:00", "2026-11-21T00:00:00.5Z", true},
		"DateLessThan":              {`"2026-11-21T12:00:00Z"`, `"2001"`, "2026-11-21T11:59:59Z", "2026-11-21T12:00:00Z", false},
		"DateLessThanEquals":        {`"2026-11-21T12:00:00Z"`, `"2001"`, "2026-11-21T12:00:00Z", "2026-11-21T12:00:01Z", false},
		"DateGreaterThan":           {`"2026-11-21T12:00:00Z"`, `"2099"`, "2026-11-21T12:00:01Z", "2026-11-21T12:00:00Z", false},
		"DateGreaterThanEquals":     {`"2026-11-21T12:00:00Z"`, `"2099"`, "2026-11-21T12:00:00Z", "2026-11-21T11:59:59Z", false},
	} {
		for form, none := range map[string]bool{ // whether it holds of a key without a value
			op:                                tt.negated,
			op + "IfExists":                   true,
			"ForAnyValue:" + op:               false,
			"ForAllValues:" + op:              true,
			"ForAllValues:" + op + "IfExists": true,
		} {
			t.Run(form, func(t *testing.T) {
				t.Parallel()
				for value, want := range map[string]bool{tt.match: !tt.negated, tt.miss: tt.negated, "": none} {
					s := &sources{}
					if value != "" {
						s.tags = map[string]string{"k": value}
					}
					for _, effect := range []string{"Allow", "Deny"} {
						statement := conditional(effect, fmt.Sprintf(`%q:{"K":%s}`, form, tt.operand))
						if got := matches(t, s, push(alice), "2012-10-17", statement); got != want {
							t.Errorf("%s %s of the value %q: %v, want %v", effect, tt.operand, value, got, want)
						}
						// one of several values must match, or none where the operator is negated
						other := fmt.Sprintf(`%q:{"K":[%s,%s]}`, form, tt.other, tt.operand)
						if got := matches(t, s, push(alice), "2012-10-17", conditional(effect, other)); got != want {
							t.Errorf("%s of two values, of the value %q: %v, want %v", effect, value, got, want)
						}
					}
				}
			})
		}
	}
}

// conditional is a statement about everything on a condition, in which K is the key that the
// tests give values to, a tag of the principal.
func conditional(effect, condition string) string {
	return `{"Effect":"` + effect + `","Action":"*","Resource":"*","Condition":{` +
		strings.ReplaceAll(condition, `"K"`, `"aws:PrincipalTag/k"`) + `}}`
}

// What operators do with particular values. The conditions are on one tag, K, with a value
// or with none.
func TestDecideValues(t *testing.T) {
	t.Parallel()
	type tag = map[string]string
	k := func(value string) tag { return tag{"k": value} }
	for reason, tt := range map[string]struct {
		condition string
		tags      tag
		want      bool
	}{
		"no condition at all holds":                       {``, nil, true},
		"a star is only text to StringEquals":             {`"StringEquals":{"K":"a*"}`, k("ab"), false},
		"a star is itself to StringEquals":                {`"StringEquals":{"K":"a*"}`, k("a*"), true},
		"a question mark is only text to StringEquals":    {`"StringEquals":{"K":"a?"}`, k("ab"), false},
		"a star is only text to IgnoreCase":               {`"StringEqualsIgnoreCase":{"K":"a*"}`, k("ab"), false},
		"a number in a policy is its text":                {`"StringEquals":{"K":7}`, k("7"), true},
		"a number in a policy is as it was written":       {`"StringEquals":{"K":7.0}`, k("7"), false},
		"a boolean in a policy is its text":               {`"StringEquals":{"K":true}`, k("true"), true},
		"one of three texts":                              {`"StringEquals":{"K":["a","b","c"]}`, k("b"), true},
		"none of three texts":                             {`"StringEquals":{"K":["a","b","c"]}`, k("d"), false},
		"not one of three texts":                          {`"StringNotEquals":{"K":["a","b","c"]}`, k("b"), false},
		"not any of three texts":                          {`"StringNotEquals":{"K":["a","b","c"]}`, k("d"), true},
		"the empty text is a value of a tag":              {`"StringEquals":{"K":""}`, k(""), true},
		"the empty text is not any value":                 {`"StringEquals":{"K":""}`, k("a"), false},
		"the empty text is not a missing value":           {`"StringEquals":{"K":""}`, nil, false},
		"an empty pattern matches the empty text":         {`"StringLike":{"K":""}`, k(""), true},
		"a star matches the empty text":                   {`"StringLike":{"K":"*"}`, k(""), true},
		"a star matches no missing value":                 {`"StringLike":{"K":"*"}`, nil, false},
		"a question mark does not match the empty text":   {`"StringLike":{"K":"?"}`, k(""), false},
		"a question mark is one character, not one byte":  {`"StringLike":{"K":"?"}`, k("é"), true},
		"a question mark is one character of four bytes":  {`"StringLike":{"K":"a?c"}`, k("a😀c"), true},
		"two question marks are not one character":        {`"StringLike":{"K":"??"}`, k("é"), false},
		"a star goes over slashes and colons":             {`"StringLike":{"K":"a*z"}`, k("a/b:c/z"), true},
		"a star is tried again":                           {`"StringLike":{"K":"*ab"}`, k("aab"), true},
		"a star in front of a part that comes twice":      {`"StringLike":{"K":"*aab*"}`, k("xaaab"), true},
		"stars in a row are one":                          {`"StringLike":{"K":"a**b"}`, k("ab"), true},
		"a star and a question mark need one":             {`"StringLike":{"K":"a*?"}`, k("a"), false},
		"a question mark and a star need one":             {`"StringLike":{"K":"?*"}`, k("é"), true},
		"a pattern is of the whole text":                  {`"StringLike":{"K":"b"}`, k("abc"), false},
		"brackets are no pattern":                         {`"StringLike":{"K":"[ab]"}`, k("a"), false},
		"brackets are themselves":                         {`"StringLike":{"K":"[ab]*"}`, k("[ab]c"), true},
		"a backslash is itself":                           {`"StringLike":{"K":"a\\*"}`, k(`a\b`), true},
		"a newline is a character like others":            {`"StringLike":{"K":"a*b?c"}`, k("a\nb\nc"), true},
		"StringLike knows case":                           {`"StringLike":{"K":"A*"}`, k("abc"), false},
		"case beyond ASCII":                               {`"StringEqualsIgnoreCase":{"K":"ÄÖ"}`, k("äö"), true},
		"a negated pattern":                               {`"StringNotLike":{"K":["a*","b*"]}`, k("c"), true},
		"a negated pattern that one matches":              {`"StringNotLike":{"K":["a*","b*"]}`, k("bc"), false},
		"a key that nobody has is nothing":                {`"StringLike":{"aws:SourceVpce":"*"}`, nil, false},
		"a key that nobody has differs":                   {`"StringNotEquals":{"aws:SourceVpce":"vpce-1"}`, nil, true},
		"a key that nobody has is null":                   {`"Null":{"aws:SourceVpce":"true"}`, nil, true},
		"a tag is there":                                  {`"Null":{"K":"false"}`, k("a"), true},
		"a tag with an empty value is there":              {`"Null":{"K":"false"}`, k(""), true},
		"a tag is not there":                              {`"Null":{"K":"true"}`, nil, true},
		"a tag is there, which it must not be":            {`"Null":{"K":"true"}`, k("a"), false},
		"a tag is not there, which it must be":            {`"Null":{"K":"false"}`, nil, false},
		"null, as a boolean":                              {`"Null":{"K":true}`, nil, true},
		"null, in a list":                                 {`"Null":{"K":["true"]}`, nil, true},
		"all keys of an operator must match":              {`"StringEquals":{"K":"a","aws:PrincipalTag/l":"b"}`, tag{"k": "a", "l": "b"}, true},
		"one key of an operator does not match":           {`"StringEquals":{"K":"a","aws:PrincipalTag/l":"b"}`, tag{"k": "a", "l": "c"}, false},
		"all operators must match":                        {`"StringEquals":{"K":"a"},"StringLike":{"K":"?"}`, k("a"), true},
		"one operator does not match":                     {`"StringEquals":{"K":"a"},"StringLike":{"K":"??"}`, k("a"), false},
		"an ARN has a star in each part":                  {`"ArnLike":{"K":"arn:*:*:*:*:*"}`, k("arn:aws:s3:eu-1:1:a:b"), true},
		"a star does not leave its part of an ARN":        {`"ArnLike":{"K":"arn:aws:x:*:111122223333:finance/*"}`, k("arn:aws:x:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"), false},
		"but it does in a text":                           {`"StringLike":{"K":"arn:aws:x:*:111122223333:finance/*"}`, k("arn:aws:x:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"), true},
		"the last part of an ARN may have colons":         {`"ArnLike":{"K":"arn:aws:x:::a:*"}`, k("arn:aws:x:::a:b:c"), true},
		"ArnEquals knows stars like ArnLike":              {`"ArnEquals":{"K":"arn:aws:iam::*:user/?ob"}`, k("arn:aws:iam::1:user/bob"), true},
		"an ARN knows case":                               {`"ArnEquals":{"K":"arn:aws:iam::1:user/Bob"}`, k("arn:aws:iam::1:user/bob"), false},
		"an ARN with a brace in its middle":               {`"ArnLike":{"K":"arn:aws:x}y::1:*"}`, k("arn:aws:x}y::1:a"), true},
		"what is no ARN equals none":                      {`"ArnLike":{"K":"arn:*:*:*:*:*"}`, k("bob"), false},
		"what is no ARN differs from all":                 {`"ArnNotLike":{"K":"arn:*:*:*:*:*"}`, k("bob"), true},
		"a lone address is a range of one":                {`"IpAddress":{"K":"192.0.2.1"}`, k("192.0.2.1"), true},
		"a lone address is not its neighbour":             {`"IpAddress":{"K":"192.0.2.1"}`, k("192.0.2.2"), false},
		"a range whose base has bits behind the mask":     {`"IpAddress":{"K":"192.0.2.77/24"}`, k("192.0.2.1"), true},
		"a range of all addresses":                        {`"IpAddress":{"K":"0.0.0.0/0"}`, k("203.0.113.7"), true},
		"a range of all addresses of the other kind":      {`"IpAddress":{"K":"::/0"}`, k("203.0.113.7"), false},
		"a longer address":                                {`"IpAddress":{"K":"2001:DB8:1234:5678::/64"}`, k("2001:db8:1234:5678::9"), true},
		"a longer address that is outside":                {`"IpAddress":{"K":"2001:DB8:1234:5678::/64"}`, k("2001:db8:1234:5679::9"), false},
		"a shorter address in a longer form":              {`"IpAddress":{"K":"192.0.2.0/24"}`, k("::ffff:192.0.2.9"), true},
		"one of two ranges":                               {`"IpAddress":{"K":["192.0.2.0/24","2001:db8::/32"]}`, k("2001:db8::1"), true},
		"not in two ranges":                               {`"NotIpAddress":{"K":["192.0.2.0/24","198.51.100.0/24"]}`, k("203.0.113.7"), true},
		"in one of two ranges that are not meant":         {`"NotIpAddress":{"K":["192.0.2.0/24","198.51.100.0/24"]}`, k("198.51.100.7"), false},
		"what is no address is in no range":               {`"IpAddress":{"K":"0.0.0.0/0"}`, k("example.com"), false},
		"numbers of other forms":                          {`"NumericEquals":{"K":"1.50"}`, k("1.5"), true},
		"numbers below zero":                              {`"NumericLessThan":{"K":-1}`, k("-1.5"), true},
		"numbers too large for a float":                   {`"NumericLessThan":{"K":"9007199254740993"}`, k("9007199254740992"), true},
		"numbers too fine for a float":                    {`"NumericGreaterThan":{"K":"0.3"}`, k("0.30000000000000000001"), true},
		"what is no number equals none":                   {`"NumericEquals":{"K":"10"}`, k("ten"), false},
		"what is no number is not less":                   {`"NumericLessThan":{"K":"10"}`, k("ten"), false},
		"what is no number differs":                       {`"NumericNotEquals":{"K":"10"}`, k("ten"), true},
		"one of two numbers":                              {`"NumericEquals":{"K":[1,"2"]}`, k("2"), true},
		"less than one of two numbers":                    {`"NumericLessThan":{"K":[1,3]}`, k("2"), true},
		"a year":                                          {`"DateEquals":{"K":"2026"}`, k("2026-01-01T00:00:00Z"), true},
		"a month":                                         {`"DateEquals":{"K":"2026-02"}`, k("2026-02-01T00:00:00Z"), true},
		"a time without seconds":                          {`"DateEquals":{"K":"2026-02-01T10:30Z"}`, k("2026-02-01T10:30:00Z"), true},
		"a time with a fraction":                          {`"DateLessThan":{"K":"2026-02-01T10:30:00.5Z"}`, k("2026-02-01T10:30:00.25Z"), true},
		"a time of another zone":                          {`"DateEquals":{"K":"2026-02-01T10:30:00+02:00"}`, k("2026-02-01T08:30:00Z"), true},
		"seconds since 1970":                              {`"DateGreaterThan":{"K":"1767225600"}`, k("2026-01-01T00:00:01Z"), true},
		"seconds since 1970, as a number":                 {`"DateEquals":{"K":1767225600}`, k("2026-01-01T00:00:00Z"), true},
		"seconds since 1970, of the request":              {`"DateEquals":{"K":"2026-01-01"}`, k("1767225600"), true},
		"what is no date is not before one":               {`"DateLessThan":{"K":"2026"}`, k("tomorrow"), false},
		"what is no date differs":                         {`"DateNotEquals":{"K":"2026"}`, k("tomorrow"), true},
		"true, as a boolean":                              {`"Bool":{"K":true}`, k("true"), true},
		"true, in another case":                           {`"Bool":{"K":"True"}`, k("TRUE"), true},
		"neither true nor false":                          {`"Bool":{"K":"false"}`, k("0"), false},
		"false is not true":                               {`"Bool":{"K":"false"}`, k("true"), false},
		"bytes in a form with other padding are no match": {`"BinaryEquals":{"K":"YQ=="}`, k("YQ"), false},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			for _, effect := range []string{"Allow", "Deny"} {
				s := &sources{tags: tt.tags}
				if got := matches(t, s, push(alice), "2012-10-17", conditional(effect, tt.condition)); got != tt.want {
					t.Errorf("%s: %v, want %v", effect, got, tt.want)
				}
			}
		})
	}
}

// Sets of values, of the one key that has several.
func TestDecideSets(t *testing.T) {
	t.Parallel()
	for reason, tt := range map[string]struct {
		condition string
		keys      []string
		want      bool
	}{
		"any of them is one":                         {`"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}`, []string{"x", "b"}, true},
		"none of them is one":                        {`"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}`, []string{"x", "y"}, false},
		"any, of none":                               {`"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}`, nil, false},
		"any, of an empty list":                      {`"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}`, []string{}, false},
		"any of them is like one":                    {`"ForAnyValue:StringLike":{"aws:TagKeys":"team-*"}`, []string{"x", "team-a"}, true},
		"any of them in another case":                {`"ForAnyValue:StringEqualsIgnoreCase":{"aws:TagKeys":"a"}`, []string{"A"}, true},
		"any of them differs":                        {`"ForAnyValue:StringNotEquals":{"aws:TagKeys":["a","b"]}`, []string{"a", "x"}, true},
		"none of them differs":                       {`"ForAnyValue:StringNotEquals":{"aws:TagKeys":["a","b"]}`, []string{"a", "b"}, false},
		"any differs, of none":                       {`"ForAnyValue:StringNotEquals":{"aws:TagKeys":["a","b"]}`, nil, false},
		"any of them is unlike":                      {`"ForAnyValue:StringNotLike":{"aws:TagKeys":"team-*"}`, []string{"team-a", "x"}, true},
		"all of them are some":                       {`"ForAllValues:StringEquals":{"aws:TagKeys":["a","b","c"]}`, []string{"c", "a"}, true},
		"not all of them are some":                   {`"ForAllValues:StringEquals":{"aws:TagKeys":["a","b","c"]}`, []string{"c", "x"}, false},
		"all, of none":                               {`"ForAllValues:StringEquals":{"aws:TagKeys":["a","b","c"]}`, nil, true},
		"all, of an empty list":                      {`"ForAllValues:StringEquals":{"aws:TagKeys":["a","b","c"]}`, []string{}, true},
		"all of them are like some":                  {`"ForAllValues:StringLike":{"aws:TagKeys":["team-*","a"]}`, []string{"team-a", "a", "team-b"}, true},
		"all of them differ":                         {`"ForAllValues:StringNotEquals":{"aws:TagKeys":["a","b"]}`, []string{"x", "y"}, true},
		"not all of them differ":                     {`"ForAllValues:StringNotEquals":{"aws:TagKeys":["a","b"]}`, []string{"x", "b"}, false},
		"all differ, of none":                        {`"ForAllValues:StringNotEquals":{"aws:TagKeys":["a","b"]}`, nil, true},
		"all, and there must be one":                 {`"ForAllValues:StringEquals":{"aws:TagKeys":"a"},"Null":{"aws:TagKeys":"false"}`, nil, false},
		"all, and there is one":                      {`"ForAllValues:StringEquals":{"aws:TagKeys":"a"},"Null":{"aws:TagKeys":"false"}`, []string{"a"}, true},
		"there is none":                              {`"Null":{"aws:TagKeys":"true"}`, nil, true},
		"an empty list is none":                      {`"Null":{"aws:TagKeys":"true"}`, []string{}, true},
		"one of a set of one, without saying how":    {`"StringEquals":{"aws:TagKeys":"a"}`, []string{"a"}, true},
		"several are no value of a variable":         {`"StringEquals":{"aws:UserAgent":"${aws:TagKeys}"}`, []string{"docker/28.5.1", "x"}, false},
		"what differs in a set of one, without that": {`"StringNotEquals":{"aws:TagKeys":"a"}`, []string{"a"}, false},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			req := push(alice)
			req.TagKeys = tt.keys
			for _, effect := range []string{"Allow", "Deny"} {
				if got := matches(t, &sources{}, req, "2012-10-17", conditional(effect, tt.condition)); got != tt.want {
					t.Errorf("%s: %v, want %v", effect, got, tt.want)
				}
			}
		})
	}
}

// Every condition key of the package comment, by what a request says.
func TestDecideKeys(t *testing.T) {
	t.Parallel()
	is := func(key, value string) string { return fmt.Sprintf(`"StringEquals":{%q:%q}`, key, value) }
	missing := func(key string) string { return fmt.Sprintf(`"Null":{%q:"true"}`, key) }
	who := func(p auth.Principal) func(*policy.Request, *sources) {
		return func(r *policy.Request, _ *sources) { r.Principal = p }
	}
	in := func(name string) func(*policy.Request, *sources) {
		return who(auth.Principal{Account: owner, Name: name})
	}
	tags := func(tags map[string]string) func(*policy.Request, *sources) {
		return func(_ *policy.Request, s *sources) { s.tags = tags }
	}
	labels := func(tags map[string]string) func(*policy.Request, *sources) {
		return func(_ *policy.Request, s *sources) { s.repositoryTags = tags }
	}
	nowhere := func(r *policy.Request, s *sources) {
		r.Resource, s.repositoryTags = policy.Resource{}, map[string]string{"k": "a"}
	}
	asked := func(tags map[string]string) func(*policy.Request, *sources) {
		return func(r *policy.Request, _ *sources) { r.RequestTags = tags }
	}
	from := func(addr string) func(*policy.Request, *sources) {
		return func(r *policy.Request, _ *sources) { r.Remote = netip.MustParseAddr(addr) }
	}
	const role, sts = "arn:aws:iam::" + owner + ":role/", "arn:aws:sts::" + owner + ":assumed-role/"
	for reason, tt := range map[string]struct {
		condition string
		change    func(*policy.Request, *sources)
		want      bool
	}{
		"the address of the client":                       {is("aws:SourceIp", "203.0.113.7"), nil, true},
		"the address, in a range":                         {`"IpAddress":{"aws:SourceIp":["192.0.2.0/24","203.0.113.0/24"]}`, nil, true},
		"the address, in none of the ranges":              {`"IpAddress":{"aws:SourceIp":["192.0.2.0/24","198.51.100.0/24"]}`, nil, false},
		"the address, behind a listener for both kinds":   {`"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`, from("::ffff:203.0.113.9"), true},
		"the address, behind such a listener, as text":    {is("aws:SourceIp", "203.0.113.9"), from("::ffff:203.0.113.9"), true},
		"the address, of the longer kind":                 {`"IpAddress":{"aws:SourceIp":"2001:db8::/32"}`, from("2001:db8::7"), true},
		"the address, with a zone":                        {`"IpAddress":{"aws:SourceIp":"fe80::/10"}`, from("fe80::1%eth0"), true},
		"no address within the process":                   {missing("aws:SourceIp"), func(r *policy.Request, _ *sources) { r.Remote = netip.Addr{} }, true},
		"no address is in no range":                       {`"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}`, func(r *policy.Request, _ *sources) { r.Remote = netip.Addr{} }, false},
		"no address is outside every range":               {`"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}`, func(r *policy.Request, _ *sources) { r.Remote = netip.Addr{} }, true},
		"over TLS":                                        {`"Bool":{"aws:SecureTransport":"true"}`, nil, true},
		"not over TLS":                                    {`"Bool":{"aws:SecureTransport":"false"}`, func(r *policy.Request, _ *sources) { r.Secure = false }, true},
		"TLS is always known":                             {missing("aws:SecureTransport"), func(r *policy.Request, _ *sources) { r.Secure = false }, false},
		"the time":                                        {`"DateEquals":{"aws:CurrentTime":"2026-11-21T12:00:00Z"}`, nil, true},
		"the time, within a range":                        {`"DateGreaterThan":{"aws:CurrentTime":"2026-11-21"},"DateLessThan":{"aws:CurrentTime":"2026-11-22"}`, nil, true},
		"the time, after the range":                       {`"DateLessThan":{"aws:CurrentTime":"2026-11-21T12:00:00Z"}`, nil, false},
		"the time, of another zone":                       {`"DateEquals":{"aws:CurrentTime":"2026-11-21T12:00:00Z"}`, func(r *policy.Request, _ *sources) { r.Time = r.Time.In(time.FixedZone("X", 3600)) }, true},
		"the time, of now where it is not given":          {`"DateGreaterThan":{"aws:CurrentTime":"2026-01-01"}`, func(r *policy.Request, _ *sources) { r.Time = time.Time{} }, true},
		"the time, in seconds":                            {`"NumericEquals":{"aws:EpochTime":"1795262400"}`, nil, true},
		"the time, in seconds, as a date":                 {`"DateEquals":{"aws:EpochTime":"2026-11-21T12:00:00Z"}`, nil, true},
		"the time, against seconds":                       {`"DateLessThanEquals":{"aws:CurrentTime":"1795262400"}`, nil, true},
		"the client's name":                               {`"StringLike":{"aws:UserAgent":"docker/*"}`, nil, true},
		"the client's name, of which the start counts":    {`"StringEquals":{"aws:UserAgent":"` + strings.Repeat("a", 1024) + `"}`, func(r *policy.Request, _ *sources) { r.UserAgent = strings.Repeat("a", 1024) + "b" }, true},
		"the client's name, up to where it counts":        {`"StringLike":{"aws:UserAgent":"*b"}`, func(r *policy.Request, _ *sources) { r.UserAgent = strings.Repeat("a", 1023) + "b" }, true},
		"no client's name":                                {missing("aws:UserAgent"), func(r *policy.Request, _ *sources) { r.UserAgent = "" }, true},
		"the ARN of a user":                               {is("aws:PrincipalArn", "arn:aws:iam::"+owner+":user/alice"), nil, true},
		"the ARN of a user in a path":                     {`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/team/*"}`, in("user/team/alice"), true},
		"the ARN of a role":                               {is("aws:PrincipalArn", role+"ci"), in("role/ci"), true},
		"the ARN of a session is that of its role":        {`"ArnEquals":{"aws:PrincipalArn":"` + role + `ci"}`, in("assumed-role/ci/build-7"), true},
		"the ARN of a session is not its own":             {`"ArnLike":{"aws:PrincipalArn":"` + sts + `*"}`, in("assumed-role/ci/build-7"), false},
		"the account of the principal":                    {is("aws:PrincipalAccount", owner), nil, true},
		"the type of a user":                              {is("aws:PrincipalType", "User"), nil, true},
		"the type of a user, written with the kind":       {is("aws:PrincipalType", "User"), in("user/team/alice"), true},
		"the type of a role":                              {is("aws:PrincipalType", "AssumedRole"), in("role/ci"), true},
		"the type of a session":                           {is("aws:PrincipalType", "AssumedRole"), in("assumed-role/ci/build-7"), true},
		"the name of a user":                              {is("aws:username", "alice"), nil, true},
		"the name of a user in a path":                    {is("aws:username", "alice"), in("user/team/a/alice"), true},
		"the name of a user knows case":                   {is("aws:username", "Alice"), nil, false},
		"a role has no user name":                         {missing("aws:username"), in("role/ci"), true},
		"a session has no user name":                      {missing("aws:username"), in("assumed-role/ci/build-7"), true},
		"a tag of the principal":                          {is("aws:PrincipalTag/team", "red"), tags(map[string]string{"team": "red"}), true},
		"a tag of the principal, with another value":      {is("aws:PrincipalTag/team", "red"), tags(map[string]string{"team": "blue"}), false},
		"a tag of the principal, in another case":         {is("aws:PrincipalTag/TEAM", "red"), tags(map[string]string{"team": "red"}), true},
		"a tag of the principal, the one of that case":    {is("aws:PrincipalTag/Team", "red"), tags(map[string]string{"team": "blue", "Team": "red", "TEAM": "green"}), true},
		"a tag of the principal, with signs in its name":  {is("aws:PrincipalTag/a b+c-d=e.f_g:h/i@j", "red"), tags(map[string]string{"a b+c-d=e.f_g:h/i@j": "red"}), true},
		"a tag of the principal, beyond ASCII":            {is("aws:PrincipalTag/größe", "1"), tags(map[string]string{"größe": "1"}), true},
		"a tag that the principal does not have":          {missing("aws:PrincipalTag/team"), tags(map[string]string{"teams": "red"}), true},
		"a tag of the repository":                         {is("aws:ResourceTag/team", "red"), labels(map[string]string{"team": "red"}), true},
		"a tag of the repository, by the service's key":   {is("ecr-public:ResourceTag/team", "red"), labels(map[string]string{"team": "red"}), true},
		"a tag of the repository, by another service's":   {missing("ecr:ResourceTag/team"), labels(map[string]string{"team": "red"}), true},
		"a tag of the repository, in another case":        {is("ecr-public:ResourceTag/Team", "red"), labels(map[string]string{"team": "red"}), true},
		"a tag of the repository is none of the user":     {missing("aws:PrincipalTag/team"), labels(map[string]string{"team": "red"}), true},
		"a tag of a repository that is not there":         {missing("aws:ResourceTag/k"), func(r *policy.Request, s *sources) { r.Resource.ID = 0; s.repositoryTags = map[string]string{"k": "a"} }, true},
		"a tag of nothing in particular":                  {missing("aws:ResourceTag/k"), nowhere, true},
		"a tag of the request":                            {is("aws:RequestTag/team", "red"), asked(map[string]string{"team": "red"}), true},
		"a tag of the request, with another value":        {is("aws:RequestTag/team", "red"), asked(map[string]string{"team": "blue"}), false},
		"a tag of the request, in another case":           {is("aws:RequestTag/TEAM", "red"), asked(map[string]string{"team": "red"}), true},
		"a tag that the request does not set":             {missing("aws:RequestTag/team"), asked(map[string]string{"size": "1"}), true},
		"the names of the request's tags":                 {`"ForAllValues:StringEquals":{"aws:TagKeys":["team","size"]}`, func(r *policy.Request, _ *sources) { r.TagKeys = []string{"size"} }, true},
		"the account of the resource":                     {is("aws:ResourceAccount", owner), nil, true},
		"the account of a registry":                       {is("aws:ResourceAccount", owner), func(r *policy.Request, _ *sources) { r.Resource = policy.Resource{Account: owner} }, true},
		"no account of nothing in particular":             {missing("aws:ResourceAccount"), nowhere, true},
		"the name of a key knows no case":                 {is("AWS:sourceIP", "203.0.113.7"), nil, true},
		"the name of a key with a tag knows no case":      {is("AWS:principalTAG/team", "red"), tags(map[string]string{"team": "red"}), true},
		"a key without its tag has no value":              {missing("aws:PrincipalTag"), tags(map[string]string{"": "red"}), true},
		"a key with a tag that knows none has no value":   {missing("aws:username/alice"), nil, true},
		"a key of another service has no value":           {missing("s3:prefix"), nil, true},
		"a key that AWS has and the library does not":     {missing("aws:MultiFactorAuthPresent"), nil, true},
		"what denies without TLS lets a request over TLS": {`"BoolIfExists":{"aws:SecureTransport":"false"}`, nil, false},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			for _, effect := range []string{"Allow", "Deny"} {
				req, s := push(alice), &sources{}
				if tt.change != nil {
					tt.change(req, s)
				}
				if got := matches(t, s, req, "2012-10-17", conditional(effect, tt.condition)); got != tt.want {
					t.Errorf("%s: %v, want %v", effect, got, tt.want)
				}
			}
		})
	}
}

// The account itself is allowed everything by its identity: what its keys are shows in what
// denies.
func TestDecideKeysOfARoot(t *testing.T) {
	t.Parallel()
	for reason, tt := range map[string]struct {
		condition string
		want      policy.Effect
	}{
		"its ARN":            {`"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::` + owner + `:root"}`, policy.Deny},
		"its type":           {`"StringEquals":{"aws:PrincipalType":"Account"}`, policy.Deny},
		"its account":        {`"StringEquals":{"aws:PrincipalAccount":"` + owner + `"}`, policy.Deny},
		"its type is no use": {`"StringEquals":{"aws:PrincipalType":"User"}`, policy.Allow},
		"it has no name":     {`"Null":{"aws:username":"true"}`, policy.Deny},
		"it is not called root, which a user might be": {`"StringEquals":{"aws:username":"root"}`, policy.Allow},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := &sources{policy: document(`{"Effect":"Deny","Principal":"*","Action":"*","Condition":{` + tt.condition + `}}`)}
			expect(t, s, push(root(owner)), tt.want)
		})
	}
}
