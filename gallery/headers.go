package gallery

import "net/http"

// contentPolicy lets a page have what the site itself serves, and nothing else: no script, no
// style and no image of others, and nothing inline. What a publisher might get into a page
// could therefore neither run nor tell anybody.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// The headers of every answer.
var headers = http.Header{
	"Content-Security-Policy":      {contentPolicy},
	"X-Content-Type-Options":       {"nosniff"},
	"Referrer-Policy":              {"strict-origin-when-cross-origin"},
	"Cross-Origin-Opener-Policy":   {"same-origin"},
	"Cross-Origin-Resource-Policy": {"same-origin"},
	"Permissions-Policy":           {"camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()"},
}

func setHeaders(h http.Header) {
	for name, values := range headers {
		h[name] = values
	}
}

// vary is what pages depend on besides their URL.
var vary = []string{"Accept, Accept-Encoding, Cookie"}
