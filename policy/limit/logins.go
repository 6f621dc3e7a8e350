package limit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

// What [NewLogins] takes where options are zero.
const (
	DefaultRepeat    = time.Minute
	DefaultLoginKeys = 1 << 16
)

// maxHomes is how many addresses are known for an access key.
const maxHomes = 32

// DefaultAddressFailures lets one address fail 10 times, and then 10 times a minute. It is
// enough for mistakes and hopeless for guessing.
func DefaultAddressFailures() Rule { return Rule{Rate: 1.0 / 6, Burst: 10} }

// DefaultKeyFailures lets an access key fail 100 times from wherever, and then once a second.
func DefaultKeyFailures() Rule { return Rule{Rate: 1, Burst: 100} }

// LoginOptions is the options of [NewLogins].
type LoginOptions struct {
	Address Rule          // failures of an address, zero: DefaultAddressFailures
	Key     Rule          // failures with an access key id, zero: DefaultKeyFailures
	Repeat  time.Duration // within it the same credential fails once only, zero: DefaultRepeat
	Keys    int           // to remember of each kind, zero: DefaultLoginKeys
}

// Logins slows down those who guess credentials, on this node: an address that fails often,
// whatever it tries, with its networks as in [AddressLevels], and an access key that others
// fail with from many addresses.
//
// An address that has logged in with a key is judged, with that key, by its own failures with
// it alone. So nobody locks a publisher out, neither by trying its key from elsewhere nor by
// sharing its address. From an address that is new, a publisher waits while its key is under
// attack.
//
// A client sends a wrong credential more than once for one attempt (helm login does twice),
// and a job with an old one sends it forever. That guesses nothing, and counts once in
// [LoginOptions].Repeat. To tell, a hash of the secret is kept, with a salt of this process.
//
// Tries at the same time are all let through if one would be; they count as they fail.
type Logins struct {
	address, key Rule
	repeat       time.Duration
	buckets      *Local
	tried        *shards[time.Time] // when a credential last counted, by its hash
	homes        *shards[[]uint64]  // hashes of addresses, last used first, by access key id
	salt         [32]byte
}

// NewLogins returns a Logins to which nothing has happened yet. opts may be nil.
func NewLogins(opts *LoginOptions) *Logins {
	var o LoginOptions
	if opts != nil {
		o = *opts
	}
	if o.Address == (Rule{}) {
		o.Address = DefaultAddressFailures()
	}
	if o.Key == (Rule{}) {
		o.Key = DefaultKeyFailures()
	}
	if o.Repeat <= 0 {
		o.Repeat = DefaultRepeat
	}
	if o.Keys <= 0 {
		o.Keys = DefaultLoginKeys
	}
	l := &Logins{
		address: o.Address, key: o.Key, repeat: o.Repeat, buckets: NewLocal(o.Keys),
		tried: newShards[time.Time](o.Keys), homes: newShards[[]uint64](o.Keys),
	}
	rand.Read(l.salt[:]) // never fails
	return l
}

// Check says, before a credential is verified, whether it may be, and if not, how long to
// wait. keyID is what the client calls itself, whether there is such a key or not. What has
// counted within [LoginOptions].Repeat need not wait: it is the same attempt, and is refused
// for what it is.
func (l *Logins) Check(addr netip.Addr, keyID, secret string) (retry time.Duration, ok bool) {
	var array [3]Level
	for _, level := range l.levels(array[:0], addr, keyID) {
		// Would a failure still pass? The longest wait counts.
		if q := l.buckets.look(level.Key, level.Rule); !q.OK {
			retry = max(retry, q.Retry)
		}
	}
	return retry, retry == 0 || l.counted(addr, keyID, secret)
}

// counted reports whether a credential was wrong not long ago.
func (l *Logins) counted(addr netip.Addr, keyID, secret string) bool {
	key := l.credential(addr, keyID, secret)
	s := l.tried.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	last, known := s.lru.Get(key)
	return known && time.Since(*last) < l.repeat
}

func (l *Logins) credential(addr netip.Addr, keyID, secret string) string {
	return l.hash("credential", AddressKey("", addr, SiteBits), keyID, secret)
}

// Failed counts a credential that was verified and is wrong.
func (l *Logins) Failed(addr netip.Addr, keyID, secret string) {
	if !l.counts(addr, keyID, secret) {
		return
	}
	var array [3]Level
	for _, level := range l.levels(array[:0], addr, keyID) {
		l.buckets.take(level.Key, level.Rule, 1)
	}
}

// Succeeded remembers that addr has the credential of keyID.
func (l *Logins) Succeeded(addr netip.Addr, keyID string) {
	home := l.home(addr)
	key := l.hash("key", keyID)
	s := l.homes.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	list, known := s.lru.Get(key)
	if !known {
		s.lru.Add(key, &[]uint64{home})
		return
	}
	if i := slices.Index(*list, home); i >= 0 {
		*list = slices.Delete(*list, i, i+1)
	}
	*list = slices.Insert(*list, 0, home)
	*list = (*list)[:min(len(*list), maxHomes)]
}

// levels appends the buckets that failures of addr with keyID count in.
func (l *Logins) levels(levels []Level, addr netip.Addr, keyID string) []Level {
	// Hashed, as what clients send may be of any length.
	key := l.hash("key", keyID)
	if l.knows(addr, key) {
		return append(levels, Level{AddressKey("home "+key+" ", addr, SiteBits), l.address})
	}
	return append(AddressLevels(levels, "address ", addr, l.address), Level{"key " + key, l.key})
}

func (l *Logins) knows(addr netip.Addr, key string) bool {
	s := l.homes.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	list, known := s.lru.Get(key)
	return known && slices.Contains(*list, l.home(addr))
}

func (l *Logins) home(addr netip.Addr) uint64 {
	return binary.LittleEndian.Uint64([]byte(l.hash("home", AddressKey("", addr, SiteBits))))
}

// counts reports whether a wrong credential is another than before.
func (l *Logins) counts(addr netip.Addr, keyID, secret string) bool {
	key := l.credential(addr, keyID, secret)
	now := time.Now()
	s := l.tried.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	last, known := s.lru.Get(key)
	switch {
	case !known:
		s.lru.Add(key, &now)
	case now.Sub(*last) < l.repeat:
		return false
	default:
		*last = now
	}
	return true
}

// hash is 16 bytes that tell nothing about the texts, and no others have.
func (l *Logins) hash(texts ...string) string {
	var array [256]byte
	b := append(array[:0], l.salt[:]...)
	for _, text := range texts {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(text)))
		b = append(b, text...)
	}
	sum := sha256.Sum256(b)
	return string(sum[:16])
}
