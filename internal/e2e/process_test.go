package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// commandTime is how long one command may take. The longest is docker's push of 1 GiB, which
// it compresses.
const commandTime = 4 * time.Minute

// shell runs programs in a folder of their own, with nothing of the environment but PATH, so
// that neither settings nor credentials of the machine's user take part.
type shell struct {
	dir string
	env []string
}

// newFolder makes a folder for the time of the test, with a path shorter than that of
// t.TempDir: sockets in it may have 107 bytes and podman wants 50. What programs have mounted
// in it is unmounted at the end, since it could not be removed otherwise.
func newFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(unmountBelow(dir), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// newShell makes the folder.
func newShell(t *testing.T, env ...string) shell {
	t.Helper()
	dir := newFolder(t)
	return shell{dir, append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "XDG_RUNTIME_DIR=" + dir,
		"XDG_CONFIG_HOME=" + filepath.Join(dir, ".config"),
	}, env...)}
}

// path is that of a file in the folder.
func (s shell) path(name string) string { return filepath.Join(s.dir, name) }

func (s shell) command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.dir, s.env, attributes()
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// run returns what a program printed to its standard output. The error of a program that
// fails has all that it printed.
func (s shell) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return s.feed(t, nil, args...)
}

// feed is run with an input.
func (s shell) feed(t *testing.T, in io.Reader, args ...string) (string, error) {
	t.Helper()
	out, _, err := s.outputs(t, in, args...)
	return out, err
}

// outputs is feed that also returns what was printed to standard error.
func (s shell) outputs(t *testing.T, in io.Reader, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	cmd := s.command(ctx, args)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &errs
	if err := cmd.Run(); err != nil {
		return "", "", fmt.Errorf("%s: %w\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), errs.String(), nil
}

// output is the standard output of a running program.
type output struct {
	io.Reader
	cmd    *exec.Cmd
	stderr bytes.Buffer
}

// read starts a program whose output is too long to be kept.
func (s shell) read(t *testing.T, args ...string) (io.ReadCloser, error) {
	t.Helper()
	o := &output{cmd: s.command(t.Context(), args)}
	o.cmd.Stderr = &o.stderr
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	o.Reader = out
	return o, o.cmd.Start()
}

// Close waits for the program, which must have been read to the end.
func (o *output) Close() error {
	if err := o.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(o.cmd.Args, " "), err, o.stderr.String())
	}
	return nil
}

// feeding returns what write writes.
func feeding(write func(io.Writer) error) io.ReadCloser {
	r, w := io.Pipe()
	go func() { w.CloseWithError(write(w)) }()
	return r
}

// daemon is a program that runs until it is stopped.
type daemon struct {
	name string
	cmd  *exec.Cmd
	log  string // the file that has what it prints
	done chan struct{}
}

// start starts a daemon, waits until it is ready and sees to its end.
func (s shell) start(t *testing.T, ready func(*daemon) error, args ...string) *daemon {
	t.Helper()
	d := &daemon{name: filepath.Base(args[0]), log: s.path(filepath.Base(args[0]) + ".log"), done: make(chan struct{})}
	log, err := os.Create(d.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	d.cmd = s.command(context.WithoutCancel(t.Context()), args)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.done)
		d.cmd.Wait() //nolint:errcheck // ProcessState has it
	}()
	t.Cleanup(func() {
		if code := d.stop(t); code != 0 {
			t.Errorf("%s ended with status %d", d.name, code)
		}
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", d.name, d.tail())
		}
	})
	if err := d.await(t, ready); err != nil {
		t.Fatalf("%s: %v", d.name, err)
	}
	return d
}

// await asks again and again whether the daemon is ready.
func (d *daemon) await(t *testing.T, ready func(*daemon) error) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(d)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-d.done:
			return errors.New("it ended while starting")
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// stop ends the daemon and returns its exit status. It may be called again.
func (d *daemon) stop(t *testing.T) int {
	d.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	select {
	case <-d.done:
	case <-time.After(time.Minute):
		t.Errorf("%s did not end within a minute of SIGTERM", d.name)
		killGroup(d.cmd.Process) //nolint:errcheck // it may have ended
		<-d.done
	}
	return d.cmd.ProcessState.ExitCode()
}

// printed returns the log.
func (d *daemon) printed() string {
	raw, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// tail returns the end of the log.
func (d *daemon) tail() string {
	lines := strings.SplitAfter(d.printed(), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "")
}
