package e2e

import (
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTable checks that the table has a result for every action by every client.
func TestTable(t *testing.T) {
	want := map[string]bool{}
	for _, c := range clients {
		for _, a := range actions {
			want[c.name+": "+string(a.name)] = true
		}
	}
	got := map[string]bool{}
	for c, row := range table {
		for a := range row {
			got[c+": "+string(a)] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cells of the table (-want +got):\n%s", diff)
	}
}

func TestClients(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the server is stopped by SIGTERM, which Windows does not have")
	}
	host := startServer(t)
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			c.needed(t)
			t.Parallel()
			open := c.open(t, host)
			v := &visit{
				client: c, host: host, repo: owner.Alias + "/e2e/" + c.name,
				owner: open(t, owner.person()), stranger: open(t, stranger.person()), nobody: open(t, person{}),
				impostor: open(t, person{owner.AccessKeyID, stranger.SecretAccessKey}),
			}
			for _, a := range actions {
				want := table[c.name][a.name]
				if want.blank != "" {
					continue
				}
				t.Run(string(a.name), func(t *testing.T) {
					switch err := a.do(t, v); {
					case want == works && err != nil:
						t.Fatal(err)
					case want != works && err == nil:
						t.Fatal("it was not refused")
					case want != works && !strings.Contains(err.Error(), want.refusal):
						t.Fatalf("the client does not say %q but: %v", want.refusal, err)
					case want != works:
						t.Log(err)
					}
				})
			}
		})
	}
}
