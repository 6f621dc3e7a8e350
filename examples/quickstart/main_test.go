package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// output is a writer that can be read while it is written.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
	add chan struct{}
}

func newOutput() *output { return &output{add: make(chan struct{}, 100)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	select {
	case o.add <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// server runs quickstart until stop is called, and returns its address.
func server(t *testing.T, args ...string) (url string, out *output, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out = newOutput()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), out, io.Discard)
	}()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { stop() }) //nolint:errcheck // asked by those who care
	address := regexp.MustCompile(`The registry is at (\S+),`)
	for {
		if m := address.FindStringSubmatch(out.String()); m != nil {
			return m[1], out, stop
		}
		select {
		case err := <-done:
			t.Fatalf("the server ended: %v\n%s", err, out)
		case <-out.add:
		}
	}
}

func TestFirstStartMakesCredentialsAndTheSecondUsesThem(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	url, out, stop := server(t, "-data", dir)
	raw, err := os.ReadFile(filepath.Join(dir, "credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	var c credentials
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "credentials.json")); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if !regexp.MustCompile(`^[0-9]{12}$`).MatchString(c.AccountID) || !regexp.MustCompile(`^([a-z][0-9]){4}$`).MatchString(c.Alias) || len(c.SecretAccessKey) != 40 {
		t.Errorf("made %+v", c)
	}
	host := strings.TrimPrefix(url, "http://")
	for _, line := range []string{c.SecretAccessKey, "docker login -u " + c.AccessKeyID + " " + host, "docker push " + host + "/" + c.Alias + "/hello:latest"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("the greeting lacks %q:\n%s", line, out)
		}
	}
	login(t, url, c.account, http.StatusOK)
	login(t, url, account{AccessKeyID: c.AccessKeyID, SecretAccessKey: "wrong"}, http.StatusUnauthorized)
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}

	url, out, stop = server(t, "-data", dir)
	if strings.Contains(out.String(), c.SecretAccessKey) {
		t.Error("the secret is printed again")
	}
	login(t, url, c.account, http.StatusOK)
	if err := run(t.Context(), []string{"-addr", "127.0.0.1:0", "-data", dir}, io.Discard, io.Discard); err == nil {
		t.Error("a second server took the folder")
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func login(t *testing.T, url string, a account, want int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(a.AccessKeyID, a.SecretAccessKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != want {
		t.Errorf("login as %s: %s, want %d", a.AccessKeyID, res.Status, want)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	const one = `"accountId":"111122223333","alias":"a","accessKeyId":"K","secretAccessKey":"0123456789abcdef"`
	const two = `"accountId":"444455556666","alias":"b","accessKeyId":"L","secretAccessKey":"0123456789abcdef"`
	for text, ok := range map[string]bool{
		`{` + one + `}`: true,
		`{` + one + `,"accounts":[{` + two + `}]}`: true,
		`{` + one + `,"accounts":[{` + one + `}]}`: false,
		`{` + one + `,"password":"x"}`:             false,
		`{` + one + `} {}`:                         false,
		`{"alias":"a"}`:                            false,
		``:                                         false,
	} {
		path := filepath.Join(t.TempDir(), "credentials.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil { // looser than it should be: a warning
			t.Fatal(err)
		}
		var log bytes.Buffer
		_, made, err := loadCredentials(path, slog.New(slog.NewTextHandler(&log, nil)))
		if (err == nil) != ok || made {
			t.Errorf("%s: %v, made %v", text, err, made)
		}
		if runtime.GOOS != "windows" && !strings.Contains(log.String(), "chmod 600") {
			t.Errorf("no warning of a loose file: %s", &log)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args  string
		ok    bool
		cache int64
	}{
		{"", true, 16 << 20}, {"-manifest-cache 0", true, -1}, {"-manifest-cache 1000", true, 1000}, {"-pull-rate 0", true, 16 << 20},
		{"-pull-rate 5", true, 16 << 20}, {"-pull-rate 1000000000", true, 16 << 20}, {"-pull-rate -1", false, 0}, {"-pull-rate NaN", false, 0}, {"-pull-rate 1e10", false, 0}, {"-tls-cert x", false, 0}, {"serve", false, 0}, {"-no-such-flag", false, 0},
	} {
		o, err := parse(strings.Fields(c.args), io.Discard)
		if (err == nil) != c.ok || err == nil && o.cache != c.cache {
			t.Errorf("%q: %+v, %v", c.args, o, err)
		}
	}
	if err := run(t.Context(), []string{"-h"}, io.Discard, io.Discard); err != nil {
		t.Errorf("-h: %v", err)
	}
	if err := run(t.Context(), []string{"-data", t.TempDir(), "-addr", "nowhere:x"}, io.Discard, io.Discard); err == nil {
		t.Error("an address that cannot be listened on: no error")
	}
}

func TestOddPathsAreNotRedirected(t *testing.T) {
	t.Parallel()
	url, _, _ := server(t, "-data", t.TempDir())
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("redirected") }}
	for path, want := range map[string]int{"/": 200, "/v2": 401, "/v2//x/manifests/y": 400, "/v2/../x": 404, "/v2/a/b%2Fc/manifests/y": 400, "/other": 404} {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = fmt.Sprint(strings.TrimPrefix(url, "http:"), path)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, res.Status, want)
		}
	}
	if _, err := os.Stat("esplanade-data"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the tests made a folder: %v", err)
	}
}
