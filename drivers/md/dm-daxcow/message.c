// SPDX-License-Identifier: GPL-2.0
/*
 * Messages to a pool: dm-thin's verbs, and some of our own.
 */
#include <linux/ctype.h>
#include <linux/sched/mm.h>
#include <linux/uuid.h>

#include "target.h"

static int bad_message(struct pool *pool, const char *what)
{
	DMWARN("%s: message refused: %s", dm_device_name(pool->md), what);
	return -EINVAL;
}

static int read_id(struct pool *pool, const char *arg, u32 *id)
{
	if (kstrtou32(arg, 10, id) || *id > DAXCOW_MAX_ID)
		return bad_message(pool, "a volume id is a number from 0 to 16777215");
	return 0;
}

static int read_blocks(struct pool *pool, const char *arg, u64 *blocks)
{
	u64 sectors;

	if (kstrtoull(arg, 10, &sectors) || sectors & (BLOCK_SECTORS - 1) ||
	    sectors >> BLOCK_SECTORS_SHIFT > DAXCOW_MAX_VOLUME_BLOCKS)
		return bad_message(pool, "a size is a number of sectors, a multiple of 8");
	*blocks = sectors >> BLOCK_SECTORS_SHIFT;
	return 0;
}

static int read_name(struct pool *pool, const char *arg, const char **name)
{
	const char *c;

	for (c = arg; *c; c++)
		if (!isalnum(*c) && !strchr("._+-", *c))
			return bad_message(pool, "a name has letters, digits and ._+- only");
	if (c - arg >= DAXCOW_NAME_SIZE)
		return bad_message(pool, "a name has at most 63 characters");
	*name = strcmp(arg, "-") ? arg : NULL;
	return 0;
}

/*
 * Optional: [<name> [<uuid> [<domain>]]]; without a uuid, or with -, the volume gets a
 * random one.
 */
static int read_identity(struct pool *pool, unsigned int argc, char **argv,
			 struct daxcow_volume_desc *d, uuid_t *uuid)
{
	int ret = 0;

	uuid_gen(uuid);
	d->uuid = uuid->b;
	d->created = ktime_get_real_seconds();
	if (argc > 0)
		ret = read_name(pool, argv[0], &d->name);
	if (!ret && argc > 1 && strcmp(argv[1], "-") &&
	    uuid_parse(argv[1], uuid))
		ret = bad_message(pool, "not a uuid");
	if (!ret && argc > 2 && kstrtou32(argv[2], 10, &d->domain))
		ret = bad_message(pool, "a share domain is a number of 32 bits");
	return ret;
}

/* create_thin <id> [<sectors> [<name> [<uuid> [<domain>]]]] */
static int do_create(struct pool *pool, unsigned int argc, char **argv)
{
	struct daxcow_volume_desc d = { .size = 0 };
	uuid_t uuid;
	int ret;

	ret = read_id(pool, argv[1], &d.id);
	if (!ret && argc > 2)
		ret = read_blocks(pool, argv[2], &d.size);
	if (!ret)
		ret = read_identity(pool, argc > 3 ? argc - 3 : 0, argv + 3, &d,
				    &uuid);
	return ret ? ret : daxcow_create(pool->core, &d);
}

/* create_snap <id> <origin id> [<name> [<uuid>]] */
static int do_snap(struct pool *pool, unsigned int argc, char **argv)
{
	struct daxcow_volume_desc d = { .size = 0 };
	uuid_t uuid;
	int ret;

	ret = read_id(pool, argv[1], &d.id);
	if (!ret)
		ret = read_id(pool, argv[2], &d.origin);
	if (!ret)
		ret = read_identity(pool, argc - 3, argv + 3, &d, &uuid);
	return ret ? ret : pool_snapshot(pool, &d, 1);
}

/* create_snaps <id> <origin id> <name> [<id> <origin id> <name>]... */
static int do_snaps(struct pool *pool, unsigned int argc, char **argv)
{
	unsigned int i, nr = (argc - 1) / 3;
	struct daxcow_volume_desc *d;
	uuid_t *uuid;
	int ret = 0;

	if ((argc - 1) % 3 || nr > DAXCOW_SNAPSHOT_MAX)
		return bad_message(pool, "create_snaps takes <id> <origin id> <name>, up to 64 times");
	d = kcalloc(nr, sizeof(*d), GFP_KERNEL);
	uuid = kcalloc(nr, sizeof(*uuid), GFP_KERNEL);
	if (!d || !uuid)
		ret = -ENOMEM;
	for (i = 0; i < nr && !ret; i++) {
		char **arg = argv + 1 + i * 3;

		ret = read_id(pool, arg[0], &d[i].id);
		if (!ret)
			ret = read_id(pool, arg[1], &d[i].origin);
		if (!ret)
			ret = read_identity(pool, 1, arg + 2, &d[i], &uuid[i]);
	}
	if (!ret)
		ret = pool_snapshot(pool, d, nr);
	kfree(uuid);
	kfree(d);
	return ret;
}

