// SPDX-License-Identifier: GPL-2.0
/*
 * daxcow repair: write what can be read of a pool to another place.
 */
#include <stdio.h>
#include <json-c/json.h>
#include "daxcow.h"
#include "newpool.h"
#include "salvage.h"
#include "storage.h"

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
	{ "offset", "OFFSET", COLUMN_NUMBER },
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
 */
struct repair {
	struct media source;
	struct newpool target;
	struct json_object *losses;
	u64 fixed;
};

static int write_data(void *ctx, u64 block, const void *content)
{
	struct repair *r = ctx;

	newpool_write(&r->target, block, content);
	return 0;
}

static int write_node(void *ctx, const struct salvage_node *n)
{
	return write_data(ctx, n->block, n->content);
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

static u64 member(struct json_object *o, const char *key)
{
	return json_object_get_uint64(json_object_object_get(o, key));
}

/* Whether @o goes on where @last ends, with the same volume and reason. */
static bool goes_on(struct json_object *last, struct json_object *o)
{
	static const char *const same[] = { "volume", "kind" };
	size_t i;

	if (!last || !json_object_object_get(o, "length") ||
	    member(last, "offset") + member(last, "length") != member(o, "offset"))
		return false;
	for (i = 0; i < ARRAY_SIZE(same); i++)
		if (!json_object_equal(json_object_object_get(last, same[i]),
				       json_object_object_get(o, same[i])))
			return false;
	return true;
}

/* For people: a line for each range; its block and word are those of its beginning. */
static struct json_object *ranges_of(struct json_object *losses)
{
	struct json_object *ranges = json_object_new_array(), *o, *last = NULL;
	size_t i;

	for (i = 0; i < json_object_array_length(losses); i++) {
		o = json_object_array_get_idx(losses, i);
		if (goes_on(last, o)) {
			json_set_number(last, "length",
					member(last, "length") + member(o, "length"));
			continue;
		}
		last = json_object_get(o);
		json_object_array_add(ranges, last);
	}
	return ranges;
}

static int report(const struct args *a, struct repair *r, struct json_object *o)
{
	size_t nr = json_object_array_length(r->losses);

	json_set_number(o, "fixed", r->fixed);
	json_set_number(o, "losses", nr);
	if (a->json)
		json_object_object_add(o, "lost", json_object_get(r->losses));
	else if (nr)
		print_rows(a, "lost", ranges_of(r->losses), loss_columns);
	print_record(a, "repair", o, columns);
	return nr ? fail(EXIT_DAMAGED,
			 "%s: not all could be saved: what is listed reads as zero in %s",
			 r->source.path, r->target.media.path) : EXIT_DONE;
}

static int repair(const struct args *a, struct repair *r, struct salvage *s)
{
	static const struct salvage_ops ops = {
		.node = write_node,
		.data = write_data,
		.fixed = count_fixed,
		.lost = note_lost,
		.lost_volumes = note_lost_volumes,
	};
	struct json_object *o;
	int rc, err;

	rc = newpool_begin(&r->target, false);
	if (rc)
		return rc;
	o = json_object_new_object();
	json_set_text(o, "source", r->source.path);
	json_set_text(o, "target", a->word[1]);
	err = salvage_walk(s, &ops, r);
	if (err)
		rc = fail_errno(-err, "%s", r->source.path);
	else
		rc = newpool_finish(&r->target, salvage_super(s), o);
	if (rc)
		json_object_put(o);
	else
		rc = report(a, r, o);
	return rc;
}

static int skip_data(void *ctx, u64 block, const void *content)
{
	return 0;
}

/*
 * A device has to give up what it has before it gets the pool: first see that
 * all of the source can be gone through.
 */
static int rehearse(struct repair *r, struct salvage *s)
{
	static const struct salvage_ops ops = { .data = skip_data };
	int err;

	if (!r->target.media.block_device)
		return EXIT_DONE;
	err = salvage_walk(s, &ops, NULL);
	return err ? fail_errno(-err, "%s", r->source.path) : EXIT_DONE;
}

static int repair_to(const struct args *a, struct repair *r, struct salvage *s)
{
	int rc;

	rc = newpool_open(&r->target, a->word[1], salvage_blocks(s), a->force);
	if (rc)
		return rc;
	rc = rehearse(r, s);
	if (!rc)
		rc = repair(a, r, s);
	newpool_close(&r->target);
	return rc;
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

	rc = storage_distinct(a->word[0], a->word[1]);
	if (!rc)
		rc = media_open(&r.source, a->word[0], 0);
	if (rc)
		return rc;
	source.nr_blocks = r.source.size >> DAXCOW_BLOCK_SHIFT;
	err = salvage_open(&s, &source, &bad);
	if (err) {
		rc = bad.bad ? fail(EXIT_DAMAGED, "%s: nothing can be saved: %s",
				    r.source.path, daxcow_bad_text(bad.bad)) :
			       fail_errno(-err, "%s", r.source.path);
		goto out_close;
	}
	r.losses = json_object_new_array();
	rc = repair_to(a, &r, s);
	json_object_put(r.losses);
	salvage_close(s);
out_close:
	media_close(&r.source);
	return rc;
}
