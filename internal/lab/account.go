package lab

import (
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
