//go:build linux

package main

func measureLatency(*options) (string, error) { return "", nil }
