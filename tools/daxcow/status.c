// SPDX-License-Identifier: GPL-2.0
/*
 * What there is: daxcow status, list.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>
#include "pool.h"

static const struct column pool_columns[] = {
	{ "name", "NAME", COLUMN_TEXT },
	{ "mode", "MODE", COLUMN_TEXT },
	{ "size", "SIZE", COLUMN_BYTES },
	{ "data", "DATA", COLUMN_BYTES },
	{ "metadata", "META", COLUMN_BYTES },
	{ "used_percent", "USE%", COLUMN_NUMBER },
	{ "when_full", "WHEN-FULL", COLUMN_TEXT },
	{ "device", "DEVICE", COLUMN_TEXT },
	{ }
};

static const struct column volume_columns[] = {
	{ "name", "NAME", COLUMN_TEXT },
	{ "id", "ID", COLUMN_NUMBER },
	{ "size", "SIZE", COLUMN_BYTES },
	{ "mapped", "MAPPED", COLUMN_BYTES },
	{ "shared", "SHARED", COLUMN_BYTES },
	{ "exclusive", "EXCLUSIVE", COLUMN_BYTES },
	{ "origin", "ORIGIN", COLUMN_TEXT },
	{ "created", "CREATED", COLUMN_TIME },
	{ "device", "DEVICE", COLUMN_TEXT },
	{ "domain", "DOMAIN", COLUMN_NUMBER },
	{ "bad", "BAD", COLUMN_BYTES },
	{ }
};

/* The status line is thin-pool's; a failed pool says one word. */
static void parse_status(struct json_object *o, const char *params)
{
	unsigned long long trans, meta, meta_total, data, data_total;
	char mode[32], full[32], check[16];

	if (sscanf(params, "%llu %llu/%llu %llu/%llu %*s %31s %*s %31s %15s",
		   &trans, &meta, &meta_total, &data, &data_total, mode, full,
		   check) != 8) {
		json_set_text(o, "mode", "failed");
		return;
	}
	json_set_text(o, "mode", mode);
	json_set_number(o, "size", data_total << DAXCOW_BLOCK_SHIFT);
	json_set_number(o, "data", data << DAXCOW_BLOCK_SHIFT);
	json_set_number(o, "metadata", meta << DAXCOW_BLOCK_SHIFT);
	/* as df: a whole percent more, where some of it is used */
	if (data_total)
		json_set_number(o, "used_percent",
				((data + meta) * 100 + data_total - 1) / data_total);
	json_set_text(o, "when_full", strncmp(full, "error", 5) ? "queue" :
		      "error");
	json_set_bool(o, "needs_check", !strcmp(check, "needs_check"));
	json_set_number(o, "transaction_id", trans);
}

/* /dev/pmem0 for 259:0, where that can be told. */
static void set_device(struct json_object *o, const char *params)
{
	char path[64], line[128], device[128];
	unsigned int major, minor;
	FILE *f;

	if (sscanf(params, "%u:%u", &major, &minor) != 2)
		return;
	snprintf(device, sizeof(device), "%u:%u", major, minor);
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/uevent", major,
		 minor);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "DEVNAME=%100s", device + 5) == 1)
			memcpy(device, "/dev/", 5);
	if (f)
		fclose(f);
	json_set_text(o, "device", device);
}

static struct json_object *describe_pool(const struct dm_dev *table)
{
	struct json_object *o = json_object_new_object();
	struct dm_dev status;

	json_set_text(o, "name", table->name);
	if (dm_status(table->name, &status))
		json_set_text(o, "mode", "failed");
	else
		parse_status(o, status.params);
	set_device(o, table->params);
	json_set_bool(o, "suspended", table->suspended);
	return o;
}

static int add_pool(const struct dm_dev *dev, void *rows)
{
	json_object_array_add(rows, describe_pool(dev));
	return 0;
}

/* With no status that could be asked for. */
static int add_unfinished(const struct dm_dev *dev, void *rows)
{
	struct json_object *o;

	if (!pool_unfinished(dev))
		return 0;
	o = json_object_new_object();
	json_set_text(o, "name", dev->name);
	json_set_text(o, "mode", "unfinished");
	json_object_array_add(rows, o);
	return 0;
}

static int status_all(const struct args *a)
{
	struct json_object *rows = json_object_new_array();
	int err = dm_each(DM_POOL_TARGET, add_pool, rows);

	if (!err)
		err = dm_each(NULL, add_unfinished, rows);
	if (err) {
		json_object_put(rows);
		return fail_errno(-err, "cannot list the devices");
	}
	return print_rows(a, "pools", rows, pool_columns);
}

