package redislimit_test

import (
	"log/slog"

	"github.com/redis/go-redis/v9"

	"github.com/esplanade-registry/esplanade/policy/limit"
	"github.com/esplanade-registry/esplanade/policy/limit/redislimit"
)

// Nodes that use one Redis share their limits, and the months' sums.
func ExampleNew() {
	client := redis.NewClient(&redis.Options{Addr: "redis.internal:6379"})
	defer client.Close()
	shared := redislimit.New(client, &redislimit.Options{Logger: slog.Default()})

	var _ limit.Limiter = shared
	var _ limit.Meter = shared
}
