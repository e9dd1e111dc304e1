/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What table lines say. Only text is looked at, so that a fuzzer can have it.
 */
#ifndef DM_DAXCOW_ARGS_H
#define DM_DAXCOW_ARGS_H

#include <daxcow/core.h>

/**
 * struct features - optional arguments of a pool's table line
 */
struct features {
	bool error_if_no_space;
	bool read_only;
	bool ignore_discard;
	enum daxcow_cow cow;
};

/**
 * struct pool_args - <data dev> <low water mark> [<number of features> ...]
 * @device:	as given
 * @low_water:	in blocks
 * @features:	those that are named are set
 */
struct pool_args {
	const char *device;
	u64 low_water;
	struct features features;
};

/**
 * struct volume_args - <pool dev> <dev id> [<number of features> ...]
 * @pool:	as given
 * @id:		at most DAXCOW_MAX_ID
 * @no_dax:	was asked for
 */
struct volume_args {
	const char *pool;
	u32 id;
	bool no_dax;
};

/*
 * Fill *@a, which is zeroed, from the words of a table line. They stay the
 * caller's. Return 0, or -EINVAL with *@error set to what is wrong.
 */
int pool_args_parse(struct pool_args *a, unsigned int argc, char **argv,
		    char **error);
int volume_args_parse(struct volume_args *a, unsigned int argc, char **argv,
		      char **error);

#endif /* DM_DAXCOW_ARGS_H */
