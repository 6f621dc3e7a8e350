package meter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/manifest"
	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/registry/registrytest"
	"github.com/esplanade-registry/esplanade/storage/meta"
)

const acme = "210987654321"

// pushBlob pushes a blob of so many bytes, as the owner of the repository's registry.
func (n *node) pushBlob(t testing.TB, name string, size int, content byte) {
	t.Helper()
	owner := n.Owner()
	if strings.HasPrefix(name, "acme/") {
		owner = n.As(auth.Principal{Account: acme, Name: "owner"})
	}
	raw := bytes.Repeat([]byte{content}, size)
	if err := owner.PushBlob(t.Context(), name, manifest.SHA256.FromBytes(raw), bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
}

// chores does what is done now and then, until end is called.
func (n *node) chores(t testing.TB) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.meter.Chores(ctx) }()
	synctest.Wait()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// byteHours are those of accounts in a month.
func byteHours(t testing.TB, m *meter.Meter, month time.Time) map[string]int64 {
	t.Helper()
	list, err := m.Usage(t.Context(), month)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int64{}
	for _, u := range list {
		all[u.Account] = u.StoredByteHours
	}
	return all
}

func TestStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		a, b := g.node(t), g.node(t)
		if err := a.AddAlias(t.Context(), acme, "acme"); err != nil {
			t.Fatal(err)
		}
		a.pushBlob(t, "test/a", 1000, 'x')
		a.pushBlob(t, "test/b", 1000, 'x') // once for both
		a.pushBlob(t, "test/b", 500, 'y')
		a.pushBlob(t, "acme/a", 1000, 'x') // and once for the other account

		endA, endB := a.chores(t), b.chores(t) // at the same time, and yet no hour twice
		until(date(2000, 1, 20, 7, 59, 0))
		endA() // and on it goes without it
		until(date(2000, 2, 10, 0, 30, 0))
		if _, err := a.Owner().DeleteRepository(t.Context(), "test/b", true); err != nil {
			t.Fatal(err)
		}
		until(date(2000, 3, 5, 12, 30, 0))
		endB() // nobody runs
		until(date(2000, 3, 6, 0, 0, 0))
		a.pushBlob(t, "test/a", 100, 'z')
		until(date(2000, 3, 7, 6, 10, 0))
		a, b = g.node(t), g.node(t)
		endA, endB = a.chores(t), b.chores(t)
		until(date(2000, 4, 1, 0, 30, 0))

		const feb, mar = 9*24 + 1, 4*24 + 13
		for _, c := range []struct {
			month time.Month
			want  map[string]int64
			gb    float64 // of what it was all the month, in units of 10^9 bytes
		}{
			{time.December, map[string]int64{}, 0},
			{time.January, map[string]int64{registrytest.Account: 1500 * 744, acme: 1000 * 744}, 1000},
			{time.February, map[string]int64{registrytest.Account: 1500*feb + 1000*(696-feb), acme: 1000 * 696}, 1000},
			{time.March, map[string]int64{registrytest.Account: 1000*mar + 1100*(744-mar), acme: 1000 * 744}, 1000},
			{time.April, map[string]int64{registrytest.Account: 1100, acme: 1000}, 1000. / 720},
		} {
			month := date(2000, c.month, 17, 5, 0, 0)
			if diff := cmp.Diff(c.want, byteHours(t, a.meter, month)); diff != "" {
				t.Errorf("%s: byte-hours (-want +got)\n%s", c.month, diff)
			}
			list, err := b.meter.Usage(t.Context(), month)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range list {
				if u.Account == acme && u.StoredGBMonths() != c.gb/1e9 {
					t.Errorf("%s: %v GB-months, want %v", c.month, u.StoredGBMonths(), c.gb/1e9)
				}
			}
		}
		endA()
		endB()
	})
}

