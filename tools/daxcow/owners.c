// SPDX-License-Identifier: GPL-2.0
/*
 * Who owns a block, and where a volume's blocks lie: daxcow owners, map.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <json-c/json.h>
#include <linux/dm-daxcow.h>
#include "files.h"
#include "pool.h"

static const struct column owner_columns[] = {
	{ "volume", "VOLUME", COLUMN_TEXT },
	{ "id", "ID", COLUMN_NUMBER },
	{ "offset", "OFFSET", COLUMN_NUMBER },
	{ "length", "LENGTH", COLUMN_BYTES },
	{ "device", "DEVICE", COLUMN_TEXT },
	{ }
};

static const struct column file_columns[] = {
	{ "volume", "VOLUME", COLUMN_TEXT },
	{ "id", "ID", COLUMN_NUMBER },
	{ "offset", "OFFSET", COLUMN_NUMBER },
	{ "length", "LENGTH", COLUMN_BYTES },
	{ "device", "DEVICE", COLUMN_TEXT },
	{ "at", "AT", COLUMN_NUMBER },
	{ "file", "FILE", COLUMN_TEXT },
	{ }
};

static const struct column map_columns[] = {
	{ "offset", "OFFSET", COLUMN_NUMBER },
	{ "length", "LENGTH", COLUMN_BYTES },
	{ "block", "BLOCK", COLUMN_NUMBER },
	{ }
};

/* ---- owners ---- */

/* NULL for one that has come since the volumes were listed. */
static const struct volume *volume_of(const struct pool *pool, u32 id)
{
	size_t i;

	for (i = 0; i < pool->volumes; i++)
		if (pool->volume[i].id == id)
			return &pool->volume[i];
	return NULL;
}

static struct json_object *describe_owner(const struct volume *v,
					  const struct daxcow_owner_range *o)
{
	struct json_object *row = json_object_new_object();
	char text[VOLUME_TEXT];

	snprintf(text, sizeof(text), "id:%u", o->volume);
	if (v) {
		volume_text(v, text);
		json_set_text(row, "device", v->device);
	}
	json_set_text(row, "volume", text);
	json_set_number(row, "id", o->volume);
	json_set_number(row, "offset", o->start << DAXCOW_BLOCK_SHIFT);
	json_set_number(row, "length", o->nr << DAXCOW_BLOCK_SHIFT);
	return row;
}

static int owners_failed(const struct pool *pool, int err)
{
	if (err == ERANGE)
		return fail(EXIT_NOT_FOUND, "%s: that block is not in the pool",
			    pool->dm.name);
	return fail_errno(err, "%s: cannot ask for the owners", pool->dm.name);
}

/* A page of them; @files may be NULL. */
static void add_owners(const struct pool *pool, struct files *files,
		       const struct daxcow_ioc_owners *x,
		       const struct daxcow_owner_range *page,
		       struct json_object *rows)
{
	__u32 i;

	for (i = 0; i < x->nr; i++) {
		const struct volume *v = volume_of(pool, page[i].volume);
		struct json_object *row = describe_owner(v, &page[i]);

		json_object_array_add(rows, row);
		if (files && x->use == DAXCOW_USE_DATA)
			files_ask(files, v, page[i].start << DAXCOW_BLOCK_SHIFT,
				  row);
		else if (files)
			files_set_state(row, "table");
	}
}

static int get_owners(const struct args *a, const struct pool *pool, int fd,
		      struct files *files, struct daxcow_ioc_owners *x,
		      struct json_object *rows)
{
	struct daxcow_owner_range page[256];

	*x = (struct daxcow_ioc_owners) {
		.size = sizeof(*x),
		.major = pool->dm.major,
		.minor = pool->dm.minor,
		.owners = (uintptr_t)page,
	};
	do {
		x->block = a->pfn == NOT_GIVEN ? a->block : a->pfn;
		x->flags = a->pfn == NOT_GIVEN ? 0 : DAXCOW_OWNERS_PFN;
		x->nr = ARRAY_SIZE(page);
		if (ioctl(fd, DAXCOW_IOC_OWNERS, x))
			return owners_failed(pool, errno);
		add_owners(pool, files, x, page, rows);
		x->first += x->nr;
		progress("%llu of %llu", (unsigned long long)x->first,
			 (unsigned long long)x->total);
	} while (x->nr && x->first < x->total);
	return EXIT_DONE;
}

/* Instead of a path. */
static void set_reason(struct json_object *line)
{
	static const struct {
		const char *state, *text;
	} reasons[] = {
		{ "inactive", "not active" },
		{ "unmounted", "not mounted" },
		{ "unknown", "the file system does not know" },
		{ "table", "a table of the pool" },
	};
	const char *state = json_object_get_string(json_object_object_get(line, "state"));
	const char *reason = json_object_get_string(json_object_object_get(line, "kind"));
	char text[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		if (!strcmp(reasons[i].state, state))
			reason = reasons[i].text;
	snprintf(text, sizeof(text), "(%s)", reason ? reason : state);
	json_set_text(line, "file", text);
}

static void set_file(struct json_object *line, struct json_object *file)
{
	struct json_object *at, *path = json_object_object_get(file, "path");
	char text[64];

	if (!json_object_object_get_ex(file, "offset", &at) ||
	    strcmp(json_object_get_string(json_object_object_get(file, "part")),
		   "data"))
		at = json_object_object_get(file, "part");
	json_object_object_add(line, "at", json_object_get(at));
	if (path) {
		json_object_object_add(line, "file", json_object_get(path));
		return;
	}
	snprintf(text, sizeof(text), "(inode %s, no path)",
		 json_object_get_string(json_object_object_get(file, "inode")));
	json_set_text(line, "file", text);
}

static struct json_object *add_line(struct json_object *lines,
				    struct json_object *row)
{
	struct json_object *line = json_object_new_object();

	json_object_object_foreach(row, key, value)
		json_object_object_add(line, key, json_object_get(value));
	json_object_array_add(lines, line);
	return line;
}

/* For people: a line for each file. */
static struct json_object *lines_of(struct json_object *rows)
{
	struct json_object *lines = json_object_new_array();
	size_t i, j, nr;

	for (i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);
		struct json_object *files = json_object_object_get(row, "files");

		nr = json_object_array_length(files);
		for (j = 0; j < nr; j++)
			set_file(add_line(lines, row),
				 json_object_array_get_idx(files, j));
		if (!nr)
			set_reason(add_line(lines, row));
	}
	json_object_put(rows);
	return lines;
}

