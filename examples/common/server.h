/* SPDX-License-Identifier: MIT */
/*
 * server.h: what relay and httpd do alike: say things, read their options, accept clients up to a limit, drain.
 *
 * A client has a place (of a semaphore) and counts as running (in a wait group) from before its accept until server_left.
 */
#ifndef EXAMPLES_SERVER_H
#define EXAMPLES_SERVER_H

#include <runnel.h>

extern const char program[]; /* its name, the program's to define */

/* A line on the standard error. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Wrong usage: what, and with which value unless NULL; ends the program. */
_Noreturn void usage(const char *what, const char *value);
_Noreturn void print_help(const char *help);
/* An option's value; what is none is wrong usage. */
rn_duration seconds(const char *s, bool may_be_zero);
int64_t count(const char *s);

/* "tcp" or "unix", by what the address looks like. */
const char *network_of(const char *address);

/* At most n clients at a time; others wait in the kernel's queue. Once, before server_listen. */
void server_limit(int64_t n);

/*
 * Listen, say so, and call start for each client, in a goroutine that ends when the listener is closed. start does not wait.
 * The listener, or an error that has been said.
 */
rn_conn server_listen(const char *address, void (*start)(rn_conn client));

/* A client that start was called for has gone. */
void server_left(void);

/*
 * After the listener was closed: wait until all clients have left, but no longer than `most`, nor beyond the next signal; at SIGUSR1
 * call tell, and go on. True: they have.
 */
bool server_drain(rn_chan(int) signals, rn_duration most, void (*tell)(void));

#endif
