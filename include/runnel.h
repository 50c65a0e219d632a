/* SPDX-License-Identifier: MIT */
/* runnel.h: all of runnel. Go's goroutines and channels for C. */
#ifndef RUNNEL_H
#define RUNNEL_H

#include <runnel/base.h>
#include <runnel/go.h>
#include <runnel/chan.h>
#include <runnel/select.h>
#include <runnel/net.h>
#include <runnel/panic.h>
#include <runnel/sync.h>
#include <runnel/time.h>
#include <runnel/context.h>
#include <runnel/signal.h>
#include <runnel/debug.h>

#endif
