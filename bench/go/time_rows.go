// SPDX-License-Identifier: MIT

package main

// The twins of ../time_bench.c: Go's own benchmarks of packages time and context, in the frame of
// this program, so that both sides are timed alike.

import (
	"context"
	"runtime"
	"sync"
	"time"
)

func init() {
	rows = append(rows,
		row{"AfterFunc1000", amidGarbage(timeAfterFunc), nil},
		row{"After", amidGarbage(timeAfter), nil},
		row{"StopChan", amidGarbage(timeStopChan), nil},
		row{"StopFunc", amidGarbage(timeStopFunc), nil},
		row{"SimultaneousAfterFunc1000", amidGarbage(timeSimultaneous), nil},
		row{"StartStop1000", amidGarbage(timeStartStop), nil},
		row{"ResetChan", amidGarbage(timeResetChan), nil},
		row{"ResetFunc", amidGarbage(timeResetFunc), nil},
		row{"Sleep1000", amidGarbage(timeSleep), nil},
		row{"Ticker", amidGarbage(timeTicker), nil},
		row{"TickerReset", amidGarbage(timeTickerReset), nil},
		row{"ContextCancel", contextCancel, nil},
		row{"ContextCancelDone", contextCancelDone, nil},
		row{"ContextTimeout", contextTimeout, nil},
		row{"ContextCommonParentCancel", contextCommonParent, nil},
		row{"ContextCancelTree1000", contextCancelTree, nil},
		row{"ContextErrOK", contextErrOK, nil},
		row{"ContextDeepValue10", contextDeepValue, nil},
	)
}

func nothing() {}

func inParallel(body func(int), n int) {
	var wg sync.WaitGroup
	procs := runtime.GOMAXPROCS(0)
	wg.Add(procs)
	for p := 0; p < procs; p++ {
		share := n / procs
		if p < n%procs {
			share++
		}
		go func(n int) {
			body(n)
			wg.Done()
		}(share)
	}
	wg.Wait()
}

func amidGarbage(body func(int)) func(int) {
	return func(n int) {
		var wg sync.WaitGroup
		all := make([][]*time.Timer, runtime.GOMAXPROCS(0))
		wg.Add(len(all))
		for p := range all {
			go func(p int) {
				all[p] = make([]*time.Timer, size(1<<15, 16))
				for i := range all[p] {
					all[p][i] = time.AfterFunc(time.Hour, nothing)
				}
				wg.Done()
			}(p)
		}
		wg.Wait()
		reset()
		inParallel(body, n)
		stop()
		for _, timers := range all {
			for _, t := range timers {
				t.Stop()
			}
		}
	}
}

func timeAfterFunc(n int) {
	for ; n > 0; n-- {
		left := 1000
		end := make(chan bool)
		var next func()
		next = func() {
			left--
			if left < 0 {
				end <- true
			} else {
				time.AfterFunc(0, next)
			}
		}
		time.AfterFunc(0, next)
		<-end
	}
}

func timeAfter(n int) {
	for ; n > 0; n-- {
		<-time.After(1)
	}
}

func timeStopChan(n int) {
	for ; n > 0; n-- {
		time.NewTimer(time.Second).Stop()
	}
}

func timeStopFunc(n int) {
	for ; n > 0; n-- {
		time.AfterFunc(time.Second, nothing).Stop()
	}
}

func timeSimultaneous(n int) {
	for ; n > 0; n-- {
		var wg sync.WaitGroup
		wg.Add(1000)
		for i := 0; i < 1000; i++ {
			time.AfterFunc(0, wg.Done)
		}
		wg.Wait()
	}
}

func timeStartStop(n int) {
	timers := make([]*time.Timer, 1000)
	for ; n > 0; n-- {
		for i := range timers {
			timers[i] = time.AfterFunc(time.Hour, nothing)
		}
		for i := range timers {
			timers[i].Stop()
		}
	}
}

func timeResetChan(n int) {
	t := time.NewTimer(time.Hour)
	for ; n > 0; n-- {
		t.Reset(time.Hour)
	}
	t.Stop()
}

func timeResetFunc(n int) {
	t := time.AfterFunc(time.Hour, nothing)
	for ; n > 0; n-- {
		t.Reset(time.Hour)
	}
	t.Stop()
}

func timeSleep(n int) {
	for ; n > 0; n-- {
		var wg sync.WaitGroup
		wg.Add(1000)
		for i := 0; i < 1000; i++ {
			go func() {
				time.Sleep(1)
				wg.Done()
			}()
		}
		wg.Wait()
	}
}

func timeTicker(n int) {
	t := time.NewTicker(1)
	for ; n > 0; n-- {
		<-t.C
	}
	t.Stop()
}

func timeTickerReset(n int) {
	t := time.NewTicker(1)
	for ; n > 0; n-- {
		t.Reset(2)
	}
	t.Stop()
}

func contextCancel(n int) {
	for ; n > 0; n-- {
		_, cancel := context.WithCancel(context.Background())
		cancel()
	}
}

func contextCancelDone(n int) {
	for ; n > 0; n-- {
		ctx, cancel := context.WithCancel(context.Background())
		done := ctx.Done()
		cancel()
		<-done
	}
}

func contextTimeout(n int) {
	for ; n > 0; n-- {
		_, cancel := context.WithTimeout(context.Background(), time.Hour)
		cancel()
	}
}

func contextCommonParent(n int) {
	common, cancelCommon := context.WithCancel(context.Background())
	inParallel(func(n int) {
		for ; n > 0; n-- {
			_, cancel := context.WithCancel(common)
			cancel()
		}
	}, n)
	cancelCommon()
}

func contextCancelTree(n int) {
	for ; n > 0; n-- {
		top, cancel := context.WithCancel(context.Background())
		ctx := top
		for i := 0; i < 1000; i++ {
			ctx, _ = context.WithCancel(ctx)
		}
		cancel()
	}
}

func contextErrOK(n int) {
	ctx, cancel := context.WithCancel(context.Background())
	for ; n > 0; n-- {
		if ctx.Err() != nil {
			die("cancelled")
		}
	}
	cancel()
}

func contextDeepValue(n int) {
	type key int
	ctx := context.Background()
	for i := 0; i < 10; i++ {
		ctx = context.WithValue(ctx, key(i), key(i))
	}
	for ; n > 0; n-- {
		if ctx.Value(key(0)) != key(0) {
			die("no value")
		}
	}
}
