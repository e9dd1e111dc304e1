// SPDX-License-Identifier: GPL-2.0
/*
 * daxcow check: validate a pool without changing it.
 */
#include <stdio.h>
#include <json-c/json.h>
#include <uuid/uuid.h>
#include "daxcow.h"
#include "media.h"

static const struct column columns[] = {
	{ "device", "Device", COLUMN_TEXT },
	{ "uuid", "UUID", COLUMN_TEXT },
	{ "label", "Label", COLUMN_TEXT },
	{ "volumes", "Volumes", COLUMN_NUMBER },
	{ "size", "Size", COLUMN_BYTES },
	{ "data", "Data", COLUMN_BYTES },
	{ "metadata", "Metadata", COLUMN_BYTES },
	{ "free", "Free", COLUMN_BYTES },
	{ "clean", "Clean", COLUMN_TEXT },
	{ "reason", "Reason", COLUMN_TEXT },
	{ "block", "Block", COLUMN_NUMBER },
	{ "word", "Word", COLUMN_NUMBER },
	{ "level", "Level", COLUMN_NUMBER },
	{ "volume", "Volume id", COLUMN_NUMBER },
	{ "value", "Value", COLUMN_TEXT },
	{ }
};

static void describe_pool(struct json_object *o, struct daxcow_pool *pool)
{
	struct daxcow_pool_info info;
	char uuid[UUID_STR_LEN];

	daxcow_pool_info(pool, &info);
	uuid_unparse_lower(info.uuid, uuid);
	json_set_text(o, "uuid", uuid);
	json_set_text(o, "label", info.label);
	json_set_number(o, "volumes", info.nr_volumes);
	json_set_number(o, "size", info.nr_blocks << DAXCOW_BLOCK_SHIFT);
	json_set_number(o, "data", info.nr_data << DAXCOW_BLOCK_SHIFT);
	json_set_number(o, "metadata", info.nr_meta << DAXCOW_BLOCK_SHIFT);
	json_set_number(o, "free", info.nr_free << DAXCOW_BLOCK_SHIFT);
}

static void describe_damage(struct json_object *o,
			    const struct daxcow_report *r)
{
	char value[24];

	json_set_text(o, "kind", daxcow_bad_name(r->bad));
	json_set_text(o, "reason", daxcow_bad_text(r->bad));
	json_set_number(o, "block", r->block);
	json_set_number(o, "word", r->index);
	if (r->level >= 0)
		json_set_number(o, "level", r->level);
	if (r->volume != ~0U)
		json_set_number(o, "volume", r->volume);
	snprintf(value, sizeof(value), "0x%016llx",
		 (unsigned long long)r->value);
	json_set_text(o, "value", value);
}

/* 0, or an errno; -EUCLEAN and its like with @report set. */
static int validate(struct media *m, struct json_object *o,
		    struct daxcow_report *report)
{
	struct daxcow_pool *pool;
	int err;

	err = media_load(m, &pool, report);
	if (err)
		return err;
	describe_pool(o, pool);
	err = daxcow_verify(pool, report);
	progress_end();
	daxcow_unload(pool);
	return err;
}

/* The superblock says so itself: no place to point at. */
static bool foreign(const struct daxcow_report *r)
{
	return r->bad == DAXCOW_BAD_MAGIC || r->bad == DAXCOW_BAD_VERSION ||
	       r->bad == DAXCOW_BAD_FEATURE;
}

/* The place in words: where a person would look with a hex editor. */
static int complain(const struct media *m, const struct daxcow_report *r)
{
	char where[64] = "", level[32] = "";

	if (foreign(r))
		return fail(EXIT_DAMAGED, "%s: %s", m->path,
			    daxcow_bad_text(r->bad));
	if (r->volume != ~0U)
		snprintf(where, sizeof(where), ", of volume id:%u", r->volume);
	if (r->level >= 0)
		snprintf(level, sizeof(level), ", level %d", r->level);
	return fail(EXIT_DAMAGED, "%s: damaged: %s (block %llu, word %u%s%s, value 0x%016llx)",
		    m->path, daxcow_bad_text(r->bad),
		    (unsigned long long)r->block, r->index, level, where,
		    (unsigned long long)r->value);
}

int cmd_check(const struct args *a)
{
	struct daxcow_report report = { .level = -1, .volume = ~0U };
	struct json_object *o;
	struct media m;
	int rc, err;

	rc = media_open(&m, a->word[0], a->force ? MEDIA_SHARED : 0);
	if (!rc)
		rc = media_map(&m, false);
	if (rc) {
		media_close(&m);
		return rc;
	}
	o = json_object_new_object();
	json_set_text(o, "device", m.path);
	err = validate(&m, o, &report);
	json_set_bool(o, "clean", !err);
	if (report.bad != DAXCOW_BAD_NONE)
		describe_damage(o, &report);
	if (!err || (a->json && report.bad != DAXCOW_BAD_NONE))
		rc = print_record(a, "check", o, columns);
	else
		json_object_put(o);
	if (err && report.bad == DAXCOW_BAD_NONE)
		rc = fail_errno(-err, "%s", m.path);
	else if (err)
		rc = complain(&m, &report);
	media_close(&m);
	return rc;
}
