/* SPDX-License-Identifier: MIT */
/*
 * sanitizer.h: what the sanitizers' runtimes offer, found when the program runs: the same library
 * works in a program with or without them (weak symbols). Switching fibers and the
 * happens-before edges of channels are announced through these.
 */
#ifndef RN_OS_SANITIZER_H
#define RN_OS_SANITIZER_H

#include "base/attr.h"

void *__tsan_get_current_fiber(void) RN_WEAK;
void *__tsan_create_fiber(unsigned flags) RN_WEAK;
void __tsan_destroy_fiber(void *fiber) RN_WEAK;
void __tsan_switch_to_fiber(void *fiber, unsigned flags) RN_WEAK;
void __tsan_acquire(void *addr) RN_WEAK;
void __tsan_release(void *addr) RN_WEAK;
unsigned __tsan_atomic32_load(const volatile void *at, int order) RN_WEAK;
void AnnotateBenignRaceSized(const char *file, int line, const volatile void *at, size_t size,
                             const char *what) RN_WEAK;
void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size) RN_WEAK;
void __sanitizer_finish_switch_fiber(void *save, const void **bottom_old, size_t *size_old) RN_WEAK;
void __asan_unpoison_memory_region(const void *addr, size_t size) RN_WEAK;

/* Whether one of them is there; set once at start, before any goroutine. Constant afterwards. */
extern bool rn__sanitized RN_HIDDEN;

RN_INLINE bool rn__tsan_on(void) { return unlikely(rn__sanitized) && __tsan_switch_to_fiber; }

RN_INLINE bool rn__asan_on(void) {
    return unlikely(rn__sanitized) && __sanitizer_start_switch_fiber;
}

/*
 * Happens-before: what was done before a release of an address happens before what is done
 * after a later acquire of it. Only for edges that users may rely on.
 */
RN_INLINE void rn__san_acquire(void *addr) {
    if (rn__tsan_on()) __tsan_acquire(addr);
}

/*
 * The same for an address which is a word that inline paths in the user's program release. __tsan_acquire reads a
 * first release's clock without the lock under which TSan changes the word and then the clock; in between, we may have seen
 * the word already, and it would find no clock. An atomic load waits for the lock.
 */
RN_INLINE void rn__san_acquire_word(void *addr) {
    if (rn__tsan_on() && __tsan_atomic32_load) (void)__tsan_atomic32_load(addr, __ATOMIC_ACQUIRE);
}

RN_INLINE void rn__san_release(void *addr) {
    if (rn__tsan_on()) __tsan_release(addr);
}

#endif
