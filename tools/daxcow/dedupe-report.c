// SPDX-License-Identifier: GPL-2.0
/*
 * What a run of daxcow dedupe has done, or could do.
 */
#include <stdio.h>
#include <string.h>
#include <json-c/json.h>
#include "dedupe.h"

/* Members may be added without a new one. */
#define SCHEMA 1
/* When less can be freed, in percent, it is not worth it. */
#define WORTH 2

static const struct column columns[] = {
	{ "pool", "Pool", COLUMN_TEXT },
	{ "blocks", "Blocks", COLUMN_NUMBER },
	{ "read", "Read", COLUMN_BYTES },
	{ "seconds", "Seconds", COLUMN_NUMBER },
	{ "rate", "Per second", COLUMN_BYTES },
	{ "passes", "Passes", COLUMN_NUMBER },
	{ "freed", "Freed", COLUMN_BYTES },
	{ "merged_4k", "Merged 4 KiB", COLUMN_NUMBER },
	{ "merged_2m", "Merged 2 MiB", COLUMN_NUMBER },
	{ "zeroes", "Zeroes", COLUMN_NUMBER },
	{ "hot", "Hot", COLUMN_NUMBER },
	{ "unreadable", "Unreadable", COLUMN_NUMBER },
	{ "memory", "Memory", COLUMN_BYTES },
	{ "remark", "Remark", COLUMN_TEXT },
	{ }
};

static const struct column estimate_columns[] = {
	{ "pool", "Pool", COLUMN_TEXT },
	{ "blocks", "Blocks", COLUMN_NUMBER },
	{ "read", "Read", COLUMN_BYTES },
	{ "seconds", "Seconds", COLUMN_NUMBER },
	{ "freeable", "Can be freed", COLUMN_BYTES },
	{ "freeable_2m", "By 2 MiB", COLUMN_BYTES },
	{ "freeable_4k", "By 4 KiB", COLUMN_BYTES },
	{ "error", "Give or take", COLUMN_BYTES },
	{ "unreadable", "Unreadable", COLUMN_NUMBER },
	{ "memory", "Memory", COLUMN_BYTES },
	{ "owner_text", "Owners", COLUMN_TEXT },
	{ "remark", "Remark", COLUMN_TEXT },
	{ }
};

static const char * const status_names[NR_STATUS] = {
	[DAXCOW_MERGE_NOT_TRIED] = "not_tried",
	[DAXCOW_MERGE_MERGED] = "merged",
	[DAXCOW_MERGE_SAME] = "same",
	[DAXCOW_MERGE_DIFFERS] = "differs",
	[DAXCOW_MERGE_STALE] = "stale",
	[DAXCOW_MERGE_HOT] = "hot",
	[DAXCOW_MERGE_PINNED] = "pinned",
	[DAXCOW_MERGE_CAP] = "cap",
	[DAXCOW_MERGE_BAD] = "bad",
	[DAXCOW_MERGE_DOMAIN] = "domain",
	[DAXCOW_MERGE_HUGE] = "huge",
	[DAXCOW_MERGE_NO_MEMORY] = "no_memory",
};

/* The most memory that the process ever had, in bytes. */
static u64 peak_memory(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long kib = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %llu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib << 10;
}

static u64 bytes(double blocks)
{
	return (u64)blocks << DAXCOW_BLOCK_SHIFT;
}

static void set_double(struct json_object *o, const char *key, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.3f", value);
	json_object_object_add(o, key, json_object_new_double_s(value, text));
}

static void set_statuses(struct json_object *o, const struct counts *n)
{
	struct json_object *s = json_object_new_object();
	unsigned int i;

	for (i = 0; i < NR_STATUS; i++)
		json_set_number(s, status_names[i], n->status[i]);
	json_object_object_add(o, "statuses", s);
}

static void set_owners(struct json_object *o, const struct counts *n)
{
	struct json_object *rows = json_object_new_array();
	unsigned int i;

	for (i = 0; i < OWNER_CLASSES; i++) {
		struct json_object *row;

		if (!n->owners[i])
			continue;
		row = json_object_new_object();
		json_set_number(row, "from", 1ULL << i);
		json_set_number(row, "to", (2ULL << i) - 1);
		json_set_number(row, "blocks", n->owners[i]);
		json_object_array_add(rows, row);
	}
	json_object_object_add(o, "owners", rows);
}

