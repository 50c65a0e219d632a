// SPDX-License-Identifier: MIT

// The deadlocks of shapes.c, in Go.
package main

import (
	"os"
	"runtime"
	"sync"
)

var a, b = make(chan int), make(chan int)
var wg sync.WaitGroup
var mu sync.Mutex
var rw sync.RWMutex
var cond = sync.NewCond(&mu)

func swap() { b <- <-a }

func wait_receive(c chan int) { <-c }

var shapes = map[string]func(){
	"two_on_each_other": func() { go swap(); v := <-b; a <- v },
	"self_send":         func() { a <- 1 },
	"full_buffer": func() {
		c := make(chan int, 2)
		for i := 0; i < 3; i++ {
			c <- i
		}
	},
	"self_receive": func() { <-a },
	"never_closed": func() {
		for range a {
		}
	},
	"nil_send":       func() { var none chan int; none <- 1 },
	"nil_receive":    func() { var none chan int; <-none },
	"select_nothing": func() { select {} },
	"select_two": func() {
		select {
		case <-a:
		case b <- 1:
		}
	},
	"ten_receivers": func() {
		for i := 0; i < 10; i++ {
			go wait_receive(a)
		}
		<-b
	},
	"wait_group":             func() { wg.Add(1); wg.Wait() },
	"mutex_twice":            func() { mu.Lock(); mu.Lock() },
	"write_after_read":       func() { rw.RLock(); rw.Lock() },
	"read_after_write":       func() { rw.Lock(); rw.RLock() },
	"cond_wait":              func() { mu.Lock(); cond.Wait() },
	"main_exits":             func() { runtime.Goexit() },
	"main_exits_others_wait": func() { go wait_receive(a); runtime.Goexit() },
}

func main() { shapes[os.Args[1]]() }
