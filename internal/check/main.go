// Command check runs every check of this module that needs no server and no other program
// than Go and git:
//
//	go run ./internal/check
//
// It prints a line for each step, with what a failed one had to say, and runs all of them
// even when one fails. It exits with status 1 if any did.
//
// The steps are gofmt, go vet for four systems, staticcheck, go mod tidy, doc comments, and
// the test of the module's shape in internal/archtest. Vetting for another system compiles
// the dependencies for it: the first run takes minutes, the next ones seconds.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
)

// staticcheck is pinned, so that a release of it with new checks fails nobody's build. It
// is run by version rather than required in go.mod, where users would get it too.
const staticcheck = "honnef.co/go/tools/cmd/staticcheck@v0.8.2"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	failed, err := check(ctx)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	case len(failed) > 0:
		fmt.Fprintln(os.Stderr, "check: failed:", strings.Join(failed, ", "))
		os.Exit(1)
	}
}

// check runs the steps over the module of the working directory and returns the names of
// those that failed.
func check(ctx context.Context) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	root := strings.TrimSpace(string(out))
	files, err := goFiles(ctx, root)
	if err != nil {
		return nil, err
	}
	return runAll(ctx, os.Stdout, []step{
		{"gofmt", gofmt(root, files)},
		{"docs", docs(root, files)},
		{"go mod tidy", command(root, nil, "go", "mod", "tidy", "-diff")},
		// Its go list reads what the cache of test results does not know of.
		{"archtest", command(root, nil, "go", "test", "-count=1", "./internal/archtest")},
		{"go vet", command(root, nil, "go", "vet", "./...")},
		// Without exceptions: where a check is wrong, a lint:ignore line there says why.
		{"staticcheck", command(root, nil, "go", "run", staticcheck, "-checks=all", "./...")},
		// Paths, signals and syncing of folders differ by system, and 32 bits are few for
		// sizes of blobs.
		{"go vet (darwin)", command(root, []string{"GOOS=darwin"}, "go", "vet", "./...")},
		{"go vet (windows)", command(root, []string{"GOOS=windows"}, "go", "vet", "./...")},
		{"go vet (386)", command(root, []string{"GOOS=linux", "GOARCH=386"}, "go", "vet", "./...")},
	}), nil
}
