/* SPDX-License-Identifier: MIT */
/* spin.h: how long to look before queueing. */
#ifndef RN_SYNC_SPIN_H
#define RN_SYNC_SPIN_H

#include <runnel/go.h>

#include "arch.h"

/* Turns of a spin loop: a microsecond or two, while waking costs tens; none where nobody runs beside us. */
RN_INLINE int rn__spins(void) { return rn_procs(0) > 1 ? 40 : 0; }

#endif
