// SPDX-License-Identifier: GPL-2.0
/*
 * Table lines.
 */
#include <linux/device-mapper.h>
#include <linux/kstrtox.h>
#include <linux/string.h>

#include "args.h"

static int refuse(char **error, char *why)
{
	*error = why;
	return -EINVAL;
}

static int read_pool_feature(struct features *f, const char *arg)
{
	if (!strcasecmp(arg, "error_if_no_space"))
		f->error_if_no_space = true;
	else if (!strcasecmp(arg, "read_only"))
		f->read_only = true;
	else if (!strcasecmp(arg, "ignore_discard"))
		f->ignore_discard = true;
	else if (!strcasecmp(arg, "cow_4k"))
		f->cow = DAXCOW_COW_4K;
	else if (!strcasecmp(arg, "cow_2m"))
		f->cow = DAXCOW_COW_2M;
	else
		return -EINVAL;
	return 0;
}

static int read_pool_features(struct features *f, struct dm_arg_set *as,
			      char **error)
{
	static const struct dm_arg args[] = {
		{0, 5, "Number of feature arguments must be 0 to 5"},
	};
	unsigned int nr;

	if (!as->argc)
		return 0;
	if (dm_read_arg_group(args, as, &nr, error))
		return -EINVAL;
	for (; nr; nr--)
		if (read_pool_feature(f, dm_shift_arg(as)))
			return refuse(error,
				      "Unknown feature: use error_if_no_space, read_only, ignore_discard, cow_4k, cow_2m");
	return as->argc ? refuse(error, "Too many arguments") : 0;
}

int pool_args_parse(struct pool_args *a, unsigned int argc, char **argv,
		    char **error)
{
	struct dm_arg_set as = { .argc = argc, .argv = argv };

	if (argc < 2)
		return refuse(error,
			      "Arguments: <data device> <low water mark, blocks> [<number of features> <feature>...]");
	a->device = dm_shift_arg(&as);
	if (kstrtoull(dm_shift_arg(&as), 10, &a->low_water))
		return refuse(error, "Low water mark is not a number of blocks");
	return read_pool_features(&a->features, &as, error);
}

static int read_volume_features(struct volume_args *a, struct dm_arg_set *as,
				char **error)
{
	static const struct dm_arg args[] = {
		{0, 1, "Number of feature arguments must be 0 or 1"},
	};
	unsigned int nr;

	if (!as->argc)
		return 0;
	if (dm_read_arg_group(args, as, &nr, error))
		return -EINVAL;
	if (nr && strcasecmp(dm_shift_arg(as), "no_dax"))
		return refuse(error, "Unknown feature: use no_dax");
	a->no_dax = nr;
	return as->argc ? refuse(error, "Too many arguments") : 0;
}

int volume_args_parse(struct volume_args *a, unsigned int argc, char **argv,
		      char **error)
{
	struct dm_arg_set as = { .argc = argc, .argv = argv };

	if (argc < 2)
		return refuse(error,
			      "Arguments: <pool device> <volume id> [<number of features> no_dax]");
	a->pool = dm_shift_arg(&as);
	if (kstrtou32(dm_shift_arg(&as), 10, &a->id) || a->id > DAXCOW_MAX_ID)
		return refuse(error, "Volume id must be 0 to 16777215");
	return read_volume_features(a, &as, error);
}
