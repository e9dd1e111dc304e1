/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where two volumes of a pool differ.
 */
#ifndef DAXCOW_DELTA_H
#define DAXCOW_DELTA_H

#include "platform.h"
#include <daxcow/core.h>

enum delta_kind {
	DELTA_LEFT,	/* only the left one has something there */
	DELTA_RIGHT,
	DELTA_DIFFER,	/* both have, in different blocks */
};

/* Blocks [@vblk, @vblk + @nr), which follow what was told before. */
typedef int (*delta_fn)(void *arg, enum delta_kind kind, u64 vblk, u64 nr);

/**
 * delta_volumes() - compare the tables of two volumes
 *
 * What they share is not looked into: the time depends on how much differs, not
 * on how large the volumes are. Nobody may change the pool meanwhile. Returns 0,
 * -ENOENT (no such volume), -EUCLEAN, or what @fn returned.
 */
int delta_volumes(struct daxcow_pool *pool, u32 left, u32 right, delta_fn fn,
		  void *arg);

#endif /* DAXCOW_DELTA_H */
