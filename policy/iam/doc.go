// Package iam evaluates policies in the JSON language of AWS Identity and Access
// Management, as ECR Public uses it: identity policies, which are attached to principals,
// and repository policies.
//
// # Grammar
//
// A policy is an object with Version (2012-10-17 or 2008-10-17, which is meant if it is not
// there), Id and Statement, one object or a list of them. A statement has Effect, and may
// have Sid; Action or NotAction; Principal or NotPrincipal, which repository policies must
// have and identity policies must not; Resource or NotResource, the other way round; and
// Condition. Names of elements are case-sensitive, and a name that stands twice is an error.
// The text has at most [MaxLength] characters.
//
// Patterns know * and ?. With Version 2012-10-17, Resource and the values of string and
// ARN conditions may have policy variables, ${aws:username} or, with a default,
// ${aws:PrincipalTag/team, 'none'}. One without a value equals nothing; where that is negated
// (NotResource, StringNotEquals), a Deny matches and an Allow does not. What a variable
// stands for is never a pattern.
//
// # Condition keys
//
// aws:SourceIp, aws:SecureTransport, aws:CurrentTime, aws:EpochTime, aws:UserAgent,
// aws:PrincipalArn, aws:PrincipalAccount, aws:PrincipalType, aws:PrincipalTag/KEY,
// aws:username, aws:RequestTag/KEY, aws:TagKeys, aws:ResourceAccount, aws:ResourceTag/KEY and
// ecr-public:ResourceTag/KEY. Of aws:UserAgent the first 1,024 bytes count. Other keys may be named and have no value.
//
// # Decisions
//
// An explicit Deny in any policy decides. Otherwise, within one account, an Allow in the
// identity policies or in the repository policy is enough; across accounts there must be one
// in both. The root principal of an account is allowed everything by its identity. A principal
// of a repository policy that names an account (by its number, or its root) is every
// principal of that account. Pulling from a public repository is not asked about, and
// anonymous principals are allowed nothing.
package iam