static int print_owners(const struct args *a, struct json_object *rows)
{
	if (!a->files)
		return print_rows(a, "owners", rows, owner_columns);
	if (!a->json)
		rows = lines_of(rows);
	return print_rows(a, "owners", rows, file_columns);
}

static int no_owner(const struct pool *pool, const struct daxcow_ioc_owners *x)
{
	return fail(EXIT_NOT_FOUND, x->use == DAXCOW_USE_POOL ?
		    "%s: block %llu is the pool's own, and no volume's" :
		    "%s: block %llu is not in use", pool->dm.name,
		    (unsigned long long)x->block);
}

/* @files may be NULL. Paths that cannot be found do not keep the rest back. */
static int owners(const struct args *a, const struct pool *pool, int fd,
		  struct files *files)
{
	struct json_object *rows = json_object_new_array();
	struct daxcow_ioc_owners x;
	int rc, found;

	rc = get_owners(a, pool, fd, files, &x, rows);
	if (!rc && !x.total)
		rc = no_owner(pool, &x);
	if (rc) {
		json_object_put(rows);
		return rc;
	}
	found = files ? files_find(files) : EXIT_DONE;
	rc = print_owners(a, rows);
	return rc ? rc : found;
}

int cmd_owners(const struct args *a)
{
	bool by_block = a->block != NOT_GIVEN, by_pfn = a->pfn != NOT_GIVEN;
	struct files files;
	struct pool pool;
	int rc, fd;

	if (by_block == by_pfn)
		return fail(EXIT_USAGE, "which block? give one of --block, --offset and --pfn");
	rc = pool_open(&pool, a->word[0]);
	if (rc)
		return rc;
	rc = pool_devices(&pool);
	if (!rc)
		rc = control_open(&fd);
	if (rc)
		goto out_pool;
	if (a->files)
		rc = files_open(&files);
	if (rc)
		goto out_control;
	rc = owners(a, &pool, fd, a->files ? &files : NULL);
	if (a->files)
		files_close(&files);
out_control:
	close(fd);
out_pool:
	pool_close(&pool);
	return rc;
}

/* ---- map ---- */

static int get_map(const struct pool *pool, const struct volume *v, int fd,
		   u64 start, u64 end, struct json_object *rows)
{
	struct daxcow_extent page[256];
	struct daxcow_ioc_map x = {
		.size = sizeof(x),
		.major = pool->dm.major,
		.minor = pool->dm.minor,
		.volume = v->id,
		.start = start,
		.end = end,
		.extents = (uintptr_t)page,
	};
	__u32 i;

	do {
		x.nr = ARRAY_SIZE(page);
		if (ioctl(fd, DAXCOW_IOC_MAP, &x))
			return fail_errno(errno, "%s: cannot ask for the map",
					  pool->dm.name);
		for (i = 0; i < x.nr; i++) {
			struct json_object *row = json_object_new_object();

			json_set_number(row, "offset",
					page[i].start << DAXCOW_BLOCK_SHIFT);
			json_set_number(row, "length",
					page[i].nr << DAXCOW_BLOCK_SHIFT);
			json_set_number(row, "block", page[i].block);
			json_object_array_add(rows, row);
		}
		progress("%llu MiB", (unsigned long long)x.start >> 8);
	} while (x.start < x.end);
	return EXIT_DONE;
}

/* [OFFSET [LENGTH]] in bytes, as blocks; what they touch. */
static int parse_range(const struct args *a, u64 *start, u64 *end)
{
	u64 offset = 0, length = DAXCOW_MAX_VOLUME_BLOCKS << DAXCOW_BLOCK_SHIFT;

	if (a->words > 2 && offset_parse(a->word[2], length, &offset))
		return fail(EXIT_USAGE, "\"%s\" is not an offset: " SIZE_HELP,
			    a->word[2]);
	if (a->words > 3 && size_parse(a->word[3], &length))
		return fail(EXIT_USAGE, "\"%s\" is not a length: " SIZE_HELP,
			    a->word[3]);
	*start = offset >> DAXCOW_BLOCK_SHIFT;
	*end = *start + (length >> DAXCOW_BLOCK_SHIFT);
	return EXIT_DONE;
}

int cmd_map(const struct args *a)
{
	struct json_object *rows;
	struct volume *v;
	struct pool pool;
	u64 start = 0, end = 0;
	int rc, fd;

	rc = parse_range(a, &start, &end);
	if (!rc)
		rc = pool_open(&pool, a->word[0]);
	if (rc)
		return rc;
	v = pool_volume(&pool, a->word[1], &rc);
	if (v)
		rc = control_open(&fd);
	if (rc)
		goto out_pool;
	rows = json_object_new_array();
	rc = get_map(&pool, v, fd, start, end, rows);
	if (rc)
		json_object_put(rows);
	else
		rc = print_rows(a, "map", rows, map_columns);
	close(fd);
out_pool:
	pool_close(&pool);
	return rc;
}
