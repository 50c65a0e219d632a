/* SPDX-License-Identifier: MIT */
/*
 * net.h: sockets, pipes, files and child processes in blocking style: a call that must wait parks its goroutine
 * (a plain thread sleeps), and everybody else goes on.
 *
 *     rn_conn l = rn_listen("tcp", ":8080");
 *     for (rn_conn c; (c = rn_accept(l)) > 0;) rn_go(serve, c);
 *
 * A connection is named by a number, rn_conn: positive, never used again for another connection. So a call on
 * one that was closed long ago does no harm: it returns -EBADF. Numbers below 0 are errors, -errno. Whoever gets a
 * connection closes it, once, with rn_conn_close; any goroutine or thread may use it at the same time as others.
 *
 * Networks: "tcp" "tcp4" "tcp6", "udp" "udp4" "udp6", "unix" (stream) "unixgram" "unixpacket" (seqpacket).
 * Addresses: "host:port", "[::1]:port", ":port" (listen: all addresses; dial: this machine), the port a number or a service's
 * name; for Unix sockets a path, or "@name" for an abstract one.
 *
 * Three forms: rn_read(...) waits as long as it takes; rn_read_until(..., t) until the time t at most, then
 * -ETIMEDOUT; rn_read_ctx(ctx, ...) until the context is done: -ECANCELED, or -ETIMEDOUT for its deadline. What can be done at
 * once is done even if t has passed or the context is done. A connection has deadlines besides (rn_conn_set_deadline): once they
 * passed, every call returns -ETIMEDOUT at once. ctx may be NULL: none. Of those that may wait, rn_listen,
 * rn_conn_close, rn_copy_counted, rn_pread, rn_pwrite and rn_exec have the first form alone.
 *
 * Errors are those of the system calls. Everywhere: -EBADF: no connection, or closed, perhaps by another goroutine while
 * this one waited; -ETIMEDOUT, -ECANCELED as above; -ENOMEM. -EINTR and, but for rn_exec, -EAGAIN do not occur. No call
 * raises SIGPIPE.
 *
 * All functions may be called from goroutines and plain threads, none in a signal handler. "Blocks" means: parks the
 * goroutine, or lets the plain thread sleep.
 */
#ifndef RUNNEL_NET_H
#define RUNNEL_NET_H

#include <runnel/base.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

RN__BEGIN

struct rn_ctx;

typedef int64_t rn_conn;

/* ---- making connections ---- */

/*
 * Listen on an address: stream and seqpacket networks give a listener for rn_accept, datagram ones a bound socket for
 * rn_recv_from and rn_send_to. "tcp" without a host takes IPv6 and IPv4. The backlog is 4096; for TCP SO_REUSEADDR is set.
 * Of a name's addresses the first that works is taken, of 16 at most. The file of a Unix socket is removed by
 * rn_conn_close. Returns the listener, or -EADDRINUSE, -EACCES, -EADDRNOTAVAIL, -EMFILE, -EINVAL (no such network, bad
 * address), those of rn_lookup. Blocks only for names.
 */
RN_API rn_conn rn_listen(const char *network, const char *address);

/*
 * The next connection. Blocks. TCP_NODELAY and keep-alive (15 s) are on, as in Go, if rn_listen has made the listener. Connections that were gone before they
 * were accepted are skipped. Also -EMFILE, -ENFILE: no descriptor is left: the connection waits, and the call may be
 * made again once there is one; -EINVAL: not a listener.
 */
RN_API rn_conn rn_accept(rn_conn listener);
RN_API rn_conn rn_accept_until(rn_conn listener, rn_time t);
RN_API rn_conn rn_accept_ctx(struct rn_ctx *ctx, rn_conn listener);

/*
 * Connect. Blocks. A name's addresses, 16 at most, are tried in turn, each with a share of the time left; if there are
 * IPv6 and IPv4 addresses, the second family starts after 300 ms or when the first failed, and the first
 * connection wins (RFC 8305). Datagram sockets get a default peer. Returns the connection, or the first address's
 * error: -ECONNREFUSED, -ENETUNREACH, -EHOSTUNREACH, -ETIMEDOUT, -ENOENT (no such Unix socket), -EMFILE, -EINVAL, those of rn_lookup.
 */
