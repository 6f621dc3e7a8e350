// Package esplanade is a library from which any service builds a public container registry:
// what Amazon ECR Public is as a service, as an http.Handler that a host application mounts
// over its own bucket, database, users and domain.
//
// This package has no code. It is the map of the house:
//
//   - registry composes the handler. Start with registry.New and its Config; the same
//     operations in Go are methods of registry.Actor.
//   - registry/registrytest gives unit tests a registry in memory.
//   - registry/ecrpublic is the control plane that AWS's command line, SDKs and Terraform
//     speak, as Amazon ECR Public has it.
//   - registry/accounts keeps users, their access keys and identity policies, for hosts that
//     have no user database of their own.
//   - registry/gc collects garbage while a registry serves; registry/repair finds what must not
//     be, and mends it; registry/importer copies registries from elsewhere.
//   - registry/event has the events that a registry tells its sinks; registry/webhook posts
//     them.
//   - registry/throttle limits pulls, by policy/limit and, over many nodes,
//     policy/limit/redislimit; registry/meter counts them, for publishers and for bills;
//     registry/accesslog, registry/prom and registry/otel watch all requests.
//   - storage owns bytes. storage/gocloud makes a Bucket of any bucket that
//     gocloud.dev/blob opens, storage/gocloud/s3 one of S3 within a budget of memory;
//     storage/storagetest is the suite for drivers.
//   - storage/meta owns truth: who has which repositories, manifests, tags and blobs.
//     storage/meta/memmeta keeps it in memory, storage/meta/sqlmeta in SQLite or PostgreSQL.
//   - auth owns who asks: auth/basic knows passwords, auth/token issues and verifies
//     tokens, auth/sigv4 verifies the signatures of AWS's tools.
//   - policy owns whether they may; policy/iam reads policies in the JSON language of IAM.
//   - manifest owns names, digests, references, media types and the validation of
//     manifests.
//   - gallery owns the public site: pages, search, feeds, badges. gallery/memindex,
//     gallery/sqlindex and gallery/pgindex are indexes of the search, gallery/markdown makes
//     what publishers write safe to show. registry/site ties a gallery to a registry.
//   - examples has programs to run: examples/quickstart is a whole server in one command,
//     examples/embed the shortest host, examples/cedar one with policies in Cedar,
//     examples/gallery a gallery that is full, examples/cluster many nodes over PostgreSQL and a
//     bucket; examples/repair and examples/import are tools.
//
// # Compatibility
//
// Until version 1.0 any release may change anything, and its notes say what. From 1.0 on:
//
// Stable are the wire (paths, status and error codes as the distribution specification
// has them), the exported API of packages outside internal and examples by the rules of
// semantic versioning, the flags and the folder of examples/quickstart, and the data: what
// one version has stored, every later one reads.
//
// Free to change in any release are the texts of errors and logs; the order of headers; the
// interfaces meta.Store and meta.Tx, which are not for others to implement; structs may gain
// fields, sinks may see new types of events, and interfaces that hosts implement gain
// abilities through further interfaces, never through methods.
//
// The metadata store carries the version of its schema. A newer program upgrades an older
// schema when it opens the store, in one transaction, while nodes of the version before go on
// serving; a program that is older than the schema refuses to start and changes nothing, so
// that going back needs the backup taken before.
// Objects in the bucket have no version: they are bytes.
//
// The release of Go that go.mod names is needed, or a later one.
package esplanade