/* For people: "1-1: 123, 2-3: 45". */
static void set_owner_text(struct json_object *o, const struct counts *n)
{
	char text[200] = "";
	size_t used = 0;
	unsigned int i;

	for (i = 0; i < OWNER_CLASSES && used < sizeof(text); i++)
		if (n->owners[i])
			used += snprintf(text + used, sizeof(text) - used,
					 "%s%llu-%llu: %llu", used ? ", " : "",
					 1ULL << i, (2ULL << i) - 1,
					 (unsigned long long)n->owners[i]);
	json_set_text(o, "owner_text", text);
}

/* As far as it is known: what has changed since says nothing about the rest. */
static void set_worth(struct json_object *o, const struct dedupe *d,
		      double free, double all)
{
	bool worth = free * 100 >= all * WORTH;
	char text[128], size[SIZE_TEXT];

	json_set_bool(o, "worth", worth);
	if (worth || !all)
		return;
	snprintf(text, sizeof(text), d->a->estimate ?
		 "not worth it: %.1f %% of %s can be freed" :
		 "little gained: %.1f %% of %s",
		 free * 100 / all, size_format(size, bytes(all)));
	json_set_text(o, "remark", text);
}

static void set_freeable(struct json_object *o, const struct dedupe *d,
			 const struct estimate *e)
{
	const struct counts *n = &d->store.s.counts;
	double all = n->freed, huge = min(n->merged_2m * CHUNK_BLOCKS, n->freed);

	if (e) {
		all = e->free;
		huge = min(e->free_2m, all);
	}
	json_set_number(o, "freeable", bytes(all));
	json_set_number(o, "freeable_2m", bytes(huge));
	json_set_number(o, "freeable_4k", bytes(all - huge));
	json_set_number(o, "error", e ? bytes(e->error + 0.5) : 0);
	if (e)
		set_worth(o, d, all, n->listed);
	else
		set_worth(o, d, d->store.s.saved, d->store.s.base);
}

static double index_bytes(const struct dedupe *d)
{
	const struct state *s = &d->store.s;
	double size = index_part_size(s->buckets) * (double)s->parts +
		      index_part_size(s->chunk_buckets);

	return s->buckets && s->base ? size / s->base : 0;
}

static struct json_object *describe(const struct dedupe *d,
				    const struct estimate *e)
{
	struct json_object *o = json_object_new_object();
	const struct counts *n = &d->store.s.counts;
	double seconds = n->usec / 1e6;

	json_set_number(o, "version", SCHEMA);
	json_set_text(o, "pool", d->pool->dm.name);
	json_set_bool(o, "estimate", e);
	json_set_bool(o, "complete", !d->partial && !stop_signal);
	json_set_bool(o, "resumed", d->resumed);
	json_set_bool(o, "incremental", !d->whole);
	json_set_number(o, "blocks", n->listed);
	json_set_number(o, "blocks_read", n->read);
	json_set_number(o, "read", n->read << DAXCOW_BLOCK_SHIFT);
	set_double(o, "seconds", seconds);
	json_set_number(o, "rate", seconds > 0 ? bytes(n->read / seconds) : 0);
	json_set_number(o, "passes", d->store.s.parts);
	json_set_number(o, "freed", n->freed << DAXCOW_BLOCK_SHIFT);
	json_set_number(o, "merged_4k", n->merged_4k);
	json_set_number(o, "merged_2m", n->merged_2m);
	json_set_number(o, "zeroes", n->zeroes);
	json_set_number(o, "rested", n->rested);
	json_set_number(o, "hot", n->hot);
	json_set_number(o, "unreadable", n->unreadable);
	json_set_number(o, "memory", peak_memory());
	set_double(o, "index_bytes_per_block", index_bytes(d));
	set_freeable(o, d, e);
	set_statuses(o, n);
	set_owners(o, n);
	if (!d->a->json)
		set_owner_text(o, n);
	return o;
}

int report(struct dedupe *d, const struct estimate *e)
{
	return print_record(d->a, "dedupe", describe(d, e),
			    e ? estimate_columns : columns);
}

void report_line(const struct dedupe *d)
{
	const struct counts *n = &d->store.s.counts;
	char read[SIZE_TEXT], freed[SIZE_TEXT];

	printf("%s: read %s in %.1f s, freed %s (%llu merged, %llu of 2 MiB, %llu zero), %llu hot, %llu unreadable\n",
	       d->pool->dm.name, size_format(read, bytes(n->read)),
	       n->usec / 1e6, size_format(freed, bytes(n->freed)),
	       (unsigned long long)n->merged_4k,
	       (unsigned long long)n->merged_2m,
	       (unsigned long long)n->zeroes, (unsigned long long)n->hot,
	       (unsigned long long)n->unreadable);
	fflush(stdout);
}
