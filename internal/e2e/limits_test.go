package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/throttle"
)

// limited sets limits, those of limit.Default if there are none.
func limited(t *testing.T, p limit.Preset) func(*registry.Config) {
	t.Helper()
	limits, err := throttle.New(throttle.Config{Limits: p})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *registry.Config) {
		c.Interceptors = append(c.Interceptors, limits.Intercept)
		c.Observers = append(c.Observers, limits.Observe)
	}
}

// refusals has what each client does when a GET of a manifest is answered with 429 and a
// Retry-After of 2 seconds, as its requests show, and what it tells its user:
//
//	docker 20.10      gives up at once             toomanyrequests: 127.0.0.1 pulls more than ...; try again in 2 seconds; log in for more
//	containerd 1.6    6 requests within 10 ms      429 Too Many Requests - Server message: toomanyrequests: ... and the same
//	podman 4          waits 2 s, as told           nothing: it succeeds
//	buildah 1.28      waits 2 s, as told           nothing: it succeeds
//	skopeo 1.9        waits 2 s, as told           nothing: it succeeds
//	helm 3.22         waits 2 s, as told           nothing: it succeeds; of longer it waits 3 s, five times
//	regctl 0.11       waits 2 s, as told           nothing: it succeeds
//	crane 0.22        waits 1 s, then 3 s          nothing, if it may by then; else TOOMANYREQUESTS: ... and the same
//	oras-go 2         gives up at once             toomanyrequests: ... and the same; with its own retry.Client it does as helm
//
// docker and containerd ask first by HEAD, which costs nothing and is let through.
var refusals = map[string]struct {
	patient bool // it waits, and succeeds
	most    int  // requests for one manifest that are refused until it waits long enough, or gives up
}{
	"docker": {false, 6}, "ctr": {false, 6}, "oras-go": {false, 1}, // docker with containerd's image store is as ctr
	"podman": {true, 1}, "buildah": {true, 1}, "skopeo": {true, 1}, "helm": {true, 1}, "regctl": {true, 2}, "crane": {true, 2},
}

// TestRefusedPulls has every client pull where it has pulled too much already. Those that
// wait succeed without a word, the others tell when to try again.
func TestRefusedPulls(t *testing.T) {
	t.Parallel()
	for _, c := range clients {
		want := refusals[c.name]
		t.Run(c.name, func(t *testing.T) {
			c.needed(t)
			t.Parallel()
			rule := limit.Rule{Rate: 0.5, Burst: 1}
			if !want.patient {
				rule.Rate = 0.001 // or it may come back in time
			}
			o := newOrigin(t, limited(t, limit.Preset{Anonymous: rule, Named: limit.Rule{Rate: 100, Burst: 100}}))
			repo, f := owner.Alias+"/refused/"+c.name, newFixture(t, c.name, here)
			ref := o.host + "/" + repo + ":1.0.0"
			open := c.open(t, o.host)
			if c.name == "helm" {
				s := open(t, owner.person())
				if err := s.login(t); err != nil {
					t.Fatal(err)
				}
				if _, err := s.push(t, ref, f); err != nil {
					t.Fatal(err)
				}
			} else {
				o.publish(t, repo, "1.0.0", f)
			}
			if a := ask(t, http.DefaultClient, "GET", "http://"+o.host+"/v2/"+repo+"/manifests/1.0.0"); a.status != 200 || a.header.Get("Ratelimit-Remaining") == "" {
				t.Fatalf("%d, Ratelimit-Remaining %q", a.status, a.header.Get("Ratelimit-Remaining"))
			}
			o.log.of(t, repo)
			_, err := open(t, person{}).pull(t, ref)
			refused, most := map[string]int{}, 0
			for _, r := range o.log.of(t, repo) {
				if r.Status == http.StatusTooManyRequests {
					refused[r.Path]++
					most = max(most, refused[r.Path])
				}
			}
			switch {
			case most == 0 || most > want.most:
				t.Errorf("%d requests for one manifest were refused, want from 1 to %d", most, want.most)
			case want.patient && err != nil:
				t.Error(err)
			case !want.patient:
				refuse(t, err, "127.0.0.1 pulls more than 0.001 images a second, with bursts of 1; try again in ")
				refuse(t, err, " seconds; log in for more")
			}
		})
	}
}