// TestStoredAfterLongPause takes what is stored now for what was stored before, but not for ever.
func TestStoredAfterLongPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		n := g.node(t)
		n.pushBlob(t, "test/a", 1000, 'x')
		end := n.chores(t)
		time.Sleep(90 * time.Minute)
		end()
		until(date(2000, 3, 1, 0, 30, 0))
		end = n.chores(t)
		end()
		var all int64
		for month := range 3 {
			all += byteHours(t, n.meter, date(2000, time.Month(month+1), 1, 0, 0, 0))[registrytest.Account]
		}
		if want := int64(1000 * (2 + 31*24 + 1)); all != want {
			t.Errorf("%d byte-hours, want %d", all, want)
		}
	})
}

// TestStoredUntold has the store fail and lose answers while hours are counted.
func TestStoredUntold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := inMemory()
		n := 0
		g.store = &flaky{Store: g.store, add: func(_ meta.Flush, add func() error) error {
			switch n++; n % 40 {
			case 0:
				return errOut
			case 1:
				return errors.Join(add(), errOut)
			}
			return add()
		}}
		a := g.node(t)
		a.pushBlob(t, "test/a", 1000, 'x')
		end := a.chores(t)
		until(date(2000, 1, 1, 5, 30, 0))
		end()
		until(date(2000, 1, 1, 20, 30, 0))
		end = a.chores(t)
		until(date(2000, 2, 1, 0, 0, 0).Add(-time.Second))
		end()
		if got := byteHours(t, a.meter, date(2000, 1, 1, 0, 0, 0))[registrytest.Account]; got != 1000*744 {
			t.Errorf("%d byte-hours, want %d", got, 1000*744)
		}
	})
}

func TestStoredGBMonths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		month time.Time
		hours int64
	}{
		{date(2026, 1, 1, 0, 0, 0), 744}, {date(2026, 2, 1, 0, 0, 0), 672}, {date(2028, 2, 1, 0, 0, 0), 696}, {date(2026, 3, 1, 0, 0, 0), 744},
		{date(2026, 4, 1, 0, 0, 0), 720}, {date(2026, 12, 1, 0, 0, 0), 744},
	} {
		u := meter.Usage{Month: c.month, StoredByteHours: 50e9 * c.hours, EgressBytes: 1_234_500_000}
		if u.StoredGBMonths() != 50 || u.EgressGB() != 1.2345 {
			t.Errorf("%s: %v GB-months, %v GB", c.month.Format("2006-01"), u.StoredGBMonths(), u.EgressGB())
		}
	}
}

// report is what two accounts used.
var report = []meter.Usage{
	{Account: registrytest.Account, Month: date(2026, 2, 1, 0, 0, 0), Pulls: 12345, EgressBytes: 12_500_000_000_001, StoredByteHours: 200_000_000_000 * 672},
	{Account: acme, Month: date(2026, 2, 1, 0, 0, 0), StoredByteHours: 1_000_000},
}

func TestWriteCSV(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		list []meter.Usage
		want string
	}{
		{nil, "account,month,pulls,egress_bytes,stored_byte_hours,egress_gb,stored_gb_months\n"},
		{report, "account,month,pulls,egress_bytes,stored_byte_hours,egress_gb,stored_gb_months\n" +
			"123456789012,2026-02,12345,12500000000001,134400000000000,12500.000000,200.000000\n" +
			"210987654321,2026-02,0,0,1000000,0.000000,0.000001\n"},
	} {
		var out strings.Builder
		if err := meter.WriteCSV(&out, c.list); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(c.want, out.String()); diff != "" {
			t.Errorf("CSV (-want +got)\n%s", diff)
		}
	}
	if err := meter.WriteCSV(full{}, report); !errors.Is(err, errOut) {
		t.Errorf("a writer that fails: %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errOut }

func TestJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v    any
		want string
	}{
		{report[0], `{"account":"123456789012","month":"2026-02-01T00:00:00Z","pulls":12345,"egressBytes":12500000000001,"storedByteHours":134400000000000}`},
		{meter.Point{At: date(2026, 2, 1, 7, 0, 0), N: 3}, `{"at":"2026-02-01T07:00:00Z","n":3}`},
		{meter.Named{Name: "v1", N: 3}, `{"name":"v1","n":3}`},
	} {
		raw, err := json.Marshal(c.v)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(raw)); diff != "" {
			t.Errorf("JSON (-want +got)\n%s", diff)
		}
	}
}
