// Package conformance checks the statements of the official conformance suite of the OCI
// distribution specification against a registry on a loopback port: those of its main
// branch, a program of its own, and those of version 1.1.
//
// It has nothing but tests, and nothing of the suite's code: the requests and what must come
// of them stand here in tables of our own. Every option and every kind of data is on.
package conformance
