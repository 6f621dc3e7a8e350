package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// step is one check. What run writes is shown if it fails.
type step struct {
	name string
	run  func(ctx context.Context, out io.Writer) error
}

// result is how a step went.
type result struct {
	output  bytes.Buffer
	err     error
	elapsed time.Duration
}

// runAll runs steps, as many at once as there are processors, and prints how each went in
// the order of the list. It returns the names of those that failed.
func runAll(ctx context.Context, w io.Writer, steps []step) (failed []string) {
	results := make([]chan *result, len(steps))
	for i := range results {
		results[i] = make(chan *result, 1)
	}
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	go func() {
		for i, s := range steps {
			slots <- struct{}{}
			go func() {
				var r result
				start := time.Now()
				r.err = s.run(ctx, &r.output)
				r.elapsed = time.Since(start)
				<-slots
				results[i] <- &r
			}()
		}
	}()
	for i, s := range steps {
		r := <-results[i]
		status := "ok"
		if r.err != nil {
			status = "FAIL"
			failed = append(failed, s.name)
		}
		fmt.Fprintf(w, "%-4s  %-16s %6.1fs\n", status, s.name, r.elapsed.Seconds())
		if r.err != nil {
			fmt.Fprintf(w, "%s\n", indent(r.output.String()+r.err.Error()))
		}
	}
	return failed
}

// indent sets off what a step printed from the lines about steps.
func indent(s string) string {
	return "      " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n      ")
}

// command returns the run of a step that is a command in a folder, with variables added to
// the environment.
func command(dir string, env []string, name string, args ...string) func(context.Context, io.Writer) error {
	return func(ctx context.Context, out io.Writer) error {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), env...)
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(append(env, cmd.Args...), " "), err)
		}
		return nil
	}
}
