/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The crash checker's parts.
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include "world.h"

/**
 * struct totals - what a run did
 * @sequences:	of operations
 * @fences:	at which states were looked at, ends of operations among them
 * @states:	recovered
 * @few:	fences with at most two states
 * @most:	states at one of them
 */
struct totals {
	u64 sequences, fences, states, few, most;
};

extern struct totals totals;

/* Where sequences begin. */
#define NR_STARTS	5
#define START_CHUNK	2	/* with one that is shared, and split */
#define START_FULL	3	/* without a free block */
#define START_EQUAL	4	/* with blocks to merge */

/* Make a start, as an image and as arrays, and record from there. */
char *start_set(unsigned int start);

/* Back there, with the pool loaded. */
struct daxcow_pool *start_again(struct world *w);

/*
 * Go through all states now. @legal says whether one is; the first that is
 * not ends the program, after @explain has printed how to see it again.
 * Returns one of them. See world_recover() for @in_place and @old.
 */
struct world check_states(bool (*legal)(const struct world *w),
			  const struct op *in_place, const struct world *old);
void fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
extern void (*explain)(void);

/* Formatting, of a pool and of something else. */
void check_format(void);

/* All schedules of all pairs of operations, from the starts that share. */
void check_threads(unsigned int nr, int first_op);

/*
 * One of them: start, operation, operations, choices; as printed by fail(). Or
 * all for these operations, without choices.
 */
void replay_threads(char **argv);

#endif