/**
 * struct figure - what is told of one pool
 * @column:	with the key that the message "stats" has for it, if it is from there
 * @shift:	to make bytes of blocks
 */
struct figure {
	struct column column;
	unsigned int shift;
};

/* As people look for it. What is not there is left out. */
static const struct figure figures[] = {
	{ { "name", "Name", COLUMN_TEXT }, 0 },
	{ { "label", "Label", COLUMN_TEXT }, 0 },
	{ { "uuid", "UUID", COLUMN_TEXT }, 0 },
	{ { "device", "Device", COLUMN_TEXT }, 0 },
	{ { "created", "Created", COLUMN_TIME }, 0 },
	{ { "mode", "Mode", COLUMN_TEXT }, 0 },
	{ { "when_full", "When full", COLUMN_TEXT }, 0 },
	{ { "dax", "DAX", COLUMN_TEXT }, 0 },
	{ { "suspended", "Suspended", COLUMN_TEXT }, 0 },
	{ { "needs_check", "Needs a check", COLUMN_TEXT }, 0 },
	{ { "size", "Size", COLUMN_BYTES }, 0 },
	{ { "data", "Data", COLUMN_BYTES }, 0 },
	{ { "metadata", "Metadata", COLUMN_BYTES }, 0 },
	{ { "used_percent", "Use%", COLUMN_NUMBER }, 0 },
	{ { "free", "Free", COLUMN_BYTES }, DAXCOW_BLOCK_SHIFT },
	{ { "chunks_free", "Whole chunks of 2 MiB free", COLUMN_NUMBER }, 0 },
	{ { "reserve", "Reserved for deleting", COLUMN_BYTES }, DAXCOW_BLOCK_SHIFT },
	{ { "pending", "Waiting for readers", COLUMN_BYTES }, DAXCOW_BLOCK_SHIFT },
	{ { "bad", "Failed memory in use", COLUMN_BYTES }, DAXCOW_BLOCK_SHIFT },
	{ { "retired", "Failed memory retired", COLUMN_BYTES }, DAXCOW_BLOCK_SHIFT },
	{ { "memory", "Kernel memory", COLUMN_BYTES }, 0 },
	{ { "volumes", "Volumes", COLUMN_NUMBER }, 0 },
	{ { "blocks", "Blocks of 4 KiB", COLUMN_NUMBER }, 0 },
	{ { "chunk_offset", "First block of a chunk", COLUMN_NUMBER }, 0 },
	{ { "transaction_id", "Transaction id", COLUMN_NUMBER }, 0 },
	/* in blocks, since it was started */
	{ { "provisions", "Blocks newly mapped", COLUMN_NUMBER }, 0 },
	{ { "copies", "Blocks copied", COLUMN_NUMBER }, 0 },
	{ { "merged", "Blocks merged", COLUMN_NUMBER }, 0 },
	{ { "unmapped", "Blocks of zeroes unmapped", COLUMN_NUMBER }, 0 },
};

static const struct figure *find_figure(const char *key)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(figures); i++)
		if (!strcmp(figures[i].column.key, key))
			return &figures[i];
	return NULL;
}

#define NR_COLUMNS	64
#define TITLE_SIZE	32

/**
 * struct details - the columns for one pool
 * @title:	of those that this version does not know
 */
struct details {
	struct column column[NR_COLUMNS];
	char title[NR_COLUMNS][TITLE_SIZE];
	size_t nr;
};

/* Of a later kernel: its own word for it, as words. */
static void add_unknown(struct details *d, const char *key)
{
	char *title = d->title[d->nr];

	if (d->nr == NR_COLUMNS - 1)
		return;
	snprintf(title, TITLE_SIZE, "%s", key);
	title[0] = toupper((unsigned char)title[0]);
	while ((title = strchr(title, '_')))
		*title = ' ';
	d->column[d->nr] = (struct column) {
		key, d->title[d->nr], COLUMN_NUMBER,
	};
	d->nr++;
}

