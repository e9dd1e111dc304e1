// SPDX-License-Identifier: GPL-2.0
/*
 * A pool that is written block by block, as another one was.
 *
 * Each block keeps its number, so that the tables, whose entries prove where they
 * stand, can be written as they are, and sharing is kept. The superblock is
 * written last: what was interrupted is no pool.
 */
#include <json-c/json.h>
#include <daxcow/pmem.h>
#include "daxcow.h"
#include "newpool.h"

int newpool_open(struct newpool *n, const char *path, u64 nr_blocks, bool force)
{
	int rc;

	n->blocks = 0;
	rc = media_open(&n->media, path, MEDIA_WRITE);
	if (rc)
		return rc;
	if (nr_blocks > n->media.size >> DAXCOW_BLOCK_SHIFT)
		rc = fail(EXIT_FAILED, "%s: too small, the pool has %llu MiB",
			  path, (unsigned long long)nr_blocks >> 8);
	if (!rc)
		rc = content_make_way(&n->media, force);
	if (!rc)
		rc = media_map(&n->media, true);
	if (rc) {
		media_close(&n->media);
		return rc;
	}
	pm_publish(n->media.base, 0);
	pm_fence();
	return EXIT_DONE;
}

void newpool_write(struct newpool *n, u64 block, const void *content)
{
	pm_write((char *)n->media.base + (block << DAXCOW_BLOCK_SHIFT), content,
		 DAXCOW_BLOCK_SIZE);
	if (!(++n->blocks % 4096))
		progress("%llu MiB written",
			 (unsigned long long)(n->blocks >> 8));
}

static void write_super(char *mem, const struct daxcow_super *super)
{
	u64 zero = le64_to_cpu(super->chunk_offset) + DAXCOW_CHUNK_BLOCKS;
	struct daxcow_super backup;

	memset(&backup, 0, sizeof(backup));
	memcpy(&backup, super, DAXCOW_SUPER_FIXED + 4);
	pm_zero(mem + (zero << DAXCOW_BLOCK_SHIFT),
		DAXCOW_CHUNK_BLOCKS << DAXCOW_BLOCK_SHIFT);
	pm_write(mem + ((u64)DAXCOW_BACKUP_BLOCK << DAXCOW_BLOCK_SHIFT), &backup,
		 sizeof(backup));
	pm_write(mem + 8, (const char *)super + 8, sizeof(*super) - 8);
	pm_fence();
	pm_publish((__le64 *)mem, DAXCOW_SUPER_MAGIC);
	pm_fence();
}

/* What was written, read as a pool. */
int newpool_finish(struct newpool *n, const struct daxcow_super *super,
		   struct json_object *o)
{
	struct daxcow_report report;
	struct daxcow_pool_info info;
	struct daxcow_pool *pool;
	int rc, err;

	write_super(n->media.base, super);
	err = media_load(&n->media, &pool, &report);
	if (err) {
		pm_publish(n->media.base, 0);
		pm_fence();
		return fail(EXIT_DAMAGED, "%s: not a valid pool: %s (block %llu, word %u)",
			    n->media.path, daxcow_bad_text(report.bad),
			    (unsigned long long)report.block, report.index);
	}
	daxcow_pool_info(pool, &info);
	daxcow_unload(pool);
	rc = media_sync(&n->media);
	json_set_number(o, "volumes", info.nr_volumes);
	json_set_number(o, "data", info.nr_data << DAXCOW_BLOCK_SHIFT);
	json_set_number(o, "metadata", info.nr_meta << DAXCOW_BLOCK_SHIFT);
	return rc;
}

void newpool_close(struct newpool *n)
{
	media_close(&n->media);
}
