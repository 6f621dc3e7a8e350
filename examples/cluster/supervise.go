package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// supervise starts the nodes as processes of this one's group, and ends when the last of them
// has. One that ends earlier leaves the others serving.
func supervise(ctx context.Context, o options, stdout, stderr io.Writer) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	var nodes []*exec.Cmd
	out, errs := &lines{w: stdout}, &lines{w: stderr}
	for i := range o.nodes {
		addr, err := addrOf(o.addr, i)
		if err != nil {
			return fmt.Errorf("-addr: %w", err)
		}
		cmd := exec.CommandContext(ctx, program, "-nodes", "1", "-addr", addr, "-public-url", o.publicURL, "-grace", o.grace.String())
		if o.proxies != "" {
			cmd.Args = append(cmd.Args, "-trusted-proxies", o.proxies)
		}
		cmd.Env = append(os.Environ(), databaseVariable+"="+o.database, bucketVariable+"="+o.bucket) // arguments are for all eyes
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = shutdownTime + shutdownTime/2
		cmd.Stdout, cmd.Stderr = out, errs
		nodes = append(nodes, cmd)
	}
	var wg sync.WaitGroup
	for i, cmd := range nodes {
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		wg.Go(func() {
			if err := cmd.Wait(); err != nil && ctx.Err() == nil {
				fmt.Fprintf(errs, "node %d (process %d) has ended: %v\n", i, cmd.Process.Pid, err)
			}
		})
	}
	wg.Wait()
	return nil
}

// lines lets several processes write, one after the other.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