RN_API rn_conn rn_dial(const char *network, const char *address);
RN_API rn_conn rn_dial_until(const char *network, const char *address, rn_time t);
RN_API rn_conn rn_dial_ctx(struct rn_ctx *ctx, const char *network, const char *address);

/* Two connected sockets; type SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET. A pipe: [0] to read, [1] to write. 0 or -errno. Never block. */
RN_API int rn_socketpair(int type, rn_conn c[2]);
RN_API int rn_pipe(rn_conn c[2]);

/*
 * A connection of any descriptor: a socket, a pipe, a terminal, a file. It becomes non-blocking and belongs to the connection from now on.
 * If this fails it is still the caller's, and may be non-blocking already. Never blocks.
 */
RN_API rn_conn rn_conn_of_fd(int fd);

/*
 * Close. Everybody who waits in a call on it returns -EBADF; the descriptor is closed when the last of them has left, and
 * then this returns: until then it blocks. 0, or -EBADF: is closed already. What close(2) finds is dropped.
 */
RN_API int rn_conn_close(rn_conn c);

/* No more writing: the peer reads the end. No more reading: calls return the end. 0 or -errno. Never block. */
RN_API int rn_conn_close_write(rn_conn c);
RN_API int rn_conn_close_read(rn_conn c);

/* ---- reading and writing ---- */

/*
 * Read up to n bytes: what is there, at least one. 0: the end (or n is 0; or an empty datagram). Blocks while there is nothing. Also
 * -ECONNRESET. Any number of goroutines may read at the same time; each byte goes to one.
 */
RN_API ssize_t rn_read(rn_conn c, void *buf, size_t n);
RN_API ssize_t rn_read_until(rn_conn c, void *buf, size_t n, rn_time t);
RN_API ssize_t rn_read_ctx(struct rn_ctx *ctx, rn_conn c, void *buf, size_t n);
RN_API ssize_t rn_readv(rn_conn c, const struct iovec *iov, int n);
RN_API ssize_t rn_readv_until(rn_conn c, const struct iovec *iov, int n, rn_time t);
RN_API ssize_t rn_readv_ctx(struct rn_ctx *ctx, rn_conn c, const struct iovec *iov, int n);

/* Read exactly n bytes, unless the end or an error comes first: how many were read (less than n: the end), or -errno, and then those read are lost. */
RN_API ssize_t rn_read_full(rn_conn c, void *buf, size_t n);
RN_API ssize_t rn_read_full_until(rn_conn c, void *buf, size_t n, rn_time t);
RN_API ssize_t rn_read_full_ctx(struct rn_ctx *ctx, rn_conn c, void *buf, size_t n);

/*
 * Write all of it: n, or -errno, and then a part may have been written (rn_write_some tells how much). Blocks while there is no room. Writers come one
 * after the other: what two write at the same time is not mixed. Also -EPIPE, -ECONNRESET, -EMSGSIZE.
 */
RN_API ssize_t rn_write(rn_conn c, const void *buf, size_t n);
RN_API ssize_t rn_write_until(rn_conn c, const void *buf, size_t n, rn_time t);
RN_API ssize_t rn_write_ctx(struct rn_ctx *ctx, rn_conn c, const void *buf, size_t n);
RN_API ssize_t rn_writev(rn_conn c, const struct iovec *iov, int n);
RN_API ssize_t rn_writev_until(rn_conn c, const struct iovec *iov, int n, rn_time t);
RN_API ssize_t rn_writev_ctx(struct rn_ctx *ctx, rn_conn c, const struct iovec *iov, int n);

/* Write at least one byte and as many as there is room for: how many, or -errno with nothing written. */
RN_API ssize_t rn_write_some(rn_conn c, const void *buf, size_t n);
RN_API ssize_t rn_write_some_until(rn_conn c, const void *buf, size_t n, rn_time t);
RN_API ssize_t rn_write_some_ctx(struct rn_ctx *ctx, rn_conn c, const void *buf, size_t n);

/*
 * rn_write, and the caller has more (MSG_MORE): what it writes or sends (rn_sendfile) next goes into the same segment, a header and the file, say,
 * instead of one of its own. Without a next one the kernel waits 200 ms. Where there are no segments it is rn_write.
 */
