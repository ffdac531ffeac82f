// Report reads what go test -json wrote, in the named files, and says in one
// line how many tests passed, failed and were skipped, after the names and the
// output of those that did not pass. With CI=true a skipped test is a failure:
// a prerequisite that is missing there is a fault of the scripts.
//
//	go test -json ./... >out.json; go run ./test/report [-failed STEP]... out.json
//
// Each -failed names a step that is not a Go test and has failed: it counts.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	var r results
	flag.Func("failed", "a `STEP` that has failed", func(step string) error {
		r.get("step "+step, isTest).action = "fail"
		return nil
	})
	flag.Parse()
	for _, name := range flag.Args() {
		f, err := os.Open(name)
		if err == nil {
			err = r.read(f)
			f.Close()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "report:", err)
			os.Exit(1)
		}
	}
	if !r.write(os.Stdout, os.Getenv("CI") == "true") {
		os.Exit(1)
	}
}
