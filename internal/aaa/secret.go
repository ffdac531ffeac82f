package aaa

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"tributary/ppp"
)

// maxPassword is the longest password in octets. RFC 1334 section 2.2.1: "The
// Passwd-Length field is one octet and indicates the length of the Password
// field".
const maxPassword = 255

// secret is what the users file has of a user's password.
type secret interface {
	can(m ppp.AuthMethod) bool
	// verify reports whether r proves knowledge of the password, by a method
	// that the secret can do, and what the peer is told if so. It may take long.
	verify(r ppp.AuthRequest) (message string, ok bool)
}

// password is the password itself, which can do everything.
type password struct{ text string }

func (p *password) can(m ppp.AuthMethod) bool { return m != ppp.AuthNone }

func (p *password) verify(r ppp.AuthRequest) (string, bool) {
	if !r.Verify(p.text) {
		return "", false
	}
	return r.SuccessMessage(p.text, ""), true
}

// hashed is a slow hash of the password. CHAP cannot do with one: both ends need
// the secret itself (RFC 1994 section 2.2).
type hashed interface {
	matches(password string) bool
}

// hashOnly is a user of whose password there is a hash.
type hashOnly struct{ hashed }

func (h *hashOnly) can(m ppp.AuthMethod) bool { return m == ppp.AuthPAP }

func (h *hashOnly) verify(r ppp.AuthRequest) (string, bool) { return "", h.matches(r.Password) }

// parseHash reads a hash as crypt(3) and htpasswd write it. No error repeats it.
func parseHash(s string) (hashed, error) {
	switch {
	case strings.HasPrefix(s, "$2"):
		return parseBcrypt(s)
	case strings.HasPrefix(s, "$argon2id$"):
		return parseArgon2id(s)
	}
	return nil, errors.New(`begins with "$2b$" (bcrypt) or "$argon2id$"; other kinds are not supported`)
}

// maxBcryptCost takes about a second. A peer does not wait much longer.
const maxBcryptCost = 14

type bcryptHash struct{ text []byte }

var bcryptForm = regexp.MustCompile(`^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$`)

func parseBcrypt(s string) (hashed, error) {
	m := bcryptForm.FindStringSubmatch(s)
	if m == nil {
		return nil, errors.New("is no bcrypt hash: $2b$, two digits, $, and 53 letters")
	}
	cost, err := strconv.Atoi(m[1])
	if err != nil || cost < bcrypt.MinCost || cost > maxBcryptCost {
		return nil, fmt.Errorf("has bcrypt cost %s, from %d to %d are allowed", m[1], bcrypt.MinCost, maxBcryptCost)
	}
	return &bcryptHash{[]byte(s)}, nil
}

func (h *bcryptHash) matches(password string) bool {
	return bcrypt.CompareHashAndPassword(h.text, []byte(password)) == nil
}

// argon2idHash is a hash and the parameters of RFC 9106 section 3.1.
type argon2idHash struct {
	memory, passes uint32 // KiB, and times over it
	lanes          uint8
	salt, tag      []byte
}

// The parameters of HashPassword: the least that is recommended today, since a
// thousand users may log in at once when the power is back.
const (
	argonMemory = 19 << 10
	argonPasses = 2
	argonLanes  = 1
	argonSalt   = 16
	argonTag    = 32
)

// Bounds of what a users file may ask for: so much memory per verification, and
// a time of about a second.
const (
	maxArgonMemory = 256 << 10
	maxArgonWork   = 1 << 20 // memory times passes
	maxArgonLanes  = 16
)

var argonForm = regexp.MustCompile(`^\$argon2id\$v=19\$m=([0-9]{1,9}),t=([0-9]{1,9}),p=([0-9]{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$`)

func parseArgon2id(s string) (hashed, error) {
	m := argonForm.FindStringSubmatch(s)
	if m == nil {
		return nil, errors.New("is no argon2id hash of version 19: $argon2id$v=19$m=M,t=T,p=P$SALT$HASH")
	}
	var n [3]uint64 // at most nine digits each
	for i := range n {
		n[i], _ = strconv.ParseUint(m[i+1], 10, 32)
	}
	memory, passes, lanes := n[0], n[1], n[2]
	salt, err := base64.RawStdEncoding.DecodeString(m[4])
	tag, err2 := base64.RawStdEncoding.DecodeString(m[5])
	switch {
	case err != nil || err2 != nil:
		return nil, errors.New("has an argon2id salt or hash that is no base64")
	// RFC 9106 section 3.1: "Memory size m MUST be an integer number of
	// kibibytes from 8*p to 2^(32)-1."
	case passes == 0 || lanes == 0 || lanes > maxArgonLanes || memory < 8*lanes || memory > maxArgonMemory || memory*passes > maxArgonWork:
		return nil, fmt.Errorf("has argon2id parameters out of bounds: m from 8*p to %d, p from 1 to %d, m*t at most %d", maxArgonMemory, maxArgonLanes, maxArgonWork)
	case len(salt) < 8 || len(salt) > 64 || len(tag) < 16 || len(tag) > 64:
		return nil, errors.New("has an argon2id salt that is not of 8 to 64 octets, or a hash that is not of 16 to 64")
	}
	return &argon2idHash{uint32(memory), uint32(passes), uint8(lanes), salt, tag}, nil
}

func (h *argon2idHash) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.of(password, len(h.tag)), h.tag) == 1
}

func (h *argon2idHash) of(password string, length int) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.lanes, uint32(length))
}

// HashPassword makes the hash of a password that a users file has under "hash":
// argon2id with a new salt. A user of whom there is a hash logs in by PAP only.
func HashPassword(password string) (string, error) {
	if password == "" || len(password) > maxPassword {
		return "", fmt.Errorf("a password has 1 to %d octets, not %d", maxPassword, len(password))
	}
	h := argon2idHash{memory: argonMemory, passes: argonPasses, lanes: argonLanes, salt: make([]byte, argonSalt)}
	rand.Read(h.salt) // never fails: crypto/rand ends the program instead
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes, b64(h.salt), b64(h.of(password, argonTag))), nil
}
