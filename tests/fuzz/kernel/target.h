/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of a kernel as the files of the module that read text ask for, to run
 * them as a program. It comes before all else and takes the place of the module's
 * target.h.
 */
#ifndef DM_DAXCOW_TARGET_H
#define DM_DAXCOW_TARGET_H

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "platform.h"
#include <daxcow/core.h>
#include <uapi/linux/dm-daxcow.h>
#include "../../../drivers/md/dm-daxcow/args.h"

#define BLOCK_SECTORS_SHIFT	3
#define BLOCK_SECTORS		8

struct pool {
	struct daxcow_pool *core;
	void *md;
	int users, srcu;
	u64 instance, nr_blocks;
};

#define dm_device_name(md)	"pool"
/* what it says is put together, as in the kernel, but not shown */
#define DMWARN(fmt, ...) do {						\
	char line[512];							\
									\
	snprintf(line, sizeof(line), fmt, ##__VA_ARGS__);		\
} while (0)
#define DMEMIT(...) (sz += ((sz >= maxlen) ? 0 :			\
			    emit(result + sz, maxlen - sz, __VA_ARGS__)))

int emit(char *at, unsigned int room, const char *fmt, ...);

#define kcalloc(n, size, gfp)	kvcalloc(n, size, gfp)
#define kfree(p)		kvfree(p)
#define memalloc_noio_save()	0
#define memalloc_noio_restore(x) ((void)(x))
#define ktime_get_real_seconds() 1

struct uuid {
	u8 b[16];
};

#define uuid_t struct uuid

void uuid_gen(uuid_t *uuid);
int uuid_parse(const char *s, uuid_t *uuid);
int kstrtou32(const char *s, unsigned int base, u32 *v);
int kstrtoull(const char *s, unsigned int base, u64 *v);

struct dm_arg_set {
	unsigned int argc;
	char **argv;
};

struct dm_arg {
	unsigned int min, max;
	char *error;
};

const char *dm_shift_arg(struct dm_arg_set *as);
int dm_read_arg_group(const struct dm_arg *arg, struct dm_arg_set *as,
		      unsigned int *num, char **error);

/* of the module, beside message.c and args.c */
int pool_message(struct pool *pool, unsigned int argc, char **argv, char *result,
		 unsigned int maxlen);
int pool_snapshot(struct pool *pool, struct daxcow_volume_desc *d,
		  unsigned int nr);
int pool_delete(struct pool *pool, u32 id);
int pool_rollback(struct pool *pool, u32 id, u32 from);
int pool_pages(struct pool *pool, char *result, unsigned int maxlen);
bool pool_drain(struct pool *pool);
u64 pool_count_bad(struct pool *pool, u32 volume);
const char *pool_mode_name(const struct pool *pool);
bool series_there(void);

#endif /* DM_DAXCOW_TARGET_H */
