package iam_test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/policy"
	"github.com/esplanade-registry/esplanade/policy/iam"
)

// place is where an error says that something is wrong.
type place struct {
	Statement  int
	Sid, Field string
}

func placeOf(e *iam.Error) place { return place{e.Statement, e.Sid, e.Field} }

// ofLength returns a policy of a number of characters, filled up with one of them.
func ofLength(kind iam.Kind, characters int, filling string) string {
	statement := allowAll
	if kind == iam.Repository {
		statement = allowAnyone
	}
	text := `{"Id":"` + strings.Repeat(filling, characters-len(`{"Id":"","Statement":}`)-len(statement)) + `","Statement":` + statement + `}`
	if n := len([]rune(text)); n != characters {
		panic(fmt.Sprint(n, " characters"))
	}
	return text
}

// nested is lists within lists.
func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func TestParseInvalid(t *testing.T) {
	t.Parallel()
	const both, identity, repository = iam.Kind(0), iam.Identity, iam.Repository
	// A statement that is right but for one element. Where a text is wrong for both kinds, @
	// stands for what the other kind must not have: the resource or the principal.
	around := func(element string) string { return `{"Sid":"A","Effect":"Allow",@,"Action":"*",` + element + `}` }
	condition := func(c string) string { return around(`"Condition":` + c) }
	second := func(statement string) string {
		return document(`{"Sid":"First","Effect":"Allow",@,"Action":"*"}`, statement)
	}
	top := place{}
	at := func(statement int, sid, field string) place { return place{statement, sid, field} }
	for problem, tt := range map[string]struct {
		kind iam.Kind
		text string
		want place
	}{
		// the text
		"an empty text":                            {both, ``, top},
		"a blank text":                             {both, " \n", top},
		"a text that ends too early":               {both, `{"Statement":[`, top},
		"a text that is not JSON":                  {both, `Statement: []`, top},
		"a text in single quotes":                  {both, `{'Statement':[]}`, top},
		"a comma too many":                         {both, `{"Statement":[{"Effect":"Allow",@,"Action":"*",}]}`, top},
		"a comma too many in a list":               {both, `{"Statement":[{"Effect":"Allow",@,"Action":["*",]}]}`, top},
		"a comma too few":                          {both, `{"Version":"2012-10-17" "Statement":[]}`, top},
		"a bracket that closes a brace":            {both, `{"Statement":{"Effect":"Allow",@,"Action":"*"]}`, top},
		"a comment":                                {both, `{/* all */"Statement":{"Effect":"Allow",@,"Action":"*"}}`, top},
		"a byte order mark":                        {both, "\ufeff" + document(`{"Effect":"Allow",@,"Action":"*"}`), top},
		"a text that is not UTF-8":                 {both, "{\"Id\":\"\xff\",\"Statement\":{\"Effect\":\"Allow\",@,\"Action\":\"*\"}}", top},
		"a line break in a text":                   {both, "{\"Id\":\"a\nb\",\"Statement\":{\"Effect\":\"Allow\",@,\"Action\":\"*\"}}", top},
		"a list":                                   {both, `[{"Effect":"Allow",@,"Action":"*"}]`, top},
		"a null":                                   {both, `null`, top},
		"a number":                                 {both, `1`, top},
		"a text within the text":                   {both, `"{}"`, top},
		"something after the policy":               {both, document(`{"Effect":"Allow",@,"Action":"*"}`) + `x`, top},
		"a brace after the policy":                 {both, document(`{"Effect":"Allow",@,"Action":"*"}`) + `}`, top},
		"another policy after the policy":          {both, document(`{"Effect":"Allow",@,"Action":"*"}`) + "\n{}", top},
		"one character too many":                   {identity, ofLength(identity, 10241, "a"), top},
		"one character too many for a repository":  {repository, ofLength(repository, 10241, "a"), top},
		"one character of two bytes too many":      {identity, ofLength(identity, 10241, "é"), top},
		"blanks count as characters":               {identity, ofLength(identity, 10240, "a") + " ", top},
		"nested deeper than any policy":            {both, `{"Statement":` + nested(17) + `}`, top},
		"nested deeper than any policy, in a Sid":  {both, second(around(`"Sid2":` + nested(100))), top},
		"nested deeper than a stack":               {both, nested(5000), top},
		"the same element twice":                   {both, `{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}`, top},
		"the same element twice in a statement":    {both, document(around(`"Effect":"Allow"`)), top},
		"the same element twice, once with a code": {both, document(around(`"\u0045ffect":"Allow"`)), top},
		"the same operator twice":                  {both, document(condition(`{"Bool":{"aws:SecureTransport":true},"Bool":{"aws:SecureTransport":true}}`)), top},
		"the same key twice":                       {both, document(condition(`{"Bool":{"aws:SecureTransport":true,"aws:SecureTransport":true}}`)), top},
		"the same kind of principal twice":         {repository, document(`{"Effect":"Allow","Principal":{"AWS":"*","AWS":"*"},"Action":"*"}`), top},

		// its elements
		"no element":                           {both, `{}`, at(0, "", "Statement")},
		"no statement":                         {both, `{"Version":"2012-10-17"}`, at(0, "", "Statement")},
		"an empty list of statements":          {both, `{"Version":"2012-10-17","Statement":[]}`, at(0, "", "Statement")},
		"a version that is not there yet":      {both, `{"Version":"2026-10-17","Statement":[]}`, at(0, "", "Version")},
		"a version in another form":            {both, `{"Version":"2012-10-17 ","Statement":[]}`, at(0, "", "Version")},
		"an empty version":                     {both, `{"Version":"","Statement":[]}`, at(0, "", "Version")},
		"a version that is null":               {both, `{"Version":null,"Statement":[]}`, at(0, "", "Version")},
		"a version that is a number":           {both, `{"Version":2012,"Statement":[]}`, at(0, "", "Version")},
		"a version that is a list":             {both, `{"Version":["2012-10-17"],"Statement":[]}`, at(0, "", "Version")},
		"an Id that is a number":               {both, `{"Id":1,"Statement":[]}`, at(0, "", "Id")},
		"an Id that is an object":              {both, `{"Id":{},"Statement":[]}`, at(0, "", "Id")},
		"an element that nobody knows":         {both, `{"Statements":[]}`, at(0, "", `"Statements"`)},
		"an element in another case":           {both, `{"statement":[]}`, at(0, "", `"statement"`)},
		"an element of a statement at the top": {both, `{"Effect":"Allow","Statement":[]}`, at(0, "", `"Effect"`)},
		"an element without a name":            {both, `{"":1}`, at(0, "", `""`)},

		// statements
		"a statement that is null":                 {both, `{"Statement":null}`, at(1, "", "")},
		"a statement that is a text":               {both, `{"Statement":"Allow"}`, at(1, "", "")},
		"a statement that is a list":               {both, `{"Statement":[[]]}`, at(1, "", "")},
		"a second statement that is a number":      {both, second(`1`), at(2, "", "")},
		"an empty statement":                       {both, `{"Statement":{}}`, at(1, "", "Effect")},
		"an element of a statement nobody knows":   {both, second(around(`"Conditions":{}`)), at(2, "A", `"Conditions"`)},
		"an element of a statement, in lower case": {both, second(`{"Sid":"A","effect":"Allow",@,"Action":"*"}`), at(2, "A", `"effect"`)},
		"an element before the Sid nobody knows":   {both, document(`{"Extra":1,"Sid":"A","Effect":"Allow",@,"Action":"*"}`), at(1, "A", `"Extra"`)},
		"a Sid that is a number":                   {both, second(`{"Sid":1,"Effect":"Allow",@,"Action":"*"}`), at(2, "", "Sid")},
		"a Sid that is null":                       {both, second(`{"Sid":null,"Effect":"Allow",@,"Action":"*"}`), at(2, "", "Sid")},
		"a Sid with a blank, of an identity":       {identity, second(`{"Sid":"A B","Effect":"Allow",@,"Action":"*"}`), at(2, "A B", "Sid")},
		"a Sid with a dash, of an identity":        {identity, second(`{"Sid":"A-B","Effect":"Allow",@,"Action":"*"}`), at(2, "A-B", "Sid")},
		"a Sid with a line break, of an identity":  {identity, second(`{"Sid":"A\n","Effect":"Allow",@,"Action":"*"}`), at(2, "A\n", "Sid")},
		"the same Sid twice":                       {both, second(`{"Sid":"First","Effect":"Deny",@,"Action":"*"}`), at(2, "First", "Sid")},
		"no Effect":                                {both, second(`{"Sid":"A",@,"Action":"*"}`), at(2, "A", "Effect")},
		"an Effect in another case":                {both, second(`{"Sid":"A","Effect":"allow",@,"Action":"*"}`), at(2, "A", "Effect")},
		"an Effect that is a list":                 {both, second(`{"Sid":"A","Effect":["Allow"],@,"Action":"*"}`), at(2, "A", "Effect")},
		"an Effect that is null":                   {both, second(`{"Sid":"A","Effect":null,@,"Action":"*"}`), at(2, "A", "Effect")},

		// actions
		"no action":                               {both, second(`{"Sid":"A","Effect":"Allow",@}`), at(2, "A", "Action")},
		"an action, and one that is not meant":    {both, second(around(`"NotAction":"*"`)), at(2, "A", "Action")},
		"an empty list of actions":                {both, document(`{"Effect":"Allow",@,"Action":[]}`), at(1, "", "Action")},
		"an empty list of other actions":          {both, document(`{"Effect":"Allow",@,"NotAction":[]}`), at(1, "", "NotAction")},
		"an empty action":                         {both, document(`{"Effect":"Allow",@,"Action":""}`), at(1, "", "Action")},
		"an action without a service":             {both, document(`{"Effect":"Allow",@,"Action":"PutImage"}`), at(1, "", "Action")},
		"an action with nothing after the colon":  {both, document(`{"Effect":"Allow",@,"Action":"ecr-public:"}`), at(1, "", "Action")},
		"an action with nothing before the colon": {both, document(`{"Effect":"Allow",@,"Action":":PutImage"}`), at(1, "", "Action")},
		"an action with two colons":               {both, document(`{"Effect":"Allow",@,"Action":"aws:ecr-public:PutImage"}`), at(1, "", "Action")},
		"an action with a blank":                  {both, document(`{"Effect":"Allow",@,"Action":" ecr-public:PutImage"}`), at(1, "", "Action")},
		"an action with a variable":               {both, document(`{"Effect":"Allow",@,"Action":"ecr-public:${aws:username}"}`), at(1, "", "Action")},
		"an action of any service":                {both, document(`{"Effect":"Allow",@,"Action":"*:PutImage"}`), at(1, "", "Action")},
		"an action of a service with a star":      {both, document(`{"Effect":"Allow",@,"Action":"ecr*:PutImage"}`), at(1, "", "Action")},
		"an action that is a number":              {both, document(`{"Effect":"Allow",@,"Action":1}`), at(1, "", "Action")},
		"an action that is null":                  {both, document(`{"Effect":"Allow",@,"Action":null}`), at(1, "", "Action")},
		"an action that is an object":             {both, document(`{"Effect":"Allow",@,"Action":{}}`), at(1, "", "Action")},
		"a number among actions":                  {both, document(`{"Effect":"Allow",@,"Action":["*",1]}`), at(1, "", "Action")},
		"a list among actions":                    {both, document(`{"Effect":"Allow",@,"Action":["*",["*"]]}`), at(1, "", "Action")},
		"a wrong one among other actions":         {both, document(`{"Effect":"Allow",@,"NotAction":["*","PutImage"]}`), at(1, "", "NotAction")},
		"pulling is denied":                       {repository, second(`{"Sid":"A","Effect":"Deny","Principal":"*","Action":"ecr-public:BatchGetImage"}`), at(2, "A", "Action")},
		"pulling of layers is denied":             {repository, second(`{"Sid":"A","Effect":"Deny","Principal":"*","Action":["ecr-public:PutImage","ecr-public:GetDownloadUrlForLayer"]}`), at(2, "A", "Action")},
		"pulling is denied in another case":       {repository, second(`{"Sid":"A","Effect":"Deny","Principal":"*","Action":"ECR-PUBLIC:batchgetimage"}`), at(2, "A", "Action")},
		"pulling is denied by its private name":   {repository, second(`{"Sid":"A","Effect":"Deny","Principal":"*","Action":"ecr:BatchGetImage"}`), at(2, "A", "Action")},

		// principals
		"a principal of an identity":              {identity, document(`{"Sid":"A","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`), at(1, "A", "Principal")},
		"a principal of an identity, not meant":   {identity, document(`{"Sid":"A","Effect":"Allow","NotPrincipal":"*","Action":"*","Resource":"*"}`), at(1, "A", "NotPrincipal")},
		"no principal of a repository":            {repository, document(`{"Sid":"A","Effect":"Allow","Action":"*"}`), at(1, "A", "Principal")},
		"a principal, and one that is not meant":  {repository, document(`{"Sid":"A","Effect":"Allow","Principal":"*","NotPrincipal":"*","Action":"*"}`), at(1, "A", "Principal")},
		"a principal that is another text":        {repository, document(principal(`"` + guest + `"`)), at(1, "A", "Principal")},
		"a principal that is a list":              {repository, document(principal(`["*"]`)), at(1, "A", "Principal")},
		"a principal that is null":                {repository, document(principal(`null`)), at(1, "A", "Principal")},
		"a principal that is empty":               {repository, document(principal(`{}`)), at(1, "A", "Principal")},
		"a principal of an unknown kind":          {repository, document(principal(`{"GCP":"*"}`)), at(1, "A", "Principal")},
		"a principal of a kind in another case":   {repository, document(principal(`{"aws":"*"}`)), at(1, "A", "Principal")},
		"an empty list of principals":             {repository, document(principal(`{"AWS":[]}`)), at(1, "A", "Principal")},
		"an empty list of services":               {repository, document(principal(`{"Service":[]}`)), at(1, "A", "Principal")},
		"a service that is a number":              {repository, document(principal(`{"Service":1}`)), at(1, "A", "Principal")},
		"an account that is a number":             {repository, document(principal(`{"AWS":123456789012}`)), at(1, "A", "Principal")},
		"an account that is too short":            {repository, document(principal(`{"AWS":"12345678901"}`)), at(1, "A", "Principal")},
		"an account that is too long":             {repository, document(principal(`{"AWS":"1234567890123"}`)), at(1, "A", "Principal")},
		"an account with letters":                 {repository, document(principal(`{"AWS":"12345678901a"}`)), at(1, "A", "Principal")},
		"an account of any number":                {repository, document(principal(`{"AWS":"arn:aws:iam::*:root"}`)), at(1, "A", "Principal")},
		"an account of a wrong number":            {repository, document(principal(`{"AWS":"arn:aws:iam::123:root"}`)), at(1, "A", "Principal")},
		"an account with a line break":            {repository, document(principal(`{"AWS":"` + guest + `\n"}`)), at(1, "A", "Principal")},
		"an empty principal":                      {repository, document(principal(`{"AWS":""}`)), at(1, "A", "Principal")},
		"all users of an account":                 {repository, document(principal(`{"AWS":"arn:aws:iam::` + guest + `:*"}`)), at(1, "A", "Principal")},
		"users with a star":                       {repository, document(principal(`{"AWS":"arn:aws:iam::` + guest + `:user/b*"}`)), at(1, "A", "Principal")},
		"roles with a question mark":              {repository, document(principal(`{"AWS":"arn:aws:iam::` + guest + `:role/c?"}`)), at(1, "A", "Principal")},
		"all sessions of a role":                  {repository, document(principal(`{"AWS":"arn:aws:sts::` + guest + `:assumed-role/ci/*"}`)), at(1, "A", "Principal")},
		"a session without a name":                {repository, document(principal(`{"AWS":"arn:aws:sts::` + guest + `:assumed-role/ci"}`)), at(1, "A", "Principal")},
		"a user without a name":                   {repository, document(principal(`{"AWS":"arn:aws:iam::` + guest + `:user/"}`)), at(1, "A", "Principal")},
		"a group, which nobody is":                {repository, document(principal(`{"AWS":"arn:aws:iam::` + guest + `:group/team"}`)), at(1, "A", "Principal")},
		"a user of the wrong service":             {repository, document(principal(`{"AWS":"arn:aws:sts::` + guest + `:user/bob"}`)), at(1, "A", "Principal")},
		"a wrong one among those not meant":       {repository, document(`{"Sid":"A","Effect":"Deny","NotPrincipal":{"AWS":["*","bob"]},"Action":"*"}`), at(1, "A", "NotPrincipal")},
		"a principal with a variable":             {repository, document(principal(`{"AWS":"arn:aws:iam::` + guest + `:user/${aws:username}"}`)), at(1, "A", "Principal")},
		"a name with a colon, which IAM lets not": {repository, document(principal(`{"AWS":"arn:aws:iam::` + guest + `:user/a:root"}`)), at(1, "A", "Principal")},

		// resources
		"a resource of a repository":            {repository, document(`{"Sid":"A","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`), at(1, "A", "Resource")},
		"a resource of a repository, not meant": {repository, document(`{"Sid":"A","Effect":"Allow","Principal":"*","Action":"*","NotResource":"*"}`), at(1, "A", "NotResource")},
		"no resource of an identity":            {identity, document(`{"Sid":"A","Effect":"Allow","Action":"*"}`), at(1, "A", "Resource")},
		"a resource, and one that is not meant": {identity, document(`{"Sid":"A","Effect":"Allow","Action":"*","Resource":"*","NotResource":"*"}`), at(1, "A", "Resource")},
		"an empty list of resources":            {identity, document(resource(`[]`)), at(1, "A", "Resource")},
		"an empty resource":                     {identity, document(resource(`""`)), at(1, "A", "Resource")},
		"a resource that is null":               {identity, document(resource(`null`)), at(1, "A", "Resource")},
		"a resource that is a boolean":          {identity, document(resource(`true`)), at(1, "A", "Resource")},
		"a resource that is a name":             {identity, document(resource(`"app"`)), at(1, "A", "Resource")},
		"a resource that is an image":           {identity, document(resource(`"public.ecr.aws/a/app"`)), at(1, "A", "Resource")},
		"a resource with too few parts":         {identity, document(resource(`"arn:aws:ecr-public::app"`)), at(1, "A", "Resource")},
		"a resource with a star for its parts":  {identity, document(resource(`"arn:*"`)), at(1, "A", "Resource")},
		"a wrong one among resources":           {identity, document(resource(`["*","app"]`)), at(1, "A", "Resource")},
		"a wrong one among those that are not":  {identity, document(`{"Sid":"A","Effect":"Deny","Action":"*","NotResource":["*","app"]}`), at(1, "A", "NotResource")},
		"a variable without an end":             {identity, document(resource(`"arn:aws:ecr-public::1:repository/${aws:username"`)), at(1, "A", "Resource")},
		"a variable without a name":             {identity, document(resource(`"arn:aws:ecr-public::1:repository/${}"`)), at(1, "A", "Resource")},
		"a variable that is no key":             {identity, document(resource(`"arn:aws:ecr-public::1:repository/${username}"`)), at(1, "A", "Resource")},
		"a variable within a variable":          {identity, document(resource(`"arn:aws:ecr-public::1:repository/${aws:PrincipalTag/${aws:username}}"`)), at(1, "A", "Resource")},
		"a default without quotes":              {identity, document(resource(`"arn:aws:ecr-public::1:repository/${aws:username, app}"`)), at(1, "A", "Resource")},
		"a default with one quote":              {identity, document(resource(`"arn:aws:ecr-public::1:repository/${aws:username, '}"`)), at(1, "A", "Resource")},
		"a default that does not end":           {identity, document(resource(`"arn:aws:ecr-public::1:repository/${aws:username, 'app}"`)), at(1, "A", "Resource")},
		"a default that does not begin":         {identity, document(resource(`"arn:aws:ecr-public::1:repository/${aws:username, app'}"`)), at(1, "A", "Resource")},
		"a default in other quotes":             {identity, document(resource(`"arn:aws:ecr-public::1:repository/${aws:username, \"app\"}"`)), at(1, "A", "Resource")},

		// conditions
		"a condition that is a list":                 {both, document(condition(`[]`)), at(1, "A", "Condition")},
		"a condition that is null":                   {both, document(condition(`null`)), at(1, "A", "Condition")},
		"a condition that is a text":                 {both, document(condition(`"StringEquals"`)), at(1, "A", "Condition")},
		"an operator without keys":                   {both, document(condition(`{"StringEquals":{}}`)), at(1, "A", "Condition")},
		"an operator with a text":                    {both, document(condition(`{"StringEquals":"a"}`)), at(1, "A", "Condition")},
		"an operator with a list":                    {both, document(condition(`{"StringEquals":[{"aws:username":"a"}]}`)), at(1, "A", "Condition")},
		"an unknown operator":                        {both, document(condition(`{"StringMatches":{"aws:username":"a"}}`)), at(1, "A", "Condition")},
		"an operator in another case":                {both, document(condition(`{"stringEquals":{"aws:username":"a"}}`)), at(1, "A", "Condition")},
		"an operator that is its ending":             {both, document(condition(`{"IfExists":{"aws:username":"a"}}`)), at(1, "A", "Condition")},
		"an operator with its ending twice":          {both, document(condition(`{"StringEqualsIfExistsIfExists":{"aws:username":"a"}}`)), at(1, "A", "Condition")},
		"an operator without a name":                 {both, document(condition(`{"":{"aws:username":"a"}}`)), at(1, "A", "Condition")},
		"an operator that has no negation":           {both, document(condition(`{"BoolNotEquals":{"aws:username":"a"}}`)), at(1, "A", "Condition")},
		"null, if it exists":                         {both, document(condition(`{"NullIfExists":{"aws:username":"true"}}`)), at(1, "A", "Condition")},
		"null, of any value":                         {both, document(condition(`{"ForAnyValue:Null":{"aws:TagKeys":"true"}}`)), at(1, "A", "Condition")},
		"a set that is none":                         {both, document(condition(`{"ForSomeValues:StringEquals":{"aws:TagKeys":"a"}}`)), at(1, "A", "Condition")},
		"a set of a set":                             {both, document(condition(`{"ForAnyValue:ForAllValues:StringEquals":{"aws:TagKeys":"a"}}`)), at(1, "A", "Condition")},
		"a set without an operator":                  {both, document(condition(`{"ForAnyValue:":{"aws:TagKeys":"a"}}`)), at(1, "A", "Condition")},
		"a key without a service":                    {both, document(condition(`{"StringEquals":{"username":"a"}}`)), at(1, "A", "Condition")},
		"a key without a name":                       {both, document(condition(`{"StringEquals":{"aws:":"a"}}`)), at(1, "A", "Condition")},
		"a key that is empty":                        {both, document(condition(`{"StringEquals":{"":"a"}}`)), at(1, "A", "Condition")},
		"a key with a variable":                      {both, document(condition(`{"StringEquals":{"aws:PrincipalTag/${aws:username}":"a"}}`)), at(1, "A", "Condition")},
		"a key with a blank":                         {both, document(condition(`{"StringEquals":{"aws:user name":"a"}}`)), at(1, "A", "Condition")},
		"an empty list of values":                    {both, document(condition(`{"StringEquals":{"aws:username":[]}}`)), at(1, "A", "Condition")},
		"a value that is null":                       {both, document(condition(`{"StringEquals":{"aws:username":null}}`)), at(1, "A", "Condition")},
		"a value that is an object":                  {both, document(condition(`{"StringEquals":{"aws:username":{}}}`)), at(1, "A", "Condition")},
		"a list among values":                        {both, document(condition(`{"StringEquals":{"aws:username":["a",["b"]]}}`)), at(1, "A", "Condition")},
		"a null among values":                        {both, document(condition(`{"StringEquals":{"aws:username":["a",null]}}`)), at(1, "A", "Condition")},
		"a value with an open variable":              {both, document(condition(`{"StringEquals":{"aws:username":"${aws:username"}}`)), at(1, "A", "Condition")},
		"a value with a variable that is no key":     {both, document(condition(`{"StringLike":{"aws:username":"${username}"}}`)), at(1, "A", "Condition")},
		"null of something else":                     {both, document(condition(`{"Null":{"aws:username":"yes"}}`)), at(1, "A", "Condition")},
		"null of a number":                           {both, document(condition(`{"Null":{"aws:username":1}}`)), at(1, "A", "Condition")},
		"null of two values":                         {both, document(condition(`{"Null":{"aws:username":["true","false"]}}`)), at(1, "A", "Condition")},
		"neither true nor false":                     {both, document(condition(`{"Bool":{"aws:SecureTransport":"yes"}}`)), at(1, "A", "Condition")},
		"neither true nor false, but one":            {both, document(condition(`{"Bool":{"aws:SecureTransport":1}}`)), at(1, "A", "Condition")},
		"a number in words":                          {both, document(condition(`{"NumericEquals":{"aws:EpochTime":"ten"}}`)), at(1, "A", "Condition")},
		"a number that is empty":                     {both, document(condition(`{"NumericEquals":{"aws:EpochTime":""}}`)), at(1, "A", "Condition")},
		"a number to another base":                   {both, document(condition(`{"NumericEquals":{"aws:EpochTime":"0x10"}}`)), at(1, "A", "Condition")},
		"a number to the base of two":                {both, document(condition(`{"NumericEquals":{"aws:EpochTime":"0b101"}}`)), at(1, "A", "Condition")},
		"a number to the base of eight":              {both, document(condition(`{"NumericEquals":{"aws:EpochTime":"0o17"}}`)), at(1, "A", "Condition")},
		"a number that is a fraction":                {both, document(condition(`{"NumericEquals":{"aws:EpochTime":"1/2"}}`)), at(1, "A", "Condition")},
		"a number that takes all memory":             {both, document(condition(`{"NumericLessThan":{"aws:EpochTime":"1e999999999"}}`)), at(1, "A", "Condition")},
		"a number that takes all memory, bare":       {both, document(condition(`{"NumericLessThan":{"aws:EpochTime":1e999999999}}`)), at(1, "A", "Condition")},
		"a number of too many digits":                {both, document(condition(`{"NumericLessThan":{"aws:EpochTime":` + strings.Repeat("1", 1000) + `}}`)), at(1, "A", "Condition")},
		"a number that is none":                      {both, document(condition(`{"NumericLessThan":{"aws:EpochTime":"NaN"}}`)), at(1, "A", "Condition")},
		"a number with a variable":                   {both, document(condition(`{"NumericLessThan":{"aws:EpochTime":"${aws:EpochTime}"}}`)), at(1, "A", "Condition")},
		"a date in words":                            {both, document(condition(`{"DateLessThan":{"aws:CurrentTime":"tomorrow"}}`)), at(1, "A", "Condition")},
		"a date of a month too many":                 {both, document(condition(`{"DateLessThan":{"aws:CurrentTime":"2026-13-01"}}`)), at(1, "A", "Condition")},
		"a date of a day too many":                   {both, document(condition(`{"DateLessThan":{"aws:CurrentTime":"2026-02-30T00:00:00Z"}}`)), at(1, "A", "Condition")},
		"a date in another order":                    {both, document(condition(`{"DateLessThan":{"aws:CurrentTime":"21.11.2026"}}`)), at(1, "A", "Condition")},
		"a date with a star":                         {both, document(condition(`{"DateLessThan":{"aws:CurrentTime":"2026-*"}}`)), at(1, "A", "Condition")},
		"an address with a part too large":           {both, document(condition(`{"IpAddress":{"aws:SourceIp":"203.0.113.256"}}`)), at(1, "A", "Condition")},
		"an address with a part too few":             {both, document(condition(`{"IpAddress":{"aws:SourceIp":"203.0.113"}}`)), at(1, "A", "Condition")},
		"an address with a name":                     {both, document(condition(`{"IpAddress":{"aws:SourceIp":"localhost"}}`)), at(1, "A", "Condition")},
		"an address with a zone":                     {both, document(condition(`{"IpAddress":{"aws:SourceIp":"fe80::1%eth0"}}`)), at(1, "A", "Condition")},
		"an address with a star":                     {both, document(condition(`{"IpAddress":{"aws:SourceIp":"203.0.113.*"}}`)), at(1, "A", "Condition")},
		"an address with a variable":                 {both, document(condition(`{"NotIpAddress":{"aws:SourceIp":"${aws:PrincipalTag/office}"}}`)), at(1, "A", "Condition")},
		"a range of too many bits":                   {both, document(condition(`{"IpAddress":{"aws:SourceIp":["192.0.2.0/24","203.0.113.0/33"]}}`)), at(1, "A", "Condition")},
		"a range of a mask":                          {both, document(condition(`{"IpAddress":{"aws:SourceIp":"203.0.113.0/255.255.255.0"}}`)), at(1, "A", "Condition")},
		"bytes in another form":                      {both, document(condition(`{"BinaryEquals":{"aws:PrincipalTag/k":"YQ"}}`)), at(1, "A", "Condition")},
		"an ARN that is a name":                      {both, document(condition(`{"ArnLike":{"aws:PrincipalArn":"alice"}}`)), at(1, "A", "Condition")},
		"an ARN with too few parts":                  {both, document(condition(`{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::user/alice"}}`)), at(1, "A", "Condition")},
		"an ARN with a star for all its parts":       {both, document(condition(`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam:*"}}`)), at(1, "A", "Condition")},
		"an ARN with an open variable":               {both, document(condition(`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::1:user/${aws:username"}}`)), at(1, "A", "Condition")},
		"the second key is wrong":                    {both, second(condition(`{"StringEquals":{"aws:username":"a","b":"c"}}`)), at(2, "A", "Condition")},
		"the second operator is wrong":               {both, second(condition(`{"StringEquals":{"aws:username":"a"},"Bool":{"aws:SecureTransport":"x"}}`)), at(2, "A", "Condition")},
		"the first of several errors is told":        {both, document(`{"Sid":"A","Effect":"Allow",@,"Action":"x"}`, `{"Sid":"B","Effect":"x"}`), at(1, "A", "Action")},
		"an older version, with the same mistakes":   {both, oldDocument(condition(`{"StringEquals":{"username":"a"}}`)), at(1, "A", "Condition")},
		"no version, with the same mistakes":         {both, `{"Statement":` + condition(`{"StringEquals":{"username":"a"}}`) + `}`, at(1, "A", "Condition")},
		"a version after the statement that is bad":  {both, `{"Statement":{"Effect":"Allow",@,"Action":"*"},"Version":"1"}`, at(0, "", "Version")},
		"an element after the statement that is bad": {both, `{"Statement":{"Effect":"Allow",@,"Action":"*"},"Extra":1}`, at(0, "", `"Extra"`)},
	} {
		t.Run(problem, func(t *testing.T) {
			t.Parallel()
			for kind, needs := range map[iam.Kind]string{iam.Identity: `"Resource":"*"`, iam.Repository: `"Principal":"*"`} {
				if tt.kind != both && tt.kind != kind {
					continue
				}
				got, err := iam.Parse(kind, strings.ReplaceAll(tt.text, "@", needs))
				var parsed *iam.Error
				if !errors.As(err, &parsed) || !errors.Is(err, iam.ErrPolicy) || got != nil {
					t.Errorf("kind %d: a policy: %v, and %v; want an *iam.Error alone", kind, got != nil, err)
					continue
				}
				if diff := cmp.Diff(tt.want, placeOf(parsed)); diff != "" {
					t.Errorf("kind %d: %v (-want +got)\n%s", kind, err, diff)
				}
				if parsed.Problem == "" || len(err.Error()) > 2*iam.MaxLength {
					t.Errorf("kind %d: the error does not say what is wrong: %q", kind, err)
				}
			}
		})
	}
}

