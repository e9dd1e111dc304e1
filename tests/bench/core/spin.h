/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's mutex is waited for by spinning as long as its holder runs; that of
 * user space is slept for at once, which takes longer than what it protects.
 */
#define _GNU_SOURCE
#include "platform.h"

#undef mutex_init
#define mutex_init(l)	(*(l) = (struct mutex) { PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP })
