package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/esplanade-registry/esplanade/auth"
)

// account is an account with one access key, which may do everything in the account's
// registry.
type account struct {
	AccountID       string `json:"accountId"` // 12 digits
	Alias           string `json:"alias"`
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
}

// credentials is credentials.json: an account, and perhaps more of them.
type credentials struct {
	account
	Accounts []account `json:"accounts,omitempty"`
}

func (c credentials) all() []account { return append([]account{c.account}, c.Accounts...) }

// keys are the access keys, by their ids.
func (c credentials) keys() auth.StaticKeys {
	s := auth.StaticKeys{}
	for _, a := range c.all() {
		s[a.AccessKeyID] = auth.AccessKey{ID: a.AccessKeyID, Secret: a.SecretAccessKey, Principal: auth.Principal{Account: a.AccountID, Name: auth.Root}}
	}
	return s
}

// awsProfiles is the credentials in the format of the AWS command line: the first account's
// as the default profile, the others' by their aliases.
func (c credentials) awsProfiles() string {
	var s strings.Builder
	for i, a := range c.all() {
		profile := a.Alias
		if i == 0 {
			profile = "default"
		}
		fmt.Fprintf(&s, "[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n\n", profile, a.AccessKeyID, a.SecretAccessKey)
	}
	return s.String()
}

// loadCredentials reads the file, or makes it with random values and reports that.
func loadCredentials(path string, logger *slog.Logger) (c credentials, made bool, err error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		c.account = account{
			AccountID: random(12, "123456789"), Alias: alias(), AccessKeyID: "AKIA" + random(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
			SecretAccessKey: random(40, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
		}
		return c, true, writeCredentials(path, c)
	}
	if err != nil {
		return c, false, err
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		logger.Warn("others on this machine may read the credentials; chmod 600 it", "file", path, "mode", info.Mode().Perm())
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return c, false, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return c, false, fmt.Errorf("%s: something follows the JSON object", path)
	}
	return c, false, c.check(path)
}

func (c credentials) check(path string) error {
	seen := map[string]bool{}
	for _, a := range c.all() {
		if a.AccountID == "" || a.Alias == "" || a.AccessKeyID == "" || len(a.SecretAccessKey) < 16 || strings.Contains(a.AccessKeyID, ":") {
			return fmt.Errorf("%s: each account needs accountId, alias, accessKeyId (without a colon) and a secretAccessKey of 16 characters or more", path)
		}
		for _, unique := range []string{"key " + a.AccessKeyID, "alias " + a.Alias} {
			if seen[unique] {
				return fmt.Errorf("%s: %s is there twice", path, unique)
			}
			seen[unique] = true
		}
	}
	return nil
}

// writeCredentials writes credentials.json.
func writeCredentials(path string, c credentials) error {
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return writeSecret(path, append(raw, '\n'))
}

// writeSecret writes a file whole or not at all, for the owner's eyes.
func writeSecret(path string, raw []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "credentials") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// alias draws one of the form that services give by default, such as k3v9f2x1.
func alias() string {
	var s strings.Builder
	for range 4 {
		s.WriteString(random(1, "abcdefghijklmnopqrstuvwxyz") + random(1, "0123456789"))
	}
	return s.String()
}

func random(n int, letters string) string {
	s := make([]byte, n)
	for i := range s {
		k, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		if err != nil {
			panic(err) // never happens: crypto/rand ends the program instead
		}
		s[i] = letters[k.Int64()]
	}
	return string(s)
}
