// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

var rows = []row{
	{"yield", yield, nil},
	{"spawn_one", spawnOne, nil},
	{"spawn_batch_1000", spawnBatch, nil},
	{"pingpong", pingpong, nil},
	{"stream", func(n int) { stream(n, 0) }, nil},
	{"stream_128", func(n int) { stream(n, 128) }, nil},
	{"stream_128_4x4", stream4x4, nil},
	{"uncontended_1", func(n int) { uncontended(n, 1) }, nil},
	{"uncontended_100", func(n int) { uncontended(n, 100) }, nil},
	{"select_2", func(n int) { selectTwo(n, 0) }, nil},
	{"select_2_128", func(n int) { selectTwo(n, 128) }, nil},
	{"try_fail", tryFail, nil},
	{"select_fail_2", selectFail2, nil},
	{"select_fail_4", selectFail4, nil},
	{"sieve_2000", nil, func() { whole("sieve_2000", sieve, size(17389, 29)) }},
	{"skynet", nil, func() { whole("skynet", skynet, size(1000000, 100)) }},
	{"park_100k", nil, func() { park("park_100k", size(100000, 100), false) }},
	{"park_1m", nil, func() { park("park_1m", size(1000000, 200), false) }},
	{"park_1m_select", nil, func() { park("park_1m_select", size(1000000, 200), true) }},
	{"ring_10000", ring, nil},
	{"fanin_100", fanIn, nil},
	{"fanout_100", fanOut, nil},
}

func sendN(c chan<- int64, n int) {
	for i := 0; i < n; i++ {
		c <- int64(i)
	}
}

func recvN(c <-chan int64, n int) {
	for i := 0; i < n; i++ {
		<-c
	}
}

func yield(n int) {
	var wg sync.WaitGroup
	perOp = 100
	wg.Add(100)
	for i := 0; i < 100; i++ {
		go func() {
			for i := 0; i < n; i++ {
				runtime.Gosched()
			}
			wg.Done()
		}()
	}
	wg.Wait()
}

func sendOne(done chan<- int64) { done <- 1 }

func spawnOne(n int) {
	done := make(chan int64)
	for i := 0; i < n; i++ {
		go sendOne(done)
		<-done
	}
}

func spawnBatch(n int) {
	perOp = 1000
	for i := 0; i < n; i++ {
		var wg sync.WaitGroup
		wg.Add(1000)
		for j := 0; j < 1000; j++ {
			go wg.Done()
		}
		wg.Wait()
	}
}

func pingpong(n int) {
	ping, pong := make(chan int64), make(chan int64)
	go func() {
		for v := range ping {
			pong <- v
		}
		close(pong)
	}()
	for i := 0; i < n; i++ {
		ping <- int64(i)
		<-pong
	}
	close(ping)
	<-pong
}

func stream(n, capacity int) {
	c := make(chan int64, capacity)
	go func() {
		sendN(c, n)
		close(c)
	}()
	got := 0
	for range c {
		got++
	}
	if got != n {
		die("stream: items lost")
	}
}

func stream4x4(n int) {
	var wg sync.WaitGroup
	c := make(chan int64, 128)
	perOp = 4
	wg.Add(8)
	for i := 0; i < 4; i++ {
		go func() {
			sendN(c, n)
			wg.Done()
		}()
		go func() {
			recvN(c, n)
			wg.Done()
		}()
	}
	wg.Wait()
}

func uncontended(n, capacity int) {
	c := make(chan int64, capacity)
	perOp = capacity
	for i := 0; i < n; i++ {
		sendN(c, capacity)
		recvN(c, capacity)
	}
}

func selectTwo(n, capacity int) {
	a, b := make(chan int64, capacity), make(chan int64, capacity)
	perOp = 2
	go sendN(a, n)
	go sendN(b, n)
	for i := 0; i < 2*n; i++ {
		select {
		case <-a:
		case <-b:
		}
	}
}

func tryFail(n int) {
	c := make(chan int64)
	for i := 0; i < n; i++ {
		select {
		case <-c:
			die("try_fail: received")
		default:
		}
	}
}

