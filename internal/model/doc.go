// Package model tries a whole cluster against a model of it: three nodes, as processes, share a
// PostgreSQL database and an S3 bucket, and many clients push, pull, list and delete at
// random nodes while the nodes collect garbage after a grace of seconds.
//
// It has nothing but tests. Each client owns some repositories and knows exactly what is in
// them; blobs are taken from repository to repository by all; and in some repositories all
// do as they like. What must hold:
//
//   - Every answer is what the model says. What one node has acknowledged, the others know at
//     once when they are asked by digest or while pushing, and within a second where caches may
//     answer.
//   - A blob that a manifest of its repository needs is there. One that none needs is there
//     for the grace, or half of it after a pusher has asked for it; later it may be.
//   - No answer is an error of the server.
//   - In the end nothing dangles, nothing is lost, and nothing is left that nobody needs: in
//     the database, in the bucket, and by what every node serves.
//
// -operations sets how much is done, and -seed repeats what it draws, though not the moments
// at which nodes and clients meet:
//
//	go test ./internal/model -count=1 -timeout 3h -v -args -operations 1000000
//
// With GOFLAGS=-race in the environment the nodes too are built with the race detector.
package model