RN_API ssize_t rn_write_more(rn_conn c, const void *buf, size_t n);
RN_API ssize_t rn_write_more_until(rn_conn c, const void *buf, size_t n, rn_time t);
RN_API ssize_t rn_write_more_ctx(struct rn_ctx *ctx, rn_conn c, const void *buf, size_t n);

/*
 * Copy from one connection to another until the end of src or n bytes (SIZE_MAX: all), many at a time through the kernel where it
 * can (splice(2)). How many, or -errno, and then a part may have been copied, and some bytes lost. Blocks. While it waits for src it
 * has neither a buffer nor a descriptor of its own; up to 32 buffers and pipes stay with the library, for the next ones.
 * rn_copy_counted adds to *count, atomically, what has come to dst, as it comes; others may read it meanwhile.
 */
RN_API int64_t rn_copy(rn_conn dst, rn_conn src, size_t n);
RN_API int64_t rn_copy_until(rn_conn dst, rn_conn src, size_t n, rn_time t);
RN_API int64_t rn_copy_ctx(struct rn_ctx *ctx, rn_conn dst, rn_conn src, size_t n);
RN_API int64_t rn_copy_counted(rn_conn dst, rn_conn src, size_t n, int64_t *count);

/* Send n bytes of a file from offset `off` on (SIZE_MAX: to its end), by sendfile(2). How many (less than n: the file's end), or -errno. Blocks. */
RN_API int64_t rn_sendfile(rn_conn c, int fd, off_t off, size_t n);
RN_API int64_t rn_sendfile_until(rn_conn c, int fd, off_t off, size_t n, rn_time t);
RN_API int64_t rn_sendfile_ctx(struct rn_ctx *ctx, rn_conn c, int fd, off_t off, size_t n);

/* ---- addresses and datagrams ---- */

/* A socket's address. len is what is valid of sa; 0: none. */
typedef struct rn_addr {
    socklen_t len;
    struct sockaddr_storage sa;
} rn_addr;

enum { RN_ADDR_TEXT = 128 }; /* room for any address as text */

/*
 * Look up an address as rn_dial does: fills at most max of addrs, in the order to be tried, and returns how many.
 * -ENOENT: no such host or service; -EHOSTUNREACH: the name servers do not answer now; -EINVAL; -ENOMEM. Blocks for names, in
 * getaddrinfo(3) on a thread that has no processor; numeric addresses cost nothing.
 */
RN_API int rn_lookup(const char *network, const char *address, rn_addr *addrs, int max);
RN_API int rn_lookup_until(const char *network, const char *address, rn_addr *addrs, int max,
                           rn_time t);
RN_API int rn_lookup_ctx(struct rn_ctx *ctx, const char *network, const char *address,
                         rn_addr *addrs, int max);

/* The address as text, as in rn_dial. Returns its length, or -ENOSPC, -EAFNOSUPPORT. Never blocks. */
RN_API int rn_addr_text(const rn_addr *a, char *text, size_t size);

/* This end's and the other end's address. 0 or -errno (-ENOTCONN). Never block. */
RN_API int rn_conn_local(rn_conn c, rn_addr *a);
RN_API int rn_conn_peer(rn_conn c, rn_addr *a);

/* Receive one datagram, cut to n bytes, and who sent it (from may be NULL). Its length, or -errno. Blocks. */
RN_API ssize_t rn_recv_from(rn_conn c, void *buf, size_t n, rn_addr *from);
RN_API ssize_t rn_recv_from_until(rn_conn c, void *buf, size_t n, rn_addr *from, rn_time t);
RN_API ssize_t rn_recv_from_ctx(struct rn_ctx *ctx, rn_conn c, void *buf, size_t n, rn_addr *from);

/* Send one datagram, whole. n, or -errno (-EMSGSIZE: too long; -ECONNREFUSED: nobody took an earlier one). Blocks. */
RN_API ssize_t rn_send_to(rn_conn c, const void *buf, size_t n, const rn_addr *to);
RN_API ssize_t rn_send_to_until(rn_conn c, const void *buf, size_t n, const rn_addr *to, rn_time t);
RN_API ssize_t rn_send_to_ctx(struct rn_ctx *ctx, rn_conn c, const void *buf, size_t n,
                              const rn_addr *to);

/* ---- deadlines and options ---- */

