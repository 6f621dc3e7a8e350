package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/format"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// goFiles returns the module's source files that git has or would have, by their names
// within it.
func goFiles(ctx context.Context, root string) (files []string, err error) {
	cmd := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", "*.go")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		// git also lists what was removed but not yet committed.
		if _, err := os.Lstat(filepath.Join(root, name)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		files = append(files, name)
	}
	return files, nil
}

// gofmt is a step like gofmt -l, by the package that is underneath it: the command is not
// in every PATH, and thousands of names do not fit on every command line.
func gofmt(root string, files []string) func(context.Context, io.Writer) error {
	return func(_ context.Context, out io.Writer) error {
		var wrong int
		for _, name := range files {
			src, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				return err
			}
			formatted, err := format.Source(src)
			switch {
			case err != nil:
				fmt.Fprintf(out, "%s:%v\n", name, err)
				wrong++
			case !bytes.Equal(src, formatted):
				fmt.Fprintln(out, name)
				wrong++
			}
		}
		if wrong > 0 {
			return fmt.Errorf("%d files are not as gofmt -w would write them", wrong)
		}
		return nil
	}
}
