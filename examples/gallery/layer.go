package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"math/rand/v2"
	"time"
)

// file is a file in an archive.
type file struct {
	name string
	data []byte
}

// archive returns a tar of files and the same as gzip. It is not made smaller: what is in it
// looks random anyway.
func archive(files ...file) (plain, zipped []byte, err error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		header := tar.Header{Name: f.name, Mode: 0o755, Size: int64(len(f.data)), ModTime: time.Unix(1700000000, 0)}
		if err := w.WriteHeader(&header); err != nil {
			return nil, nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, nil, err
	}
	var z bytes.Buffer
	compressor, err := gzip.NewWriterLevel(&z, gzip.NoCompression)
	if err != nil {
		return nil, nil, err
	}
	if _, err := compressor.Write(out.Bytes()); err != nil {
		return nil, nil, err
	}
	if err := compressor.Close(); err != nil {
		return nil, nil, err
	}
	return out.Bytes(), z.Bytes(), nil
}

// noise returns bytes that look random and are always the same for a name, and not quite as many
// as a number of kilobytes.
func noise(name string, kilobytes int) []byte {
	raw := make([]byte, int(float64(kilobytes)*(420+160*drawn("size", name))))
	source := rand.NewChaCha8(sha256.Sum256([]byte(name)))
	source.Read(raw) //nolint:errcheck // it cannot fail
	return raw
}
