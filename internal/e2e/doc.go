// Package e2e tries the quickstart server with the clients that people use: docker,
// containerd's ctr, podman, buildah, skopeo, crane, regctl, helm and the oras-go library.
//
// It has nothing but tests. The table of client and action, with the result that each must
// have, stands in table_test.go. Everything runs on the loopback interface, with content
// made on the spot; nothing is downloaded. A client that is not installed skips its part,
// unless the environment variable CI is set: then it fails.
//
// The whole takes some three minutes on two processors and 7 GiB of disk for the time being;
// with -short, which leaves out the layers of 1 GiB, half a minute. Daemons are started for
// the test, away from those of the machine, and stopped. What remains is small files of
// dockerd's and of podman's libraries in places that they do not let anyone choose, such as
// /etc/docker/key.json and /var/lib/containers/cache.
package e2e