// TestFirstPulls is a newcomer's first "docker-compose pull", of 15 images at once, with the
// limits that a registry has if it sets no others.
func TestFirstPulls(t *testing.T) {
	t.Parallel()
	tools := client{programs: []string{"docker", "dockerd", "containerd"}, root: true}
	tools.needed(t)
	o := newOrigin(t, limited(t, limit.Preset{}))
	const images = 15
	file := "version: '3'\nservices:\n"
	var refs []string
	for i := range images {
		repo := fmt.Sprintf("%s/first/%d", owner.Alias, i)
		f := &fixture{name: repo, layers: map[string][]layer{}}
		for _, p := range []string{here, elsewhere} { // so that each is two manifests
			f.layers[p] = []layer{{newFile(repo, p, "hat", 1000)}, {newFile(repo, p, "brim", 1000)}}
		}
		o.publish(t, repo, "1.0.0", f)
		refs = append(refs, o.host+"/"+repo+":1.0.0")
		file += fmt.Sprintf("  hat%d:\n    image: %s\n", i, refs[i])
	}
	s := newDocker(t, o.host)(t, person{}).(docker)
	o.log.take(t, func(request) bool { return true })
	if installed("docker-compose") {
		if err := os.WriteFile(s.path("docker-compose.yml"), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.run(t, "docker-compose", "pull", "--quiet"); err != nil {
			t.Fatal(err)
		}
	} else {
		var wg sync.WaitGroup
		for _, ref := range refs {
			wg.Go(func() {
				if _, err := s.run(t, "docker", "pull", ref); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	charged := 0
	for _, r := range o.log.take(t, func(request) bool { return true }) {
		if r.Status == http.StatusTooManyRequests {
			t.Errorf("refused: %s %s", r.Method, r.Path)
		}
		if r.Method == http.MethodGet && strings.Contains(r.Path, "/manifests/") {
			charged++
		}
	}
	if charged < images || charged > 100 {
		t.Errorf("the images took %d GETs of manifests", charged)
	}
	out := must[string](t)(s.run(t, "docker", "image", "ls", "--quiet"))
	if n := len(strings.Fields(out)); n != images {
		t.Errorf("docker has %d images, want %d", n, images)
	}
}

// TestRefusedLogins has clients log in with wrong passwords. Each counts once, though some
// clients send it twice (helm, by POST and by GET) and people try the same again; after too
// many, the right one is refused too, and docker says for how long.
func TestRefusedLogins(t *testing.T) {
	t.Parallel()
	const allowed = 3 // failures
	for name, want := range map[string]struct {
		sends int    // times that one attempt sends a password, at the least
		wrong string // what it says of a wrong password
		many  string // what it says when there were too many
	}{
		"docker":  {1, "unauthorized: the credentials are not valid", "toomanyrequests: there were too many logins with wrong credentials; check them, and try again in "},
		"podman":  {1, "invalid username/password", "too many requests to registry"}, // its own words
		"buildah": {1, "invalid username/password", "too many requests to registry"},
		"skopeo":  {1, "invalid username/password", "too many requests to registry"},
		"helm":    {2, "unauthorized: the credentials are not valid", ""}, // it asks 12 times within half a minute before it says so
		"oras-go": {1, "unauthorized: the credentials are not valid", ""},
		"regctl":  {1, "unauthorized", "unauthorized"},
	} {
		t.Run(name, func(t *testing.T) {
			var c client
			for _, c = range clients {
				if c.name == name {
					break
				}
			}
			c.needed(t)
			t.Parallel()
			o := newOrigin(t, func(c *registry.Config) {
				c.Logins = limit.NewLogins(&limit.LoginOptions{Address: limit.Rule{Rate: 0.001, Burst: allowed}})
			})
			open := c.open(t, o.host)
			login := func(password string) error { return open(t, person{owner.AccessKeyID, password}).login(t) }
			for i, password := range []string{"one", "one", "one", "two", "two"} {
				refuse(t, login(password), want.wrong)
				sent := 0
				for _, r := range o.log.take(t, func(request) bool { return true }) {
					switch {
					case r.Path == "/token" && r.Status == http.StatusUnauthorized:
						sent++
					case r.Status == http.StatusTooManyRequests:
						t.Errorf("attempt %d was refused already", i)
					}
				}
				if sent < want.sends {
					t.Errorf("attempt %d sent the password %d times, want %d", i, sent, want.sends)
				}
			}
			for _, step := range []struct {
				password string
				status   int
			}{{"three", http.StatusUnauthorized}, {"four", http.StatusTooManyRequests}, {owner.SecretAccessKey, http.StatusTooManyRequests}} {
				a := ask(t, http.DefaultClient, "GET", "http://"+o.host+"/token", "Authorization", "Basic "+basicAuth(owner.AccessKeyID, step.password))
				if a.status != step.status || (a.header.Get("Retry-After") != "") != (a.status == http.StatusTooManyRequests) {
					t.Errorf("password %s: %d %s, want %d", step.password, a.status, a.body, step.status)
				}
			}
			if want.many != "" {
				refuse(t, login("four"), want.many)
				refuse(t, login(owner.SecretAccessKey), want.many)
			}
		})
	}
}