/* "key value" a line; what is known from the status line already is left. */
static void add_stats(struct json_object *o, char *answer, struct details *d)
{
	char *line, *value, *rest = answer;
	const struct figure *f;
	bool is_text;
	u64 number;

	while ((line = strsep(&rest, "\n"))) {
		value = strchr(line, ' ');
		if (!value)
			continue;
		*value++ = 0;
		if (json_object_object_get_ex(o, line, NULL))
			continue;
		f = find_figure(line);
		if (!f)
			add_unknown(d, line);
		/* a label may look like a number */
		is_text = f && f->column.kind == COLUMN_TEXT;
		if (is_text || number_parse(value, UINT64_MAX, &number))
			json_set_text(o, line, strcmp(value, "-") ? value :
				      NULL);
		else
			json_set_number(o, line, number <<
					(f ? f->shift : 0));
	}
}

static int status_one(const struct args *a)
{
	struct details d = { };
	struct json_object *o;
	struct pool pool;
	char *answer;
	int rc;

	rc = pool_find(&pool, a->word[0]);
	if (!rc)
		rc = pool_ask(&pool, &answer, "stats");
	if (rc)
		return rc;
	for (d.nr = 0; d.nr < ARRAY_SIZE(figures); d.nr++)
		d.column[d.nr] = figures[d.nr].column;
	o = describe_pool(&pool.dm);
	add_stats(o, answer, &d);
	rc = print_record(a, "pool", o, d.column);
	free(answer);
	pool_close(&pool);
	return rc;
}

int cmd_status(const struct args *a)
{
	return a->words ? status_one(a) : status_all(a);
}

static void set_usage(struct json_object *row, const char *answer)
{
	unsigned long long mapped, exclusive, huge, bad;

	if (sscanf(answer, "%llu %llu %llu %*s %*s %llu", &mapped, &exclusive,
		   &huge, &bad) != 4)
		return;
	json_set_number(row, "mapped", mapped << DAXCOW_BLOCK_SHIFT);
	json_set_number(row, "shared", (mapped - exclusive) <<
			DAXCOW_BLOCK_SHIFT);
	json_set_number(row, "exclusive", exclusive << DAXCOW_BLOCK_SHIFT);
	json_set_number(row, "huge", huge << DAXCOW_BLOCK_SHIFT);
	json_set_number(row, "bad", bad << DAXCOW_BLOCK_SHIFT);
}

static void set_origin(struct json_object *row, const struct pool *pool,
		       const struct volume *v)
{
	char text[VOLUME_TEXT];
	size_t i;

	if (v->origin == DAXCOW_NO_ORIGIN)
		return;
	/* it may have been removed since */
	snprintf(text, sizeof(text), "id:%u", v->origin);
	for (i = 0; i < pool->volumes; i++)
		if (pool->volume[i].id == v->origin)
			volume_text(&pool->volume[i], text);
	json_set_text(row, "origin", text);
	json_set_number(row, "origin_id", v->origin);
}

static struct json_object *describe_volume(const struct pool *pool,
					   const struct volume *v)
{
	struct json_object *row = json_object_new_object();
	char text[VOLUME_TEXT];

	json_set_text(row, "name", volume_text(v, text));
	json_set_number(row, "id", v->id);
	json_set_text(row, "uuid", v->uuid);
	if (v->size)
		json_set_number(row, "size", v->size);
	json_set_number(row, "created", v->created);
	json_set_number(row, "open", v->open);
	json_set_number(row, "domain", v->domain);
	set_origin(row, pool, v);
	json_set_text(row, "device", v->device);
	return row;
}

static int list(const struct args *a, struct pool *pool,
		struct json_object *rows)
{
	char *answer;
	size_t i;
	int rc;

	for (i = 0; i < pool->volumes; i++) {
		struct volume *v = &pool->volume[i];
		struct json_object *row = describe_volume(pool, v);

		json_object_array_add(rows, row);
		if (a->quick)
			continue;
		progress("counting: %zu of %zu", i + 1, pool->volumes);
		rc = pool_ask(pool, &answer, "usage %u", v->id);
		if (rc)
			return rc;
		set_usage(row, answer);
		free(answer);
	}
	return EXIT_DONE;
}

int cmd_list(const struct args *a)
{
	struct json_object *rows;
	struct pool pool;
	int rc;

	rc = pool_open(&pool, a->word[0]);
	if (rc)
		return rc;
	rows = json_object_new_array();
	rc = pool_devices(&pool);
	if (!rc)
		rc = list(a, &pool, rows);
	if (rc)
		json_object_put(rows);
	else
		rc = print_rows(a, "volumes", rows, volume_columns);
	pool_close(&pool);
	return rc;
}
