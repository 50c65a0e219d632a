/* SPDX-License-Identifier: MIT */
/* select.h: select for the rooms above: without the panic. */
#ifndef RN_CHAN_SELECT_H
#define RN_CHAN_SELECT_H

#include <runnel/select.h>

#include "base/attr.h"

/*
 * rn_select_n, but a send that is chosen on a closed channel does not panic. *closed: the chosen
 * channel was closed. Outside.
 */
int rn__select_n(const rn_case *cases, size_t n, int flags, bool *closed) RN_HIDDEN;

#endif
