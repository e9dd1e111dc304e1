/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The engine and a naive model, side by side. What is done is decided by whoever
 * links with it: by random numbers (random.c), or by a fuzzer (../fuzz/ops.c).
 */
#ifndef DAXCOW_TESTS_MODEL_H
#define DAXCOW_TESTS_MODEL_H

#include <linux/types.h>

/**
 * struct model_params - how to run
 * @blocks:	size of the pool; it may grow by 12 chunks
 * @check_every: operations, on average, between two comparisons of everything
 */
struct model_params {
	__u64 blocks, check_every;
};

/* Until model_more() is false. Aborts when engine and model differ. */
void model_run(const struct model_params *p);

/* Blocks whose owners got others, in all runs. */
extern __u64 model_merged;

/* To be provided: a number below @n; whether to go on; what is run. */
__u64 model_choose(__u64 n);
int model_more(void);
const char *model_name(void);

#endif /* DAXCOW_TESTS_MODEL_H */