func principal(element string) string {
	return `{"Sid":"A","Effect":"Allow","Principal":` + element + `,"Action":"*"}`
}

func resource(element string) string {
	return `{"Sid":"A","Effect":"Allow","Action":"*","Resource":` + element + `}`
}

// The text of an error names the place, for a publisher to find it.
func TestErrorText(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]*iam.Error{
		"invalid policy: the text is blank":                                  {Problem: "the text is blank"},
		"invalid policy: Version is wrong":                                   {Field: "Version", Problem: "is wrong"},
		"invalid policy: statement 2: is not an object":                      {Statement: 2, Problem: "is not an object"},
		"invalid policy: statement 2: Effect is missing":                     {Statement: 2, Field: "Effect", Problem: "is missing"},
		"invalid policy: statement 3 (LetThemPush): Effect is missing":       {Statement: 3, Sid: "LetThemPush", Field: "Effect", Problem: "is missing"},
		"invalid policy: statement 3 (LetThemPush): something is the matter": {Statement: 3, Sid: "LetThemPush", Problem: "something is the matter"},
	} {
		if got := err.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if !errors.Is(err, iam.ErrPolicy) {
			t.Errorf("%q does not wrap ErrPolicy", want)
		}
	}
}

// validDocuments are policies as AWS's documentation writes them, and what is just within
// the limits.
var validDocuments = map[string]struct {
	kind iam.Kind
	text string
}{
	"full access": {iam.Identity, `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["ecr-public:*", "sts:GetServiceBearerToken"],
      "Resource": "*"
    }
  ]
}`},
	"power user": {iam.Identity, `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "ecr-public:GetAuthorizationToken",
        "sts:GetServiceBearerToken",
        "ecr-public:BatchCheckLayerAvailability",
        "ecr-public:GetRepositoryPolicy",
        "ecr-public:DescribeRepositories",
        "ecr-public:DescribeRegistries",
        "ecr-public:DescribeImages",
        "ecr-public:DescribeImageTags",
        "ecr-public:GetRepositoryCatalogData",
        "ecr-public:GetRegistryCatalogData",
        "ecr-public:InitiateLayerUpload",
        "ecr-public:UploadLayerPart",
        "ecr-public:CompleteLayerUpload",
        "ecr-public:PutImage"
      ],
      "Resource": "*"
    }
  ]
}`},
	"read only": {iam.Identity, `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "ecr-public:GetAuthorizationToken",
        "sts:GetServiceBearerToken",
        "ecr-public:BatchCheckLayerAvailability",
        "ecr-public:GetRepositoryPolicy",
        "ecr-public:DescribeRepositories",
        "ecr-public:DescribeRegistries",
        "ecr-public:DescribeImages",
        "ecr-public:DescribeImageTags",
        "ecr-public:GetRepositoryCatalogData",
        "ecr-public:GetRegistryCatalogData"
      ],
      "Resource": "*"
    }
  ]
}`},
	"one repository": {iam.Identity, `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "ListImagesInRepository",
      "Effect": "Allow",
      "Action": ["ecr-public:ListImages"],
      "Resource": "arn:aws:ecr-public::123456789012:repository/my-repo"
    },
    {
      "Sid": "GetAuthorizationToken",
      "Effect": "Allow",
      "Action": ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"],
      "Resource": "*"
    },
    {
      "Sid": "ManageRepositoryContents",
      "Effect": "Allow",
      "Action": [
        "ecr-public:BatchCheckLayerAvailability",
        "ecr-public:InitiateLayerUpload",
        "ecr-public:UploadLayerPart",
        "ecr-public:CompleteLayerUpload",
        "ecr-public:PutImage"
      ],
      "Resource": "arn:aws:ecr-public::123456789012:repository/my-repo"
    }
  ]
}`},
	"by tags": {iam.Identity, `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["ecr-public:CreateRepository", "ecr-public:TagResource"],
      "Resource": "*",
      "Condition": {
        "StringEquals": {"aws:RequestTag/environment": ["production", "test"]},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["environment"]},
        "Null": {"aws:TagKeys": "false"}
      }
    },
    {
      "Effect": "Deny",
      "Action": "ecr-public:DeleteRepository",
      "Resource": "*",
      "Condition": {"StringNotEquals": {"ecr-public:ResourceTag/owner": "${aws:username}"}}
    }
  ]
}`},
	"cross-account push": {iam.Repository, `{
    "Version": "2008-10-17",
    "Statement": [
        {
            "Sid": "AllowCrossAccountPush",
            "Effect": "Allow",
            "Principal": {
                "AWS": "arn:aws:iam::123456789012:root"
            },
            "Action": [
                "ecr-public:BatchCheckLayerAvailability",
                "ecr-public:PutImage",
                "ecr-public:InitiateLayerUpload",
                "ecr-public:UploadLayerPart",
                "ecr-public:CompleteLayerUpload"
            ]
        }
    ]
}`},
	"users who push": {iam.Repository, `{
  "Version" : "2008-10-17",
  "Statement" : [ {
    "Sid" : "allow public pull",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : ["arn:aws:iam::123456789012:user/push-pull-user-1", "arn:aws:iam::123456789012:user/team/push-pull-user-2"]
    },
    "Action" : [ "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr-public:PutImage" ]
  } ]
}`},
	"everybody may look": {iam.Repository, `{
  "Version": "2008-10-17",
  "Statement": [{"Sid": "new statement", "Effect": "Allow", "Principal": "*", "Action": ["ecr-public:DescribeImages"]}]
}`},
	"only from an office": {iam.Repository, `{
  "Version": "2012-10-17",
  "Id": "ECRPolicyId1",
  "Statement": [{
    "Sid": "IPAllow",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "ecr-public:*",
    "Condition": {
      "NotIpAddress": {"aws:SourceIp": "54.240.143.0/24"},
      "IpAddress": {"aws:SourceIp": "2001:DB8:1234:5678::/64"}
    }
  }]
}`},
	"a service that builds": {iam.Repository, `{
  "Version": "2012-10-17",
  "Statement": [{
    "Sid": "CodeBuildAccess",
    "Effect": "Allow",
    "Principal": {"Service": "codebuild.amazonaws.com"},
    "Action": ["ecr-public:PutImage"],
    "Condition": {
      "ArnLike": {"aws:SourceArn": "arn:aws:codebuild:us-east-1:123456789012:project/project-name"},
      "StringEquals": {"aws:SourceAccount": "123456789012"}
    }
  }]
}`},
	"all but one role": {iam.Repository, `{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Deny",
    "NotPrincipal": {"AWS": ["arn:aws:sts::444455556666:assumed-role/ci/build", "arn:aws:iam::444455556666:role/ci", "arn:aws:iam::444455556666:root"]},
    "NotAction": ["ecr-public:Describe*", "ecr-public:Get*"]
  }]
}`},
	"all but one role, by a condition": {iam.Repository, `{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "ecr-public:*",
    "Condition": {"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::444455556666:role/ci"}}
  }]
}`},
	"a home for each user": {iam.Identity, `{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow",
    "Action": "ecr-public:*",
    "Resource": ["arn:aws:ecr-public::123456789012:repository/${aws:username}", "arn:aws:ecr-public::123456789012:repository/${aws:PrincipalTag/team, 'company-wide'}/*"]
  }]
}`},
	"other services next to this one": {iam.Identity, `{
  "Version": "2012-10-17",
  "Statement": [
    {"Sid": "1", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket", "Condition": {"StringLike": {"s3:prefix": ["", "home/", "home/${aws:username}/"]}}},
    {"Sid": "2", "Effect": "Allow", "Action": "ec2:RunInstances", "Resource": "*", "Condition": {"StringLikeIfExists": {"ec2:InstanceType": ["t1.*", "t2.*"]}}},
    {"Sid": "3", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {"NumericLessThanEquals": {"s3:max-keys": 10}, "DateGreaterThan": {"aws:TokenIssueTime": "2020-01-01T00:00:01Z"}}},
    {"Sid": "4", "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"BinaryEquals": {"x:key": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}, "BoolIfExists": {"aws:MultiFactorAuthPresent": true}}}
  ]
}`},
	// AWS's guide has such keys: of identity providers, and of encryption contexts.
	"keys whose service is a host": {iam.Identity, `{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow", "Action": ["s3:GetObject"],
    "Resource": ["arn:aws:s3:::bucket/cognito/app/${cognito-identity.amazonaws.com:sub}/*"],
    "Condition": {"StringEquals": {"www.amazon.com:app_id": "amzn1.application-oa2-123456", "graph.facebook.com:id": "1"}}
  }]
}`},
	"keys with two colons": {iam.Identity, `{
  "Version": "2012-10-17",
  "Statement": [{
    "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
    "Condition": {"StringEquals": {"kms:EncryptionContext:AppName": "ExampleApp"}}
  }]
}`},
	"no version and no list":               {iam.Identity, `{"Statement":` + allowAll + `}`},
	"an Id with blanks":                    {iam.Repository, `{"Id":"a policy","Statement":` + allowAnyone + `}`},
	"a Version after the statements":       {iam.Identity, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:x:::${aws:username}"},"Version":"2012-10-17"}`},
	"statements without a Sid":             {iam.Identity, document(allowAll, allowAll, denyAll)},
	"statements with an empty Sid":         {iam.Identity, document(`{"Sid":"",`+allowAll[1:], `{"Sid":"",`+allowAll[1:])},
	"statements whose Sids differ in case": {iam.Identity, document(`{"Sid":"a",`+allowAll[1:], `{"Sid":"A",`+allowAll[1:])},
	"a Sid with anything, of a repository": {iam.Repository, document(`{"Sid":"Über – alle!",` + allowAnyone[1:])},
	"an empty condition":                   {iam.Identity, document(`{"Condition":{},` + allowAll[1:])},
	"actions that nobody knows":            {iam.Repository, document(`{"Effect":"Allow","Principal":"*","Action":["ecr-public:Future","ecr-public:ListImages"]}`)},
	"pulling is allowed":                   {iam.Repository, document(`{"Effect":"Allow","Principal":"*","Action":"ecr-public:BatchGetImage"}`)},
	"pulling is not denied":                {iam.Repository, document(`{"Effect":"Deny","Principal":"*","NotAction":["ecr-public:BatchGetImage","ecr-public:GetDownloadUrlForLayer"]}`)},
	"pulling is denied by an identity":     {iam.Identity, document(`{"Effect":"Deny","Action":"ecr-public:BatchGetImage","Resource":"*"}`)},
	"everything is denied":                 {iam.Repository, document(denyAnyone)},
	"escapes":                              {iam.Identity, "{\"St\\u0061tement\":{\"\\u0045ffect\":\"\\u0041llow\",\"Action\":\"\\u002a\",\"Resource\":\"*\"}}"},
	"blanks around it":                     {iam.Identity, "\r\n\t " + document(allowAll) + "\r\n\t "},
	"no character too many":                {iam.Identity, ofLength(iam.Identity, 10240, "a")},
	"no character too many, of two bytes":  {iam.Identity, ofLength(iam.Identity, 10240, "é")},
	"no character too many, of four bytes": {iam.Repository, ofLength(iam.Repository, 10240, "😀")},
	"a variable in braces of an older one": {iam.Identity, oldDocument(resource(`"arn:aws:x:::${username"`))},
}

func TestParseValid(t *testing.T) {
	t.Parallel()
	for what, tt := range validDocuments {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if p, err := iam.Parse(tt.kind, tt.text); p == nil || err != nil {
				t.Errorf("%v, %v", p, err)
			}
		})
	}
}

