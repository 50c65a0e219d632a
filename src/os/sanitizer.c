/* SPDX-License-Identifier: MIT */
#include "os/sanitizer.h"

bool rn__sanitized;

/* Before main and before any thread: the flag never changes while somebody looks. */
__attribute__((constructor(101))) static void look_for_sanitizers(void) {
    rn__sanitized = __tsan_switch_to_fiber || __sanitizer_start_switch_fiber;
}
