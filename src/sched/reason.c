/* SPDX-License-Identifier: MIT */
#include "sched/sched.h"

static const char *const texts[RN__WAIT_REASONS] = {
    [RN__WAIT_NONE] = "runnable",
    [RN__WAIT_SEND] = "chan send",
    [RN__WAIT_RECV] = "chan receive",
    [RN__WAIT_SEND_NIL] = "chan send (nil chan)",
    [RN__WAIT_RECV_NIL] = "chan receive (nil chan)",
    [RN__WAIT_SELECT] = "select",
    [RN__WAIT_SELECT_NONE] = "select (no cases)",
    [RN__WAIT_SLEEP] = "sleep",
    [RN__WAIT_IO] = "IO wait",
    [RN__WAIT_SEMA] = "semacquire",
    [RN__WAIT_MUTEX] = "sync.Mutex.Lock",
    [RN__WAIT_RLOCK] = "sync.RWMutex.RLock",
    [RN__WAIT_WLOCK] = "sync.RWMutex.Lock",
    [RN__WAIT_COND] = "sync.Cond.Wait",
    [RN__WAIT_GROUP] = "sync.WaitGroup.Wait",
};

const char *rn__reason_text(enum rn__reason r) { return r < RN__WAIT_REASONS ? texts[r] : "?"; }
