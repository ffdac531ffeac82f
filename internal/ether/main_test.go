package ether

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// RaceEnabled is raceEnabled for the tests outside the package.
const RaceEnabled = raceEnabled
