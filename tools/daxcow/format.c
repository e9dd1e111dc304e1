// SPDX-License-Identifier: GPL-2.0
/*
 * daxcow format: make an empty pool.
 */
#include <stdio.h>
#include <time.h>
#include <json-c/json.h>
#include <uuid/uuid.h>
#include "daxcow.h"
#include "media.h"

/* In bytes. */
#define CHUNK_SIZE ((u64)DAXCOW_CHUNK_BLOCKS << DAXCOW_BLOCK_SHIFT)

static int chunk_offset(const struct media *m, const struct args *a, u64 *offset)
{
	u64 address = media_address(m);

	if (a->offset != NOT_GIVEN) {
		*offset = a->offset;
		return EXIT_DONE;
	}
	if (address % DAXCOW_BLOCK_SIZE)
		return fail(EXIT_FAILED,
			    "%s: does not begin at a multiple of 4 KiB, so it cannot be used with DAX; move the partition",
			    m->path);
	*offset = (CHUNK_SIZE - address % CHUNK_SIZE) % CHUNK_SIZE >>
		  DAXCOW_BLOCK_SHIFT;
	return EXIT_DONE;
}

static int print(const struct args *a, const struct media *m,
		 const struct daxcow_params *p)
{
	static const struct column columns[] = {
		{ "device", "Device", COLUMN_TEXT },
		{ "uuid", "UUID", COLUMN_TEXT },
		{ "label", "Label", COLUMN_TEXT },
		{ "size", "Size", COLUMN_BYTES },
		{ "chunk_offset", "Chunk offset", COLUMN_NUMBER },
		{ }
	};
	struct json_object *o = json_object_new_object();
	char uuid[UUID_STR_LEN];

	uuid_unparse_lower(p->uuid, uuid);
	json_set_text(o, "device", m->path);
	json_set_text(o, "uuid", uuid);
	json_set_text(o, "label", p->label);
	json_set_number(o, "size", m->size);
	json_set_number(o, "chunk_offset", p->chunk_offset);
	return print_record(a, "pool", o, columns);
}

static int format(const struct args *a, struct media *m)
{
	struct daxcow_params p = { .label = a->label, .created = time(NULL) };
	uuid_t uuid;
	int rc, err;

	if (m->size >> DAXCOW_BLOCK_SHIFT < DAXCOW_MIN_BLOCKS)
		return fail(EXIT_FAILED, "%s: too small: a pool needs %llu MiB",
			    m->path, DAXCOW_MIN_BLOCKS >> 8);
	rc = chunk_offset(m, a, &p.chunk_offset);
	if (rc)
		return rc;
	uuid_generate(uuid);
	p.uuid = uuid;
	rc = media_map(m, true);
	if (rc)
		return rc;
	/* from here on nothing is refused any more */
	rc = content_make_way(m, a->force);
	if (rc)
		return rc;
	progress("writing");
	err = daxcow_format(m->base, m->size >> DAXCOW_BLOCK_SHIFT, &p);
	if (err)
		return fail_errno(-err, "%s: cannot make a pool of this size",
				  m->path);
	rc = media_sync(m);
	return rc ? rc : print(a, m, &p);
}

int cmd_format(const struct args *a)
{
	struct media m;
	int rc;

	/* the pool is going to be started by that name */
	rc = a->label && *a->label ? name_check("label", a->label) : EXIT_DONE;
	if (!rc)
		rc = media_open(&m, a->word[0], MEDIA_WRITE);
	if (rc)
		return rc;
	rc = format(a, &m);
	media_close(&m);
	return rc;
}
