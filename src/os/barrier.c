/* SPDX-License-Identifier: MIT */
#include "os/barrier.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/die.h"

/* True until init has found the system call: whoever comes before pays the full fence. */
bool rn__barrier_full = true;

static long membarrier(int command) {
    int saved = errno;
    long r = syscall(SYS_membarrier, command, 0, 0);
    errno = saved;
    return r;
}

void rn__barrier_init(void) {
    long have = membarrier(MEMBARRIER_CMD_QUERY);
    if (have < 0 || !(have & MEMBARRIER_CMD_PRIVATE_EXPEDITED)) return;
    if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0) return;
    /* Probe: qemu-user answers some commands without doing them, but not this one with success. */
    if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0) return;
    rn__store_relaxed(&rn__barrier_full, false);
}

void rn__barrier_heavy(void) {
    if (rn__load_relaxed(&rn__barrier_full)) {
        rn__fence_seq_cst();
        return;
    }
    if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0) rn__fatal("barrier: membarrier failed");
}
