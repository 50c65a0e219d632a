// SPDX-License-Identifier: MIT

package main

import (
	"io"
	"math/bits"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The twins of ../net_bench.c.
func init() {
	rows = append(rows,
		row{"net_echo_64x64", nil, func() { load("net_echo_64x64", size(64, 4), 64, 0) }},
		row{"net_echo_512x64", nil, func() { load("net_echo_512x64", size(512, 4), 64, 0) }},
		row{"net_echo_64x16k", nil, func() { load("net_echo_64x16k", size(64, 4), 16384, 0) }},
		row{"net_echo_200", nil, func() { load("net_echo_200", size(200, 4), 64, 0) }},
		row{"net_echo_200_idle", nil, func() { load("net_echo_200_idle", size(200, 4), 64, size(15000, 8)) }},
		row{"net_accept_close", nil, acceptClose},
		row{"net_pingpong", netPingpong, nil},
	)
}

const buckets = 64 * 16

type netLoad struct {
	over, measured   atomic.Bool
	requests, served atomic.Int64
	histogram        [buckets]atomic.Int64
	clients, servers sync.WaitGroup
}

func bucket(ns int64) int {
	if ns < 16 {
		return int(ns & (^ns >> 63))
	}
	log := bits.Len64(uint64(ns)) - 1
	return log*16 + int(ns>>(log-4)&15)
}

func bucketUs(b int) float64 {
	log := b / 16
	if log < 4 {
		return float64(b) / 1e3
	}
	return float64(16+b%16) * float64(int64(1)<<(log-4)) / 1e3
}

func (l *netLoad) quantile(q float64) float64 {
	var total, seen int64
	for i := range l.histogram {
		total += l.histogram[i].Load()
	}
	for i := range l.histogram {
		seen += l.histogram[i].Load()
		if seen >= int64(float64(total)*q) {
			return bucketUs(i)
		}
	}
	return 0
}

func cpuNow() float64 {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return float64(r.Utime.Nano() + r.Stime.Nano())
}

func (l *netLoad) serve(c net.Conn) {
	buf := make([]byte, 16384)
	l.served.Add(1)
	for {
		n, err := c.Read(buf)
		if err != nil {
			break
		}
		if _, err = c.Write(buf[:n]); err != nil {
			die("net: short echo")
		}
	}
	c.Close()
	l.servers.Done()
}

// A request that began at t is done.
func (l *netLoad) count(t time.Time) {
	if l.measured.Load() {
		l.histogram[bucket(int64(time.Since(t)))].Add(1)
		l.requests.Add(1)
	}
}

func (l *netLoad) client(c net.Conn, size int) {
	buf := make([]byte, size)
	for !l.over.Load() {
		t := time.Now()
		if _, err := c.Write(buf); err != nil {
			die("net: echo failed")
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			die("net: echo failed")
		}
		l.count(t)
	}
	c.Close()
	l.clients.Done()
}

func mustListen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		die("net: listen")
	}
	return l
}

func mustDial(l net.Listener) net.Conn {
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		die("net: dial (descriptors?)")
	}
	return c
}

// n connections to address that do nothing: this program again, as "idle N ADDRESS".
func beIdle(n int, address string) {
	kept := make([]net.Conn, n)
	for i := range kept {
		var err error
		if kept[i], err = net.Dial("tcp", address); err != nil {
			die("net: dial (descriptors?)")
		}
	}
	os.Stdout.Write([]byte{0})
	os.Stdin.Read(make([]byte, 1))
	for _, c := range kept {
		c.Close()
	}
}

func (l *netLoad) startIdle(name string, listener net.Listener, n int) (end func()) {
	before := residentBytes()
	child := exec.Command(os.Args[0], "idle", strconv.Itoa(n), listener.Addr().String())
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		die("net: pipe")
	}
	out, err := child.StdoutPipe()
	if err != nil || child.Start() != nil {
		die("net: start")
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		die("net: idle connections")
	}
	for l.served.Load() < int64(n) {
		time.Sleep(time.Millisecond)
	}
	report(name+"/connection", "KiB", (residentBytes()-before)/1024/float64(n))
	return func() {
		in.Close()
		child.Wait()
	}
}

func span() time.Duration {
	ms, err := strconv.Atoi(os.Getenv("RUNNEL_BENCH_MS"))
	if err != nil || ms < 100 {
		ms = 100
	}
	return time.Duration(size(ms, 5)) * time.Millisecond
}

func load(name string, busy, size, idle int) {
	l := &netLoad{}
	listener := mustListen()
	l.clients.Add(busy)
	l.servers.Add(busy + idle)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go l.serve(c)
		}
	}()
	endIdle := func() {}
	if idle > 0 {
		endIdle = l.startIdle(name, listener, idle)
	}
	for i := 0; i < busy; i++ {
		go l.client(mustDial(listener), size)
	}
	l.measure(name)
	endIdle()
	l.servers.Wait()
	listener.Close()
}

// From when the clients work to the end of the measured span.
func (l *netLoad) measure(name string) {
	time.Sleep(span())
	cpu, t := cpuNow(), time.Now()
	l.measured.Store(true)
	time.Sleep(span())
	l.measured.Store(false)
	cpu = cpuNow() - cpu
	ns := float64(time.Since(t))
	l.over.Store(true)
	l.clients.Wait()
	n := float64(l.requests.Load() + 1)
	report(name, "ns/op", ns/n)
	report(name+"_cpu", "ns/op", cpu/n)
	report(name+"_p50", "us", l.quantile(0.50))
	report(name+"_p99", "us", l.quantile(0.99))
}

func (l *netLoad) call(listener net.Listener) {
	b := make([]byte, 1)
	for !l.over.Load() {
		t := time.Now()
		c := mustDial(listener)
		if _, err := c.Read(b); err != io.EOF {
			die("net: dial")
		}
		c.Close()
		l.count(t)
	}
	l.clients.Done()
}

func acceptClose() {
	l := &netLoad{}
	listener := mustListen()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	for i := 0; i < size(8, 2); i++ {
		l.clients.Add(1)
		go l.call(listener)
	}
	l.measure("net_accept_close")
	listener.Close()
}

// Go has no socket pair: two descriptors made into connections.
func netPingpong(n int) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		die("net: socketpair")
	}
	var c [2]net.Conn
	for i := range c {
		f := os.NewFile(uintptr(fds[i]), "pair")
		if c[i], err = net.FileConn(f); err != nil {
			die("net: socketpair")
		}
		f.Close()
	}
	go func() {
		b := make([]byte, 1)
		for {
			if _, err := c[1].Read(b); err != nil {
				break
			}
			c[1].Write(b)
		}
		c[1].Close()
	}()
	b := make([]byte, 1)
	reset()
	for i := 0; i < n; i++ {
		c[0].Write(b)
		if _, err := c[0].Read(b); err != nil {
			die("net: ping")
		}
	}
	stop()
	c[0].Close()
}