/*
 * The point in time after which calls on the connection fail with -ETIMEDOUT, those that wait now included; RN_TIME_MAX: none. May be
 * moved at any time, by anyone, also after it passed. read: also accept. 0 or -EBADF. Never block.
 */
RN_API int rn_conn_set_deadline(rn_conn c, rn_time t);
RN_API int rn_conn_set_read_deadline(rn_conn c, rn_time t);
RN_API int rn_conn_set_write_deadline(rn_conn c, rn_time t);

/* setsockopt(2), getsockopt(2): 0 or -errno. Never block. */
RN_API int rn_conn_setopt(rn_conn c, int level, int name, const void *value, socklen_t len);
RN_API int rn_conn_getopt(rn_conn c, int level, int name, void *value, socklen_t *len);

/* The descriptor, for calls that there is no function for here; it stays the connection's. Or -EBADF. */
RN_API int rn_conn_fd(rn_conn c);

/* ---- any other descriptor ---- */

enum { RN_READABLE = 1, RN_WRITABLE = 2 };

/*
 * Wait until a descriptor of somebody else (a library's socket, a pidfd, a timerfd) can be read or written: `events` of RN_READABLE and
 * RN_WRITABLE. Returns those that it can (errors and hang-ups count as both asked for), or -ETIMEDOUT, -EBADF, -ECANCELED, -EINVAL
 * (neither in `events`), -EMFILE and -ENOMEM (a duplicate is what is waited for). The descriptor stays as it is, and is to stay open
 * meanwhile. Blocks.
 */
RN_API int rn_fd_wait(int fd, int events);
RN_API int rn_fd_wait_until(int fd, int events, rn_time t);
RN_API int rn_fd_wait_ctx(struct rn_ctx *ctx, int fd, int events);

/*
 * pread(2) and pwrite(2) of files. What the cache has is read at once; what must come from the device does not
 * hold up others: it blocks the thread, without a processor (rn_blocking). As those: the number of bytes, or -errno.
 */
RN_API ssize_t rn_pread(int fd, void *buf, size_t n, off_t off);
RN_API ssize_t rn_pwrite(int fd, const void *buf, size_t n, off_t off);

/* ---- child processes ---- */

enum { RN_EXEC_INHERIT = -1, RN_EXEC_NULL = -2, RN_EXEC_PIPE = -3 };

/*
 * Zeroed, and with all of `std` set: a 0 there is descriptor 0, not RN_EXEC_INHERIT, and would give the child our stdin as its stdout
 * and stderr. rn_exec with NULL inherits all.
 */
typedef struct rn_exec_opts {
    int std[3];             /* stdin, stdout, stderr: a descriptor, or one of RN_EXEC_... */
    const char *dir;        /* to start in; NULL: here */
    const char *const *env; /* NULL: ours */
} rn_exec_opts;

typedef struct rn_proc {
    pid_t pid;
    int pidfd;
    rn_conn std[3]; /* our ends of the pipes asked for, the caller's to close; else 0 */
} rn_proc;

/*
 * Start a program, looked up in PATH; argv ends with NULL. 0 or -errno (-ENOENT, -EACCES, -EINVAL: an empty argv, or no such `std`,
 * -EAGAIN: no more processes, ...). Other descriptors of ours are passed on unless they are close-on-exec (all that this header makes
 * are). Blocks the thread until the program has started (posix_spawn(3)).
 */
RN_API int rn_exec(rn_proc *p, const char *const argv[], const rn_exec_opts *opts);

/*
 * Wait until it ended; *status (may be NULL) as from waitpid(2). To be called once, successfully: then the child and its pidfd are gone, not
 * what p->std names. 0, -ETIMEDOUT, -ECANCELED, -ECHILD (somebody else waited for it). Blocks.
 */
RN_API int rn_proc_wait(rn_proc *p, int *status);
RN_API int rn_proc_wait_until(rn_proc *p, int *status, rn_time t);
RN_API int rn_proc_wait_ctx(struct rn_ctx *ctx, rn_proc *p, int *status);

/*
 * Send it a signal. 0, also when it has ended but nobody has waited for it yet, or -errno (-EBADF: after rn_proc_wait; -ESRCH: somebody
 * else waited for it). Never blocks; cannot hit another process.
 */
RN_API int rn_proc_kill(rn_proc *p, int signal);

RN__END

#endif
