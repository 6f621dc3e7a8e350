// Package archtest has one test, which holds the shape of this module as text: which
// package may import which, which modules of others each links, one package comment each,
// and no file too long to read. A change of shape is a change of that text, for a reviewer
// to see and to ask about.
package archtest
