package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// Account is the name and the secret of the lab's user number i: u0 and p0, u1
// and p1, and so on.
func Account(i int) (user, secret string) {
	n := strconv.Itoa(i)
	return "u" + n, "p" + n
}

// Secret knows every Account; it is what ACConfig.Secret is if none is given.
func Secret(user string) (secret string, ok bool) {
	digits, ok := strings.CutPrefix(user, "u")
	n, err := strconv.ParseUint(digits, 10, 31)
	if !ok || err != nil || strconv.FormatUint(n, 10) != digits {
		return "", false
	}
	return "p" + digits, true
}

// User is one who may come in.
type User struct {
	Secret  string
	Address netip.Addr // his own; the zero Addr: one of the pool
}

// Users is who may come in, by name.
type Users map[string]User

// Secret is what ACConfig.Secret wants.
func (u Users) Secret(name string) (string, bool) {
	user, ok := u[name]
	return user.Secret, ok
}

// Address is what ACConfig.Address wants.
func (u Users) Address(name string) netip.Addr { return u[name].Address }

// ParseUsers reads users from text in the form of pppd's chap-secrets: on each
// line a name, a server, a secret and, if the user has an address of his own,
// that. The server is for pppd; here any will do. Words with blanks in them are
// put in double quotes, # begins a comment, and - or * for an address is none.
func ParseUsers(r io.Reader) (Users, error) {
	users := make(Users)
	scan := bufio.NewScanner(r)
	for n := 1; scan.Scan(); n++ {
		name, user, err := parseUser(scan.Text())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if name == "" {
			continue
		}
		if _, twice := users[name]; twice {
			return nil, fmt.Errorf("line %d: user %q is there twice", n, name)
		}
		users[name] = user
	}
	if err := scan.Err(); err != nil {
		return nil, err
	}
	return users, nil
}

// parseUser reads one line; name is empty if there is nobody on it.
func parseUser(line string) (name string, user User, err error) {
	var words []string
	for {
		word, rest, ok, err := nextWord(line)
		if err != nil {
			return "", user, err
		}
		if !ok {
			break
		}
		words, line = append(words, word), rest
	}
	switch {
	case len(words) == 0:
		return "", user, nil
	case len(words) < 3:
		return "", user, errors.New("want a name, a server (or *), and a secret")
	case len(words) > 4:
		return "", user, errors.New("want one address at most behind the secret")
	case words[0] == "":
		return "", user, errors.New("the name is empty")
	}
	user.Secret = words[2]
	if len(words) == 4 && words[3] != "*" && words[3] != "-" {
		if user.Address, err = netip.ParseAddr(words[3]); err != nil || !user.Address.Is4() {
			return "", user, fmt.Errorf("%q is no IPv4 address", words[3])
		}
	}
	return words[0], user, nil
}

// nextWord takes the first word off line; ok is false at its end.
func nextWord(line string) (word, rest string, ok bool, err error) {
	line = strings.TrimLeft(line, " \t\r")
	if line == "" || line[0] == '#' {
		return "", "", false, nil
	}
	if line[0] != '"' {
		end := strings.IndexAny(line, " \t\r")
		if end < 0 {
			end = len(line)
		}
		return line[:end], line[end:], true, nil
	}
	var b strings.Builder
	for i := 1; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			return b.String(), line[i+1:], true, nil
		case c == '\\' && i+1 < len(line):
			i++
			b.WriteByte(line[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false, errors.New("a quotation mark is not closed")
}