static int do_delete(struct pool *pool, unsigned int argc, char **argv)
{
	u32 id;
	int ret = read_id(pool, argv[1], &id);

	return ret ? ret : pool_delete(pool, id);
}

static int do_rollback(struct pool *pool, unsigned int argc, char **argv)
{
	u32 id, from;
	int ret = read_id(pool, argv[1], &id);

	if (!ret)
		ret = read_id(pool, argv[2], &from);
	return ret ? ret : pool_rollback(pool, id, from);
}

static int do_resize(struct pool *pool, unsigned int argc, char **argv)
{
	u64 blocks = 0;
	u32 id;
	int ret = read_id(pool, argv[1], &id);

	if (!ret)
		ret = read_blocks(pool, argv[2], &blocks);
	return ret ? ret : daxcow_resize(pool->core, id, blocks);
}

static int do_set_trans(struct pool *pool, unsigned int argc, char **argv)
{
	u64 old, new;

	if (kstrtoull(argv[1], 10, &old) || kstrtoull(argv[2], 10, &new))
		return bad_message(pool, "a transaction id is a number");
	return daxcow_set_trans(pool->core, old, new);
}

static int do_metadata_snap(struct pool *pool, unsigned int argc, char **argv)
{
	bad_message(pool, "there is no need for a metadata snapshot: use list and usage");
	return -EOPNOTSUPP;
}

/* Messages that change something; @min and @max count the verb. */
static const struct {
	const char *verb;
	unsigned int min, max;
	int (*fn)(struct pool *pool, unsigned int argc, char **argv);
} changes[] = {
	{ "create_thin", 2, 6, do_create },
	{ "create_snap", 3, 5, do_snap },
	{ "create_snaps", 4, 1 + 3 * DAXCOW_SNAPSHOT_MAX, do_snaps },
	{ "delete", 2, 2, do_delete },
	{ "rollback", 3, 3, do_rollback },
	{ "resize", 3, 3, do_resize },
	{ "set_transaction_id", 3, 3, do_set_trans },
	{ "reserve_metadata_snap", 1, 1, do_metadata_snap },
	{ "release_metadata_snap", 1, 1, do_metadata_snap },
};

/* ---- messages that answer with text ---- */

/* For %*pE: whoever wrote the pool may have put in lines of their own. */
static const char *text_or_none(const char *text)
{
	return *text ? text : "-";
}

static int text_size(const char *text)
{
	return strlen(text_or_none(text));
}

static int do_stats(struct pool *pool, unsigned int argc, char **argv,
		    char *result, unsigned int maxlen)
{
	struct daxcow_pool_info i;
	unsigned int sz = 0;

	daxcow_pool_info(pool->core, &i);
	DMEMIT("uuid %pUb\nlabel %*pE\n", i.uuid, text_size(i.label),
	       text_or_none(i.label));
	DMEMIT("blocks %llu\nfree %llu\nreserve %llu\n", i.nr_blocks, i.nr_free,
	       i.reserve);
	DMEMIT("metadata %llu\ndata %llu\npending %llu\nchunks_free %llu\n",
	       i.nr_meta, i.nr_data, i.nr_pending, i.nr_chunks_free);
	DMEMIT("volumes %llu\ncopies %llu\nprovisions %llu\nmemory %llu\n",
	       i.nr_volumes, i.copies, i.provisions, i.dram_bytes);
	DMEMIT("bad %llu\nretired %llu\nmerged %llu\nunmapped %llu\n", i.nr_bad,
	       i.nr_retired, i.merged, i.unmapped);
	DMEMIT("chunk_offset %llu\ncreated %llu\nmode %s\ndax %s\n",
	       i.chunk_offset, i.created, pool_mode_name(pool),
	       series_there() ? "yes" : "no");
	return 1;
}

/* As many volumes as fit; the caller goes on after the last one. */
static int do_list(struct pool *pool, unsigned int argc, char **argv,
		   char *result, unsigned int maxlen)
{
	struct daxcow_volume_info v;
	unsigned int sz = 0;
	u32 id;
	int ret;

	result[0] = '\0';
	ret = read_id(pool, argv[1], &id);
	if (ret)
		return ret;
	while (id <= DAXCOW_MAX_ID) {
		char origin[12] = "-";

		ret = daxcow_next_volume(pool->core, id, &v);
		if (ret == -ENOENT)
			break;
		if (ret)
			return ret;
		/* more than the longest line */
		if (maxlen - sz < 400)
			break;
		if (v.origin != DAXCOW_NO_ORIGIN)
			snprintf(origin, sizeof(origin), "%u", v.origin);
		DMEMIT("%u %s %llu %llu %u %pUb %*pE", v.id, origin,
		       v.size << BLOCK_SECTORS_SHIFT, v.created, v.open, v.uuid,
		       text_size(v.name), text_or_none(v.name));
		/* without it the name is last, as it was before there were domains */
		if (v.domain)
			DMEMIT(" %u", v.domain);
		DMEMIT("\n");
		id = v.id + 1;
	}
	return 1;
}