func selectFail2(n int) {
	a, b := make(chan int64), make(chan int64)
	for i := 0; i < n; i++ {
		select {
		case <-a:
			die("received")
		case <-b:
			die("received")
		default:
		}
	}
}

func selectFail4(n int) {
	a, b, c, d := make(chan int64), make(chan int64), make(chan int64), make(chan int64)
	for i := 0; i < n; i++ {
		select {
		case <-a:
			die("received")
		case <-b:
			die("received")
		case <-c:
			die("received")
		case <-d:
			die("received")
		default:
		}
	}
}

func sieveFilter(in <-chan int64, out chan<- int64, prime int64) {
	for v := range in {
		if uint32(v)%uint32(prime) != 0 {
			out <- v
		}
	}
	close(out)
}

func sieve(end int) {
	first := make(chan int64)
	go func() {
		for i := int64(2); i <= int64(end); i++ {
			first <- i
		}
		close(first)
	}()
	c, last := first, int64(0)
	for {
		prime, ok := <-c
		if !ok {
			break
		}
		next := make(chan int64)
		go sieveFilter(c, next, prime)
		c, last = next, prime
	}
	if last != int64(end) {
		die("sieve: wrong prime")
	}
}

func skynetNode(out chan<- int64, number, size int64) {
	if size == 1 {
		out <- number
		return
	}
	in := make(chan int64)
	for i := int64(0); i < 10; i++ {
		go skynetNode(in, number+i*(size/10), size/10)
	}
	sum := int64(0)
	for i := 0; i < 10; i++ {
		sum += <-in
	}
	out <- sum
}

func skynet(size int) {
	out := make(chan int64)
	go skynetNode(out, 0, int64(size))
	if <-out != int64(size)*(int64(size)-1)/2 {
		die("skynet: wrong sum")
	}
}

func residentBytes() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		die(err.Error())
	}
	kib := 0.0
	for _, line := range strings.Split(string(status), "\n") {
		var v float64
		if _, err := fmt.Sscanf(line, "VmRSS: %g", &v); err == nil {
			kib += v
		} else if _, err := fmt.Sscanf(line, "VmPTE: %g", &v); err == nil {
			kib += v
		}
	}
	return kib * 1024
}

func park(row string, n int, inSelect bool) {
	var wg sync.WaitGroup
	var parked atomic.Int64
	c, never := make(chan int64), make(chan int64)
	before := residentBytes()
	reset()
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			parked.Add(1)
			if inSelect {
				select {
				case <-c:
				case <-never:
				}
			} else {
				<-c
			}
			wg.Done()
		}()
	}
	for parked.Load() < int64(n) {
		runtime.Gosched()
	}
	stop()
	report(row+"/park", "ns/op", float64(spent)/float64(n))
	for i := 0; i < 100; i++ {
		runtime.Gosched()
	}
	report(row+"/bytes", "bytes/op", (residentBytes()-before)/float64(n))
	reset()
	close(c)
	wg.Wait()
	stop()
	report(row+"/wake", "ns/op", float64(spent)/float64(n))
}

func ringNode(in <-chan int64, out chan<- int64, rounds int) {
	for i := 0; i < rounds; i++ {
		out <- <-in
	}
}

func ring(n int) {
	size := size(10000, 10)
	perOp = size
	first := make(chan int64)
	in := first
	for i := 0; i < size-1; i++ {
		next := make(chan int64)
		go ringNode(in, next, n)
		in = next
	}
	reset()
	for i := 0; i < n; i++ {
		first <- int64(i)
		if <-in != int64(i) {
			die("ring: wrong token")
		}
	}
	stop()
}

func fanIn(n int) {
	c := make(chan int64)
	perOp = 100
	for i := 0; i < 100; i++ {
		go sendN(c, n)
	}
	recvN(c, 100*n)
}

func fanOut(n int) {
	var wg sync.WaitGroup
	c := make(chan int64)
	perOp = 100
	wg.Add(100)
	for i := 0; i < 100; i++ {
		go func() {
			recvN(c, n)
			wg.Done()
		}()
	}
	sendN(c, 100*n)
	wg.Wait()
}
