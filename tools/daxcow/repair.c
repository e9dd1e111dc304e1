// SPDX-License-Identifier: GPL-2.0
/*
 * daxcow repair: write what can be read of a pool to another place.
 *
 * Each block keeps its number, so that the tables, whose entries prove where they
 * stand, can be written as they are, and sharing is kept. The superblock is
 * written last: a repair that was interrupted leaves no pool.
 */
#include <stdio.h>
#include <json-c/json.h>
#include <daxcow/pmem.h>
#include "daxcow.h"
#include "media.h"
#include "salvage.h"

static const struct column columns[] = {
	{ "source", "Source", COLUMN_TEXT },
	{ "target", "Target", COLUMN_TEXT },
	{ "volumes", "Volumes", COLUMN_NUMBER },
	{ "data", "Data", COLUMN_BYTES },
	{ "metadata", "Metadata", COLUMN_BYTES },
	{ "fixed", "Put right", COLUMN_NUMBER },
	{ "losses", "Losses", COLUMN_NUMBER },
	{ }
};

static const struct column loss_columns[] = {
	{ "volume", "VOLUME ID", COLUMN_TEXT },
	{ "offset", "OFFSET", COLUMN_BYTES },
	{ "length", "LENGTH", COLUMN_BYTES },
	{ "block", "BLOCK", COLUMN_NUMBER },
	{ "word", "WORD", COLUMN_NUMBER },
	{ "reason", "REASON", COLUMN_TEXT },
	{ }
};

/**
 * struct repair - one run
 * @losses:	objects as in loss_columns
 * @fixed:	things that were put right
 * @blocks:	written
 */
struct repair {
	struct media source, target;
	struct json_object *losses;
	u64 fixed, blocks;
};

static int write_block(void *ctx, u64 block, const void *content)
{
	struct repair *r = ctx;

	pm_write((char *)r->target.base + (block << DAXCOW_BLOCK_SHIFT), content,
		 DAXCOW_BLOCK_SIZE);
	if (!(++r->blocks % 4096))
		progress("%llu MiB written",
			 (unsigned long long)(r->blocks >> 8));
	return 0;
}

static int count_fixed(void *ctx, const struct daxcow_report *report)
{
	struct repair *r = ctx;

	r->fixed++;
	return 0;
}

static struct json_object *loss(struct repair *r, const struct daxcow_report *b)
{
	struct json_object *o = json_object_new_object();

	json_set_text(o, "kind", daxcow_bad_name(b->bad));
	json_set_text(o, "reason", daxcow_bad_text(b->bad));
	json_set_number(o, "block", b->block);
	json_set_number(o, "word", b->index);
	json_object_array_add(r->losses, o);
	return o;
}

static int note_lost(void *ctx, const struct daxcow_report *report, u64 vblk,
		     u64 nr)
{
	struct json_object *o = loss(ctx, report);

	json_set_number(o, "volume", report->volume);
	json_set_number(o, "offset", vblk << DAXCOW_BLOCK_SHIFT);
	json_set_number(o, "length", nr << DAXCOW_BLOCK_SHIFT);
	return 0;
}

static int note_lost_volumes(void *ctx, const struct daxcow_report *report,
			     u32 id, u64 nr)
{
	struct json_object *o = loss(ctx, report);
	char ids[40];

	if (nr == 1) {
		json_set_number(o, "volume", id);
	} else {
		snprintf(ids, sizeof(ids), "%u to %llu", id, id + nr - 1ULL);
		json_set_text(o, "volume", ids);
	}
	return 0;
}

