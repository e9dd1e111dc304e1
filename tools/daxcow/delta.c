// SPDX-License-Identifier: GPL-2.0
/*
 * daxcow delta: where two volumes of a pool differ.
 */
#include <stdio.h>
#include <json-c/json.h>
#include "daxcow.h"
#include "delta.h"
#include "media.h"

static const struct column columns[] = {
	{ "offset", "OFFSET", COLUMN_NUMBER },
	{ "length", "LENGTH", COLUMN_BYTES },
	{ "where", "WHERE", COLUMN_TEXT },
	{ }
};

static int note(void *arg, enum delta_kind kind, u64 vblk, u64 nr)
{
	static const char *const names[] = {
		[DELTA_LEFT] = "left",
		[DELTA_RIGHT] = "right",
		[DELTA_DIFFER] = "both",
	};
	struct json_object *row = json_object_new_object();

	json_set_number(row, "offset", vblk << DAXCOW_BLOCK_SHIFT);
	json_set_number(row, "length", nr << DAXCOW_BLOCK_SHIFT);
	json_set_text(row, "where", names[kind]);
	json_object_array_add(arg, row);
	return 0;
}

/* By name or "id:N", as in a pool that is in use. */
static int find(struct daxcow_pool *pool, const char *path, const char *name,
		u32 *id)
{
	struct daxcow_volume_info info = { };
	u64 number = NOT_GIVEN;
	int found = 0;
	u32 next = 0;

	if (!strncmp(name, "id:", 3) &&
	    number_parse(name + 3, DAXCOW_MAX_ID, &number))
		number = NOT_GIVEN;
	while (!daxcow_next_volume(pool, next, &info)) {
		if (info.id == number || !strcmp(info.name, name)) {
			*id = info.id;
			found++;
		}
		next = info.id + 1;
	}
	if (found == 1)
		return EXIT_DONE;
	return fail(found ? EXIT_FAILED : EXIT_NOT_FOUND,
		    found ? "%s: several volumes are called \"%s\"; use id:N" :
			    "%s: there is no volume \"%s\"", path, name);
}

static int compare(const struct args *a, const struct media *m,
		   struct daxcow_pool *pool)
{
	struct json_object *rows;
	u32 left, right;
	int rc, err;

	rc = find(pool, m->path, a->word[1], &left);
	if (!rc)
		rc = find(pool, m->path, a->word[2], &right);
	if (rc)
		return rc;
	rows = json_object_new_array();
	err = delta_volumes(pool, left, right, note, rows);
	if (!err)
		return print_rows(a, "delta", rows, columns);
	json_object_put(rows);
	return fail_errno(-err, "%s", m->path);
}

int cmd_delta(const struct args *a)
{
	struct daxcow_report report;
	struct daxcow_pool *pool;
	struct media m;
	int rc, err;

	rc = media_open(&m, a->word[0], 0);
	if (!rc)
		rc = media_map(&m, false);
	if (rc)
		goto out_close;
	err = media_load(&m, &pool, &report);
	if (err) {
		rc = fail_errno(-err, "%s", m.path);
		goto out_close;
	}
	rc = compare(a, &m, pool);
	daxcow_unload(pool);
out_close:
	media_close(&m);
	return rc;
}
