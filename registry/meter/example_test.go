package meter_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/esplanade-registry/esplanade/auth"
	"github.com/esplanade-registry/esplanade/registry"
	"github.com/esplanade-registry/esplanade/registry/meter"
	"github.com/esplanade-registry/esplanade/storage/gocloud"
	"github.com/esplanade-registry/esplanade/storage/meta/memmeta"
)

// counting is a registry whose pulls are counted, with an artifact at acme/app:v1.
func counting() (*registry.Registry, *meter.Meter, *memmeta.Store, error) {
	store := memmeta.New()
	m, err := meter.New(meter.Config{Store: store})
	if err != nil {
		return nil, nil, nil, err
	}
	reg, err := registry.New(registry.Config{
		Store: store, Bucket: gocloud.New(memblob.OpenBucket(nil)), CreateOnPush: true,
		Observers: []registry.Observer{m.Observe},
	})
	if err != nil {
		return nil, nil, nil, err
	}
	ctx := context.Background()
	const account = "123456789012"
	if err := reg.AddAlias(ctx, account, "acme"); err != nil {
		return nil, nil, nil, err
	}
	index := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
	_, err = reg.As(auth.Principal{Account: account, Name: "ci"}).PushManifest(ctx, "acme/app", "application/vnd.oci.image.index.v1+json", index, "v1")
	return reg, m, store, err
}

// Count the pulls of a registry, and show those of a repository.
func Example_countPulls() {
	reg, m, store, err := counting()
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx, reg) }()

	server := httptest.NewServer(reg)
	for _, method := range []string{"GET", "GET", "HEAD", "GET"} {
		req, err := http.NewRequestWithContext(ctx, method, server.URL+"/v2/acme/app/manifests/v1", http.NoBody)
		if err != nil {
			log.Fatal(err)
		}
		req.Header.Set("User-Agent", "containerd/v2.1.0")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			log.Fatal(err)
		}
		res.Body.Close()
	}
	server.Close() // first, so that requests finish
	stop()
	if err := <-ended; err != nil { // it has written what was left
		log.Fatal(err)
	}

	ctx = context.Background()
	repo, err := store.Find(ctx, "acme", "app")
	if err != nil {
		log.Fatal(err)
	}
	now := time.Now()
	week := now.AddDate(0, 0, -7)
	for _, kind := range []meter.Kind{meter.Pulls, meter.Heads, meter.ByTag + "v1"} {
		list, err := m.Series(ctx, repo.ID, kind, meter.Day, week, now)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(kind, meter.Sum(list))
	}
	clients, err := m.By(ctx, repo.ID, meter.ByClient, week, now, 10)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(clients)
	// Output:
	// pull 3
	// head 1
	// tag/v1 3
	// [{containerd 3}]
}

// cents is what a month costs at $0.09 for a GB stored all month, and for what is sent nothing for the
// first 500 GB, $0.09 a GB for the next 10 TB, and $0.05 beyond. All of it is in whole bytes and cents
// until the end, where each line is rounded.
func cents(u meter.Usage) (stored, sent int64) {
	const gb = 1e9
	hours := int64(u.Month.AddDate(0, 1, 0).Sub(u.Month).Hours())
	stored = rounded(u.StoredByteHours/hours*9, gb)

	var price int64 // of a byte, in cents for a GB
	left := u.EgressBytes
	for _, tier := range []struct{ bytes, price int64 }{{500 * gb, 0}, {10_000 * gb, 9}, {1<<63 - 1, 5}} {
		n := min(left, tier.bytes)
		price += n * tier.price
		left -= n
	}
	return stored, rounded(price, gb)
}

func rounded(n, unit int64) int64 { return (n + unit/2) / unit }

// Make bills of what accounts used in a month. Those of a registry come from Meter.Usage.
func ExampleUsage_bill() {
	february := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	const hours = 28 * 24
	used := []meter.Usage{
		{Account: "123456789012", Month: february, Pulls: 1_800_000, EgressBytes: 12_500e9, StoredByteHours: 200e9 * hours},
		{Account: "210987654321", Month: february, Pulls: 40, EgressBytes: 499e9, StoredByteHours: 1e9 * hours / 2}, // since the 15th
		{Account: "333333333333", Month: february, Pulls: 90, EgressBytes: 612_345_678_901},
	}
	for _, u := range used {
		stored, sent := cents(u)
		fmt.Printf("%s %s: %.2f GB-months $%d.%02d, %.2f GB sent $%d.%02d\n", u.Account, u.Month.Format("2006-01"),
			u.StoredGBMonths(), stored/100, stored%100, u.EgressGB(), sent/100, sent%100)
	}
	if err := meter.WriteCSV(os.Stdout, used[:1]); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 123456789012 2026-02: 200.00 GB-months $18.00, 12500.00 GB sent $1000.00
	// 210987654321 2026-02: 0.50 GB-months $0.05, 499.00 GB sent $0.00
	// 333333333333 2026-02: 0.00 GB-months $0.00, 612.35 GB sent $10.11
	// account,month,pulls,egress_bytes,stored_byte_hours,egress_gb,stored_gb_months
	// 123456789012,2026-02,1800000,12500000000000,134400000000000,12500.000000,200.000000
}

// Read the log of a cache before the registry, which has answered pulls that the registry has not seen.
func ExampleMeter_Ingest() {
	_, m, store, err := counting()
	if err != nil {
		log.Fatal(err)
	}
	day := time.Now().UTC().AddDate(0, 0, -1).Truncate(24 * time.Hour) // whose log was rotated
	lines := strings.ReplaceAll(`{"time":"2026-02-03T10:00:00+01:00","remote":"192.0.2.1","method":"GET","path":"/v2/acme/app/manifests/v1","status":"200","bytes":"88","cache":"MISS","agent":"docker/28"}
{"time":"2026-02-03T10:00:01+01:00","remote":"192.0.2.2","method":"GET","path":"/v2/acme/app/manifests/v1","status":"200","bytes":"88","cache":"HIT","agent":"docker/28"}
{"time":"2026-02-03T10:00:02+01:00","remote":"192.0.2.3","method":"GET","path":"/v2/acme/app/manifests/v1","status":"200","bytes":"88","cache":"HIT","agent":"crane/0.20"}
{"time":"2026-02-03T10:00:03+01:00","remote":"192.0.2.3","method":"GE
`, "2026-02-03", day.Format(time.DateOnly))
	ctx := context.Background()
	read, err := m.Ingest(ctx, strings.NewReader(lines))
	if err != nil {
		log.Fatal(err)
	}
	if err := m.Flush(ctx); err != nil { // before it is noted how far the log was read; Run does it once a second too
		log.Fatal(err)
	}
	fmt.Printf("%d lines, %d pulls that the registry has not seen, %d that cannot be read\n", read.Lines, read.Counted, read.Bad)
	repo, err := store.Find(ctx, "acme", "app")
	if err != nil {
		log.Fatal(err)
	}
	hours, err := m.Series(ctx, repo.ID, meter.Pulls, meter.Hour, day, day.AddDate(0, 0, 1))
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range hours {
		fmt.Printf("%d pulls in the hour from %s\n", p.N, p.At.Format("15:04 MST"))
	}
	// Output:
	// 4 lines, 2 pulls that the registry has not seen, 1 that cannot be read
	// 2 pulls in the hour from 09:00 UTC
}
