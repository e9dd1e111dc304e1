/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A pool in ordinary memory for the benchmark of the engine, and how its times are kept.
 */
#ifndef BENCH_CORE_H
#define BENCH_CORE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include "platform.h"
#include <daxcow/core.h>
#include <daxcow/pmem.h>

#define REGION		((u64)DAXCOW_CHUNK_BLOCKS)
#define POOL		((5ULL << 30) >> DAXCOW_BLOCK_SHIFT)

/* Times of single calls, in ns; the middle one is shown. */
struct times {
	double *t;
	size_t nr, room;
};

extern struct daxcow_pool *pool;
extern u64 hold_longest;

u64 any(u64 below);
void must(long ret, const char *what);
double now(void);
void times_add(struct times *s, double t);
double times_middle(struct times *s);
void times_reset(struct times *s);

void pool_begin(void);
void pool_end(void);
double pool_load_again(void);
void drain(void);
double floor_cost(void);
struct daxcow_pool_info info(void);
double bytes_per_block(void);
u64 hold_take(void);

struct daxcow_volume *volume_open(u32 id);
struct daxcow_volume *image(u64 nr);
void snapshot(u32 id);
double write_block(struct daxcow_volume *vol, u64 vblk);
double overwrite_block(struct daxcow_volume *vol, u64 vblk);

void bench_many(u32 snapshots, u32 clones);
void bench_large(u64 regions);
void bench_threads(void);

#endif /* BENCH_CORE_H */