static void write_super(struct repair *r, const struct daxcow_super *super)
{
	u64 zero = le64_to_cpu(super->chunk_offset) + DAXCOW_CHUNK_BLOCKS;
	char *mem = r->target.base;
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
static int describe(struct repair *r, struct json_object *o)
{
	struct daxcow_report report;
	struct daxcow_pool_info info;
	struct daxcow_pool *pool;
	int err;

	progress("checking the new pool");
	err = daxcow_load(&pool, r->target.base,
			  r->target.size >> DAXCOW_BLOCK_SHIFT, DAXCOW_LOAD_RO,
			  NULL, &report);
	if (err)
		return fail_errno(-err, "%s: not what it should be: %s",
				  r->target.path, daxcow_bad_text(report.bad));
	daxcow_pool_info(pool, &info);
	daxcow_unload(pool);
	json_set_number(o, "volumes", info.nr_volumes);
	json_set_number(o, "data", info.nr_data << DAXCOW_BLOCK_SHIFT);
	json_set_number(o, "metadata", info.nr_meta << DAXCOW_BLOCK_SHIFT);
	return EXIT_DONE;
}

static int report(const struct args *a, struct repair *r)
{
	struct json_object *o = json_object_new_object();
	size_t nr = json_object_array_length(r->losses);
	int rc;

	json_set_text(o, "source", r->source.path);
	json_set_text(o, "target", r->target.path);
	rc = describe(r, o);
	if (rc) {
		json_object_put(o);
		return rc;
	}
	json_set_number(o, "fixed", r->fixed);
	json_set_number(o, "losses", nr);
	if (a->json)
		json_object_object_add(o, "lost", json_object_get(r->losses));
	else if (nr)
		print_rows(a, "lost", json_object_get(r->losses), loss_columns);
	print_record(a, "repair", o, columns);
	return nr ? fail(EXIT_DAMAGED,
			 "%s: not all could be saved: what is listed reads as zero in %s",
			 r->source.path, r->target.path) : EXIT_DONE;
}

static int repair(const struct args *a, struct repair *r, struct salvage *s)
{
	static const struct salvage_ops ops = {
		.node = write_block,
		.data = write_block,
		.fixed = count_fixed,
		.lost = note_lost,
		.lost_volumes = note_lost_volumes,
	};
	int rc, err;

	if (salvage_blocks(s) > r->target.size >> DAXCOW_BLOCK_SHIFT)
		return fail(EXIT_FAILED, "%s: too small, the pool has %llu MiB",
			    r->target.path,
			    (unsigned long long)salvage_blocks(s) >> 8);
	rc = content_make_way(&r->target, a->force);
	if (!rc)
		rc = media_map(&r->target, true);
	if (rc)
		return rc;
	/* until all is there, this is no pool */
	pm_publish(r->target.base, 0);
	pm_fence();
	err = salvage_walk(s, &ops, r);
	if (err)
		return fail_errno(-err, "%s", r->source.path);
	write_super(r, salvage_super(s));
	rc = media_sync(&r->target);
	return rc ? rc : report(a, r);
}

int cmd_repair(const struct args *a)
{
	struct repair r = { };
	struct daxcow_report bad = { .level = -1, .volume = ~0U };
	struct media_reader reader = { .media = &r.source, .block = DAXCOW_HOLE };
	struct salvage_source source = {
		.read = media_read_sector, .ctx = &reader,
	};
	struct salvage *s;
	int rc, err;

	rc = media_open(&r.source, a->word[0], 0);
	if (rc)
		return rc;
	rc = media_open(&r.target, a->word[1], MEDIA_WRITE);
	if (rc)
		goto out_source;
	source.nr_blocks = r.source.size >> DAXCOW_BLOCK_SHIFT;
	err = salvage_open(&s, &source, &bad);
	if (err) {
		rc = bad.bad ? fail(EXIT_DAMAGED, "%s: nothing can be saved: %s",
				    r.source.path, daxcow_bad_text(bad.bad)) :
			       fail_errno(-err, "%s", r.source.path);
		goto out_target;
	}
	r.losses = json_object_new_array();
	rc = repair(a, &r, s);
	json_object_put(r.losses);
	salvage_close(s);
out_target:
	media_close(&r.target);
out_source:
	media_close(&r.source);
	return rc;
}