static int do_usage(struct pool *pool, unsigned int argc, char **argv,
		    char *result, unsigned int maxlen)
{
	struct daxcow_usage u;
	unsigned int sz = 0;
	u32 id;
	int ret = read_id(pool, argv[1], &id);

	if (!ret)
		ret = daxcow_usage(pool->core, id, &u);
	if (ret)
		return ret;
	DMEMIT("%llu %llu %llu %llu ", u.mapped, u.exclusive, u.huge, u.nodes);
	if (u.mapped)
		DMEMIT("%llu", u.highest);
	else
		DMEMIT("-");
	DMEMIT(" %llu\n", pool_count_bad(pool, id));
	return 1;
}

/* For tests: compare tables and reverse map, once nothing waits. */
static int do_verify(struct pool *pool, unsigned int argc, char **argv,
		     char *result, unsigned int maxlen)
{
	struct daxcow_report report = { .bad = DAXCOW_BAD_NONE };
	unsigned int sz = 0;
	int ret;

	pool_drain(pool);
	ret = daxcow_verify(pool->core, &report);
	if (ret == -EUCLEAN)
		DMEMIT("bad %s block %llu word %u: %s\n",
		       daxcow_bad_name(report.bad), report.block, report.index,
		       daxcow_bad_text(report.bad));
	else if (ret)
		return ret;
	else
		DMEMIT("ok\n");
	return 1;
}

/* For tests: see pages.c. */
static int do_pages(struct pool *pool, unsigned int argc, char **argv,
		    char *result, unsigned int maxlen)
{
	return pool_pages(pool, result, maxlen);
}

/* For tests: finish what waits for readers. */
static int do_drain(struct pool *pool, unsigned int argc, char **argv,
		    char *result, unsigned int maxlen)
{
	return pool_drain(pool) ? 0 : -EBUSY;
}

static const struct {
	const char *verb;
	unsigned int args;
	int (*fn)(struct pool *pool, unsigned int argc, char **argv,
		  char *result, unsigned int maxlen);
} questions[] = {
	{ "stats", 1, do_stats },
	{ "list", 2, do_list },
	{ "usage", 2, do_usage },
	{ "verify", 1, do_verify },
	{ "pages", 1, do_pages },
	{ "drain", 1, do_drain },
};

static void explain(struct pool *pool, const char *verb, int ret)
{
	const char *why;

	switch (ret) {
	case -EBUSY:
		/* snapshot.c has said why */
		if (!strncasecmp(verb, "create_snap", 11))
			return;
		why = "volume is in use: unmount and deactivate it first";
		break;
	case -ENOENT:
		why = "no such volume: see list";
		break;
	case -EEXIST:
		why = "the id is taken: see list";
		break;
	case -ENOSPC:
		why = "no space left in the pool: delete a volume or grow the pool";
		break;
	case -EROFS:
		why = "pool is read-only";
		break;
	case -EXDEV:
		why = "the volumes are in different share domains";
		break;
	case -EAGAIN:
		why = "the pool is suspended, or is about to be: try again after it was resumed";
		break;
	case -EINTR:
		why = "given up";
		break;
	case -ESTALE:
		why = "the transaction id is not the current one";
		break;
	default:
		why = "failed";
	}
	DMWARN("%s: %s: %s (%d)", dm_device_name(pool->md), verb, why, ret);
}

int pool_message(struct pool *pool, unsigned int argc, char **argv,
		 char *result, unsigned int maxlen)
{
	unsigned int i, noio;
	int ret;

	for (i = 0; i < ARRAY_SIZE(questions); i++) {
		if (strcasecmp(argv[0], questions[i].verb))
			continue;
		if (argc != questions[i].args)
			return bad_message(pool, "wrong number of arguments");
		noio = memalloc_noio_save();
		ret = questions[i].fn(pool, argc, argv, result, maxlen);
		memalloc_noio_restore(noio);
		return ret;
	}
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		if (strcasecmp(argv[0], changes[i].verb))
			continue;
		if (argc < changes[i].min || argc > changes[i].max)
			return bad_message(pool, "wrong number of arguments");
		noio = memalloc_noio_save();
		ret = changes[i].fn(pool, argc, argv);
		memalloc_noio_restore(noio);
		if (ret && ret != -EINVAL)
			explain(pool, argv[0], ret);
		return ret;
	}
	return bad_message(pool, "unknown; there are create_thin, create_snap, create_snaps, delete, rollback, resize, set_transaction_id, stats, list, usage");
}
