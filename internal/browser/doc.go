// Package browser tries the pages of package gallery in a browser: Debian's Chromium, driven
// by playwright-core and judged by axe-core.
//
// It has nothing but tests. They serve a registry made up by content_test.go over the loopback
// interface; run.mjs opens each of its pages in light and dark, wide and narrow, with and
// without JavaScript, walks through them by keyboard, and compares pictures of them with those
// in testdata/screenshots. To have what they need:
//
//	apt-get install chromium nodejs npm fonts-dejavu-core
//	npm ci --prefix internal/browser
//
// Where that is not installed the tests are skipped, unless the environment variable CI is set:
// then they fail, after having tried npm ci themselves.
//
//	go test ./internal/browser -update         keeps the pictures of now
//	go test ./internal/browser -full FOLDER    writes pictures of whole pages, to be looked at
//
// Pictures are compared only where the browser and the fonts are those that made the kept ones,
// which testdata/screenshots/made-by.json names.
package browser