// What the documented policies say, which is what their documentation says that they do.
func TestParseDocumented(t *testing.T) {
	t.Parallel()
	const none, all = "", "everything" // an identity policy of these names
	mine := policy.Resource{Account: owner, Repository: "my-repo", ID: 7, Public: true, HasPolicy: true}
	theirs := policy.Resource{Account: stranger, Repository: "app", ID: 7, Public: true, HasPolicy: true}
	home := policy.Resource{Account: owner, Repository: "alice", ID: 7, Public: true}
	from := func(addr string) func(*policy.Request) {
		return func(r *policy.Request) { r.Remote = netip.MustParseAddr(addr) }
	}
	tagged := func(tags map[string]string) func(*policy.Request) {
		return func(r *policy.Request) {
			r.RequestTags, r.TagKeys = tags, slices.Collect(maps.Keys(tags))
		}
	}
	for reason, tt := range map[string]struct {
		identity, repository string // by their names above
		who                  auth.Principal
		action               policy.Action
		resource             policy.Resource
		change               func(*policy.Request)
		want                 policy.Effect
	}{
		"full access pushes":                        {"full access", none, alice, policy.PutImage, mine, nil, policy.Allow},
		"full access deletes":                       {"full access", none, alice, policy.DeleteRepository, mine, nil, policy.Allow},
		"full access ends at the account":           {"full access", none, alice, policy.PutImage, theirs, nil, policy.Abstain},
		"a power user pushes":                       {"power user", none, alice, policy.PutImage, mine, nil, policy.Allow},
		"a power user does not delete":              {"power user", none, alice, policy.DeleteRepository, mine, nil, policy.Abstain},
		"a power user creates nothing":              {"power user", none, alice, policy.CreateRepository, mine, nil, policy.Abstain},
		"a power user gets a token":                 {"power user", none, alice, policy.GetAuthorizationToken, policy.Resource{}, nil, policy.Allow},
		"a reader looks":                            {"read only", none, alice, policy.DescribeImageTags, mine, nil, policy.Allow},
		"a reader does not push":                    {"read only", none, alice, policy.PutImage, mine, nil, policy.Abstain},
		"the one repository":                        {"one repository", none, alice, policy.PutImage, mine, nil, policy.Allow},
		"another than the one":                      {"one repository", none, alice, policy.PutImage, home, nil, policy.Abstain},
		"a token for the one repository":            {"one repository", none, alice, policy.GetAuthorizationToken, policy.Resource{}, nil, policy.Allow},
		"a tag that may be":                         {"by tags", none, alice, policy.TagResource, mine, tagged(map[string]string{"environment": "test"}), policy.Allow},
		"a tag of another value":                    {"by tags", none, alice, policy.TagResource, mine, tagged(map[string]string{"environment": "x"}), policy.Abstain},
		"a tag of another name, too":                {"by tags", none, alice, policy.TagResource, mine, tagged(map[string]string{"environment": "test", "x": "y"}), policy.Abstain},
		"no tag where there must be one":            {"by tags", none, alice, policy.TagResource, mine, nil, policy.Abstain},
		"another account pushes":                    {all, "cross-account push", alice, policy.PutImage, theirs, nil, policy.Allow},
		"another account without a policy":          {none, "cross-account push", alice, policy.PutImage, theirs, nil, policy.Abstain},
		"another account does no more":              {all, "cross-account push", alice, policy.BatchDeleteImage, theirs, nil, policy.Abstain},
		"an account that is not named":              {all, "cross-account push", bob, policy.PutImage, theirs, nil, policy.Abstain},
		"a user who is named":                       {all, "users who push", auth.Principal{Account: owner, Name: "user/team/push-pull-user-2"}, policy.PutImage, theirs, nil, policy.Allow},
		"a user who is not named":                   {all, "users who push", alice, policy.PutImage, theirs, nil, policy.Abstain},
		"everybody who has a policy":                {all, "everybody may look", bob, policy.DescribeImages, mine, nil, policy.Allow},
		"everybody else":                            {none, "everybody may look", bob, policy.DescribeImages, mine, nil, policy.Abstain},
		"from where it is denied":                   {all, "only from an office", alice, policy.PutImage, mine, from("2001:db8:1234:5678::1"), policy.Deny},
		"from elsewhere":                            {all, "only from an office", alice, policy.PutImage, mine, from("203.0.113.7"), policy.Allow},
		"a service is no account":                   {none, "a service that builds", alice, policy.PutImage, mine, nil, policy.Abstain},
		"the role that is spared":                   {all, "all but one role, by a condition", auth.Principal{Account: guest, Name: "assumed-role/ci/x"}, policy.PutImage, mine, nil, policy.Abstain},
		"a role that is not":                        {all, "all but one role, by a condition", auth.Principal{Account: guest, Name: "assumed-role/cd/x"}, policy.PutImage, mine, nil, policy.Deny},
		"her home":                                  {"a home for each user", none, alice, policy.PutImage, home, nil, policy.Allow},
		"not her home":                              {"a home for each user", none, alice, policy.PutImage, mine, nil, policy.Abstain},
		"a home of those without a team":            {"a home for each user", none, alice, policy.PutImage, policy.Resource{Account: owner, Repository: "company-wide/x"}, nil, policy.Allow},
		"what is asked of a key is without a value": {"other services next to this one", none, alice, policy.PutImage, mine, nil, policy.Abstain},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := &sources{policy: validDocuments[tt.repository].text}
			if tt.identity == all {
				s.policies = []string{document(allowAll)}
			} else if tt.identity != none {
				s.policies = []string{validDocuments[tt.identity].text}
			}
			req := push(tt.who)
			req.Action, req.Resource = tt.action, tt.resource
			if tt.change != nil {
				tt.change(req)
			}
			expect(t, s, req, tt.want)
		})
	}
}
