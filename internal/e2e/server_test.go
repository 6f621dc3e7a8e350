package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// account is an entry of credentials.json.
type account struct {
	AccountID       string `json:"accountId"`
	Alias           string `json:"alias"`
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
}

func (a account) person() person { return person{a.AccessKeyID, a.SecretAccessKey} }

// The two accounts of the server: what the owner pushes the stranger must not touch.
var (
	owner    = account{"111122223333", "hatters", "AKIAHATTERSHATTERS22", "a-hat-for-every-head-and-no-head-bare"}
	stranger = account{"444455556666", "strangers", "AKIASTRANGERSTRANGE2", "passing-through-on-the-way-elsewhere"}
)

// greeting is how the server says where it is.
var greeting = regexp.MustCompile(`The registry is at http://([^\s,]+),`)

// startServer builds and starts quickstart on a free port, and returns its host:port. At the
// end it must stop cleanly, without having met an error of its own.
func startServer(t *testing.T) string {
	t.Helper()
	host, _ := startServerIn(t)
	return host
}

// startServerIn is startServer that also returns the folder of the server.
func startServerIn(t *testing.T) (host, data string) {
	t.Helper()
	s := newShell(t)
	program := s.path("quickstart")
	data = s.path("data")
	build := append(append([]string{"build"}, raceFlag()...), "-o", program, "github.com/esplanade-registry/esplanade/examples/quickstart")
	if out, err := exec.CommandContext(t.Context(), "go", build...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	raw, err := json.Marshal(struct {
		account
		Accounts []account `json:"accounts"`
	}{owner, []account{stranger}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(data, 0o700), os.WriteFile(filepath.Join(data, "credentials.json"), raw, 0o600)); err != nil {
		t.Fatal(err)
	}
	var d *daemon
	t.Cleanup(func() { // after it has stopped
		if d == nil {
			return
		}
		for line := range strings.Lines(d.printed()) {
			if strings.Contains(line, "level=ERROR") || strings.Contains(line, "panic") {
				t.Errorf("the server says: %s", line)
			}
		}
	})
	d = s.start(t, func(d *daemon) error {
		m := greeting.FindStringSubmatch(d.printed())
		if m == nil {
			return errors.New("no greeting")
		}
		host = m[1]
		return nil
	}, program, "-addr", "127.0.0.1:0", "-data", data)
	return host, data
}

// raceFlag is for a server that looks for data races if the test does. One that finds some
// ends with a status other than 0.
func raceFlag() []string {
	info, _ := debug.ReadBuildInfo()
	if info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return []string{"-race"}
	}
	return nil
}
