/* SPDX-License-Identifier: MIT */
/*
 * sys.h: system calls that return -errno and are made again after a signal. Functions of their own and
 * not inlined, because compilers keep the address of errno over a call in which the goroutine may change threads.
 */
#ifndef RN_NET_SYS_H
#define RN_NET_SYS_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

ssize_t rn__sys_recv(int fd, void *buf, size_t n); /* n > 0: for 0 bytes it waits, unlike read(2) */
ssize_t rn__sys_readv(int fd, const struct iovec *iov, int n);
ssize_t rn__sys_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t rn__sys_sendmsg(int fd, const struct msghdr *m, int flags);

/* splice(2) into a pipe of the caller's, and out of it. */
ssize_t rn__sys_fill(int from, int pipe, size_t n);

/* For what is not a socket: no SIGPIPE even so. */
ssize_t rn__sys_writev(int fd, const struct iovec *iov, int n);
ssize_t rn__sys_drain(int pipe, int to, size_t n);
ssize_t rn__sys_sendfile(int to, int from, off_t *off, size_t n);

int rn__sys_socket(int family, int type);
int rn__sys_accept(int fd);
int rn__sys_connect(int fd, const struct sockaddr *sa, socklen_t len);
int rn__sys_bind(int fd, const struct sockaddr *sa, socklen_t len);
int rn__sys_listen(int fd, int backlog);
int rn__sys_shutdown(int fd, int how);
int rn__sys_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int rn__sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int rn__sys_getsockname(int fd, struct sockaddr *sa, socklen_t *len);
int rn__sys_getpeername(int fd, struct sockaddr *sa, socklen_t *len);
int rn__sys_socketpair(int type, int fd[2]);
int rn__sys_pipe(int fd[2]);          /* both ends non-blocking */
int rn__sys_pipe_room(int fd, int n); /* asks for n; what it has */
int rn__sys_nonblock(int fd);
int rn__sys_dup(int fd);
int rn__sys_poll(int fd, short events); /* revents now */
int rn__sys_pidfd_open(pid_t pid);
int rn__sys_pidfd_signal(int pidfd, int signal);

/* The status of a child as waitpid(2) gives it, once; -EAGAIN: it has not ended. */
int rn__sys_reap(int pidfd, int *status);

ssize_t rn__sys_pread(int fd, void *buf, size_t n, off_t off, int flags);
ssize_t rn__sys_pwrite(int fd, const void *buf, size_t n, off_t off, int flags);

#endif
