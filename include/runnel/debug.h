/* SPDX-License-Identifier: MIT */
/*
 * debug.h: looking into a program that runs, or hangs.
 *
 * Without a call: SIGQUIT (Ctrl-\) prints all goroutines and ends the program, unless it has a handler of its own for that
 * signal; a deadlock, a panic and a fatal error print theirs. The environment variable
 * RUNNEL_DEBUG=KEY=NUMBER,... asks for more; see rn_dump(3).
 */
#ifndef RUNNEL_DEBUG_H
#define RUNNEL_DEBUG_H

#include <runnel/base.h>

RN__BEGIN

/*
 * Write all goroutines to descriptor fd, in the format of Go's traces: what each does or waits for and for how long, its
 * stack, and where it was started. The program goes on: goroutines, and plain threads in their next call, stand still while their
 * stacks are read (some microseconds each), not while the text is written. A goroutine that is running
 * on another thread has no stack to show. Any goroutine or thread; blocks the thread, not in a signal
 * handler. One dump at a time: a second caller waits. 0, or -ENOMEM.
 */
RN_API int rn_dump(int fd);

/*
 * Find goroutines that can never run again: blocked on a channel, mutex, wait group, ... that nothing can reach
 * that could still run. They are written to fd like a dump (-1: only counted). Returns how many; -ENOMEM; -ENOTSUP under a
 * sanitizer, which hides memory, or where the kernel does not list the memory of the process.
 * Conservative: what is reported is stuck, unless pointers are hidden; some may be missed: see rn_dump(3).
 * Any goroutine or thread; blocks the thread, for about a second per gigabyte of memory in use.
 */
RN_API int rn_leaks(int fd);

RN__END

#endif
