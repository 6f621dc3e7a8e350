package webhook

import (
	"net/http"
	"net/netip"
)

// HTTPTransport returns the transport of a sink, for tests to change before its first request.
func (s *Sink) HTTPTransport() *http.Transport { return s.client.Transport.(*http.Transport) }

// CheckAddress is what a transport does with the address of every connection.
func CheckAddress(a netip.Addr, allow ...netip.Prefix) error { return guard{allow: allow}.check(a) }
