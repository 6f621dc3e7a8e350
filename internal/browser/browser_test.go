package browser_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/esplanade-registry/esplanade/gallery"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/registry/site"
)

var full = flag.String("full", "", "`folder` for pictures of whole pages")

// programs is what the tests need of the machine.
type programs struct{ node, chromium string }

// findPrograms skips the test where something is missing.
func findPrograms(t *testing.T) (p programs) {
	t.Helper()
	missing := func(what string) {
		t.Helper()
		if os.Getenv("CI") != "" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	var err error
	if p.node, err = exec.LookPath("node"); err != nil {
		missing("node is not installed: apt-get install nodejs npm")
	}
	if p.chromium, err = exec.LookPath("chromium"); err != nil {
		missing("chromium is not installed: apt-get install chromium")
	}
	if _, err := os.Stat("node_modules/playwright-core"); err != nil {
		if os.Getenv("CI") == "" {
			t.Skip("playwright-core is not installed: npm ci --prefix internal/browser")
		}
		if out, err := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund").CombinedOutput(); err != nil {
			t.Fatalf("npm ci: %v\n%s", err, out)
		}
	}
	return p
}

// plan is what run.mjs is to do.
type plan struct {
	Origin   string `json:"origin"`
	Public   string `json:"public"` // what references begin with
	Chromium string `json:"chromium"`
	Pages    []page `json:"pages"`
	Pictures string `json:"pictures"` // folder
	Full     string `json:"full,omitempty"`
}

// finding is a line of what run.mjs prints. One of its three texts is there.
type finding struct {
	Page    string `json:"page"`
	Check   string `json:"check"`
	Failure string `json:"failure"`
	Figure  string `json:"figure"`
	Done    string `json:"done"` // a page or journey that was tried to its end
	MadeBy  madeBy `json:"madeBy"`
}

func TestGallery(t *testing.T) {
	p := plan{Public: "registry.example.com", Pages: pages, Pictures: t.TempDir(), Full: *full}
	tools := findPrograms(t)
	p.Chromium = tools.chromium
	var findings []finding
	// In a bubble the clock stands still while the browser looks, so that all ages and dates
	// are the same whenever the test runs.
	synctest.Test(t, func(t *testing.T) { findings = visit(t, tools.node, p) })
	if t.Failed() {
		return
	}
	var names []string
	failures := map[string][]string{}
	for _, f := range findings {
		switch {
		case f.Figure != "":
			t.Logf("%s: %s", f.Page, f.Figure)
		case f.Failure != "":
			failures[f.Page] = append(failures[f.Page], f.Check+": "+f.Failure)
		case f.Done != "":
			names = append(names, f.Done)
		}
	}
	for _, page := range pages {
		if !slices.Contains(names, page.Name) {
			t.Errorf("%s was not tried to the end", page.Name)
		}
	}
	for name := range failures {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			for _, f := range failures[name] {
				t.Error(f)
			}
		})
	}
	t.Run("pictures", func(t *testing.T) {
		i := slices.IndexFunc(findings, func(f finding) bool { return f.MadeBy.Chromium != "" })
		if i < 0 {
			t.Fatal("the browser did not say what it is")
		}
		comparePictures(t, p.Pictures, findings[i].MadeBy)
	})
}

// visit serves the pages and runs the browser.
func visit(t *testing.T, node string, p plan) (findings []finding) {
	quiet := func(c *registry.Config) { c.PublicURL, c.AllowMissing = "https://"+p.Public, true }
	filled, empty := registrytest.New(t, quiet), registrytest.New(t, quiet)
	fill(t, filled)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	defer cancel()
	var sites []*site.Site
	serve := func(r *registry.Registry, cfg gallery.Config) http.Handler {
		cfg.Name, cfg.Tagline = "Esplanade", "Images that anyone can pull"
		s, err := site.New(site.Config{Registry: r, Gallery: cfg, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
		if err != nil {
			t.Fatal(err)
		}
		sites = append(sites, s)
		return s
	}
	mux := http.NewServeMux()
	mux.Handle("/", serve(filled.Registry, gallery.Config{Metrics: pulls{}, Footer: []gallery.Link{{Text: "Terms of use", URL: "https://lantern.example/terms"}}}))
	mux.Handle("/gallery/", serve(filled.Registry, gallery.Config{Prefix: "/gallery"}))
	mux.Handle("/empty/", serve(empty.Registry, gallery.Config{Prefix: "/empty"}))
	running := make(chan error, len(sites))
	for _, s := range sites {
		go func() { running <- s.Run(ctx) }()
	}
	synctest.Wait() // until the search knows everything

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux} //nolint:gosec // its only client is the browser
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		server.Close() //nolint:errcheck // the listener's
		<-served
		cancel()
		for range sites {
			if err := <-running; err != nil {
				t.Error(err)
			}
		}
	}()

	p.Origin = "http://" + listener.Addr().String()
	in, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, node, "run.mjs")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Errorf("run.mjs: %v\n%s%s", err, out.String(), errs.String())
		return nil
	}
	for line := range strings.Lines(out.String()) {
		var f finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Errorf("run.mjs: %v in %s", err, line)
			continue
		}
		findings = append(findings, f)
	}
	return findings
}
