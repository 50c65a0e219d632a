// SPDX-License-Identifier: MIT

// The Go side of bench/: the same rows as ../core_bench.c, with the same clock and counts. See ../bench.h.
package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"syscall"
	"time"
)

type row struct {
	name   string
	scaled func(n int) // one of the two
	once   func()
}

var (
	started time.Duration
	running bool
	spent   time.Duration
	perOp   int // operations that one n stands for
)

var epoch = time.Now()

// What the clock shows: time, or the processor time of all threads.
func read() time.Duration {
	if os.Getenv("RUNNEL_BENCH_CLOCK") != "cpu" {
		return time.Since(epoch)
	}
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		die(err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reset() {
	spent = 0
	started = read()
	running = true
}

func stop() {
	if running {
		spent += read() - started
	}
	running = false
}

func isQuick() bool {
	s := os.Getenv("RUNNEL_BENCH_QUICK")
	return s != "" && s[0] != '0'
}

func size(full, tiny int) int {
	if isQuick() {
		return tiny
	}
	return full
}

func report(row, unit string, value float64) {
	fmt.Printf("{\"row\": %q, \"unit\": %q, \"value\": %.6g}\n", row, unit, value)
}

func die(what string) {
	fmt.Fprintln(os.Stderr, "bench:", what)
	os.Exit(1)
}

func runN(body func(int), n int) float64 {
	perOp = 1
	reset()
	body(n)
	stop()
	if spent < 1 {
		spent = 1
	}
	return float64(spent)
}

func nextN(goal, n, ns float64) int {
	want := math.Min(goal*n/ns*1.2, 100*n)
	return int(math.Min(math.Max(want, n+1), 1e9))
}

func scaled(row string, body func(int)) {
	goal := 100.0
	if s, err := strconv.ParseFloat(os.Getenv("RUNNEL_BENCH_MS"), 64); err == nil {
		goal = s
	}
	goal *= 1e6
	n := size(1, 2)
	ns := runN(body, n)
	for ns < goal && n < 1e9 && !isQuick() {
		n = nextN(goal, float64(n), ns)
		ns = runN(body, n)
	}
	report(row, "ns/op", ns/float64(n)/float64(perOp))
}

func whole(row string, body func(int), size int) {
	if !isQuick() {
		runN(body, size)
	}
	report(row, "ms", runN(body, size)/1e6)
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "list" {
		for _, r := range rows {
			fmt.Println(r.name)
		}
		return
	}
	if len(os.Args) == 4 {
		switch os.Args[1] {
		case "idle":
			n, _ := strconv.Atoi(os.Args[2])
			beIdle(n, os.Args[3])
			return
		case "serve-http":
			serveHTTP(os.Args[2], os.Args[3])
		case "serve-relay":
			serveRelay(os.Args[2], os.Args[3])
		}
	}
next:
	for _, name := range os.Args[1:] {
		for _, r := range rows {
			if r.name != name {
				continue
			}
			if r.once != nil {
				r.once()
			} else {
				scaled(name, r.scaled)
			}
			continue next
		}
		die("no row named " + name)
	}
}
