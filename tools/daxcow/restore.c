// SPDX-License-Identifier: GPL-2.0
/*
 * daxcow restore: make a pool of what daxcow dump wrote; its text is described
 * in dump.c.
 *
 * Everything goes to the block that the text says. Data are copied from the pool
 * that --data names; without it they are what the target has at these blocks.
 *
 * The tables are made in memory and checked there, and the data are read, before
 * the target is touched: a text with a fault in its last line destroys nothing.
 */
#include <ctype.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <json-c/json.h>
#include <uuid/uuid.h>
#include "internal.h"
#include "daxcow.h"
#include "newpool.h"
#include "storage.h"

#define DIR_SLOT	slot_of(DAXCOW_SUPER_BLOCK, DAXCOW_SLOT_DIRECTORY)
#define TRANS_SLOT	slot_of(DAXCOW_SUPER_BLOCK, DAXCOW_SLOT_TRANS)

static const struct column columns[] = {
	{ "source", "Source", COLUMN_TEXT },
	{ "target", "Target", COLUMN_TEXT },
	{ "volumes", "Volumes", COLUMN_NUMBER },
	{ "data", "Data", COLUMN_BYTES },
	{ "metadata", "Metadata", COLUMN_BYTES },
	{ }
};

/**
 * struct restore - one run
 * @text:	the dump
 * @line:	of it
 * @open:	@target is
 * @block:	of the table that is being read, with its entries in @word; 0: none
 * @level:	of it
 * @dir:	it is one of volumes
 * @stage:	memory in which the tables are made
 * @tables:	blocks that are made there, a bit each
 * @copied:	data blocks that have to be copied, a bit each
 */
struct restore {
	FILE *text;
	const char *path;
	unsigned int line;
	struct media data;
	bool has_data, open, ended;
	struct newpool target;
	struct daxcow_super super;
	struct entry_crc crc;
	u64 nr_blocks, block;
	int level;
	bool dir;
	__le64 word[DAXCOW_NODE_SLOTS];
	struct media stage;
	u8 *tables, *copied;
};

static int bad_line(struct restore *r, const char *why)
{
	return fail(EXIT_DAMAGED, "%s: line %u: %s", r->path, r->line, why);
}

/* ---- parts of lines ---- */

/* The text after KEY=, up to a space; NULL when there is none. */
static const char *value_of(const char *line, const char *key)
{
	char want[24];
	const char *p;

	snprintf(want, sizeof(want), " %s=", key);
	p = strstr(line, want);
	return p ? p + strlen(want) : NULL;
}

static bool get_number(const char *line, const char *key, u64 *number)
{
	const char *p = value_of(line, key);
	char *end;

	if (!p || *p < '0' || *p > '9')
		return false;
	errno = 0;
	*number = strtoull(p, &end, 10);
	return !errno && (*end == ' ' || *end == '\n');
}

static bool get_uuid(const char *line, u8 *uuid)
{
	const char *p = value_of(line, "uuid");
	char text[UUID_STR_LEN];

	return p && sscanf(p, "%36s", text) == 1 && !uuid_parse(text, uuid);
}

/* Into a field of @size bytes, which ends with a 0. */
static bool get_text(const char *line, const char *key, u8 *text, size_t size)
{
	const char *p = value_of(line, key);
	unsigned int byte;
	size_t n = 0;

	if (!p)
		return false;
	memset(text, 0, size);
	for (; *p && *p != ' ' && *p != '\n'; p++) {
		byte = (u8)*p;
		if (byte == '%') {
			if (!isxdigit((u8)p[1]) || !isxdigit((u8)p[2]) ||
			    sscanf(p + 1, "%2x", &byte) != 1 || !byte)
				return false;
			p += 2;
		}
		if (n + 1 >= size)
			return false;
		text[n++] = byte;
	}
	return true;
}

/* ---- what is written ---- */

static bool legal_block(const struct restore *r, u64 block)
{
	u64 zero = super_zero_block(le64_to_cpu(r->super.chunk_offset));

	return block && block != DAXCOW_BACKUP_BLOCK && block < r->nr_blocks &&
	       (block < zero || block >= zero + DAXCOW_CHUNK_BLOCKS);
}

static void set_bit(u8 *map, u64 block)
{
	map[block / 8] |= 1 << block % 8;
}

static bool test_bit(const u8 *map, u64 block)
{
	return map[block / 8] & 1 << block % 8;
}

static char *stage_block(const struct restore *r, u64 block)
{
	return (char *)r->stage.base + (block << DAXCOW_BLOCK_SHIFT);
}

static void put_block(struct restore *r, u64 block, const void *content)
{
	memcpy(stage_block(r, block), content, DAXCOW_BLOCK_SIZE);
	set_bit(r->tables, block);
}

static int write_table(struct restore *r)
{
	if (r->block)
		put_block(r, r->block, r->word);
	r->block = 0;
	return EXIT_DONE;
}

static void note_data(struct restore *r, u64 block, u64 nr)
{
	for (; nr && r->has_data; nr--, block++)
		set_bit(r->copied, block);
}

/* All data, to the target or, without @write, only to see that they are there. */
static int copy_data(struct restore *r, bool write)
{
	char content[DAXCOW_BLOCK_SIZE];
	u64 block;

	for (block = 0; block < r->nr_blocks; block++) {
		if (!test_bit(r->copied, block))
			continue;
		if (pread(r->data.fd, content, sizeof(content),
			  block << DAXCOW_BLOCK_SHIFT) != sizeof(content))
			return fail(EXIT_FAILED, "%s: cannot read block %llu",
				    r->data.path, (unsigned long long)block);
		if (write)
			newpool_write(&r->target, block, content);
	}
	return EXIT_DONE;
}

static void copy_tables(struct restore *r)
{
	u64 block;

	for (block = 0; block < r->nr_blocks; block++)
		if (test_bit(r->tables, block))
			newpool_write(&r->target, block, stage_block(r, block));
}

/* Pages that are not written take no memory. */
static int make_stage(struct restore *r)
{
	u64 size = r->nr_blocks << DAXCOW_BLOCK_SHIFT;
	void *base;

	r->tables = calloc(1, r->nr_blocks / 8 + 1);
	r->copied = calloc(1, r->nr_blocks / 8 + 1);
	if (!r->tables || !r->copied)
		return fail_errno(ENOMEM, "%s", r->path);
	base = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return fail_errno(errno, "%s", r->path);
	r->stage = (struct media) {
		.path = r->path, .fd = -1, .size = size, .base = base,
	};
	return EXIT_DONE;
}

static int check_stage(struct restore *r)
{
	struct daxcow_report report;
	struct daxcow_pool *pool;

	newpool_super(r->stage.base, &r->super);
	if (media_load(&r->stage, &pool, &report))
		return fail(EXIT_DAMAGED, "%s: not a valid pool: %s (block %llu, word %u)",
			    r->path, daxcow_bad_text(report.bad),
			    (unsigned long long)report.block, report.index);
	daxcow_unload(pool);
	return EXIT_DONE;
}

/* ---- lines ---- */

static int line_pool(struct restore *r, const struct args *a, const char *line)
{
	u8 uuid[DAXCOW_UUID_SIZE], label[DAXCOW_NAME_SIZE];
	struct daxcow_params p = { .uuid = uuid, .label = (char *)label };
	struct entry e = { .type = DAXCOW_ENTRY_TRANS };
	int rc;

	if (r->open)
		return bad_line(r, "a second pool");
	if (!get_number(line, "blocks", &r->nr_blocks) ||
	    !get_number(line, "chunk_offset", &p.chunk_offset) ||
	    !get_number(line, "created", &p.created) ||
	    !get_number(line, "transaction", &e.block) ||
	    !get_uuid(line, uuid) ||
	    !get_text(line, "label", label, sizeof(label)))
		return bad_line(r, "not as in \"pool blocks=N chunk_offset=N created=N transaction=N uuid=U label=TEXT\"");
	if (r->nr_blocks < DAXCOW_MIN_BLOCKS ||
	    r->nr_blocks > DAXCOW_ENTRY_BLOCK_MASK ||
	    p.chunk_offset >= DAXCOW_CHUNK_BLOCKS ||
	    e.block > DAXCOW_ENTRY_BLOCK_MASK)
		return bad_line(r, "a number is out of range");
	entry_crc_init(&r->crc, uuid);
	super_init(&r->super, r->nr_blocks, &p, &r->crc);
	r->super.trans = cpu_to_le64(entry_encode(&r->crc, TRANS_SLOT, e));
	rc = newpool_open(&r->target, a->word[1], r->nr_blocks, a->force);
	r->open = !rc;
	return rc ? rc : make_stage(r);
}

static int line_table(struct restore *r, const char *line, bool dir)
{
	unsigned long long block;
	int level, highest = dir ? DAXCOW_DIR_LEVEL : DAXCOW_MAX_LEVEL;

	write_table(r);
	if (sscanf(line, "%*s %llu %d", &block, &level) != 2 ||
	    !legal_block(r, block) || level < 0 || level > highest)
		return bad_line(r, "no block and level that a table can have");
	r->block = block;
	r->level = level;
	r->dir = dir;
	memset(r->word, 0, sizeof(r->word));
	return EXIT_DONE;
}

/* What an entry of the table that is being read may name, or false. */
static bool entry_of(const struct restore *r, const char *what, struct entry *e)
{
	if (r->dir && r->level && !strcmp(what, "dir"))
		*e = (struct entry) { DAXCOW_ENTRY_DIR, r->level - 1, 0 };
	else if (r->dir && !r->level && !strcmp(what, "volume"))
		*e = (struct entry) { DAXCOW_ENTRY_RECORD, 0, 0 };
	else if (!r->dir && r->level && !strcmp(what, "node"))
		*e = (struct entry) { DAXCOW_ENTRY_NODE, r->level - 1, 0 };
	else if (!r->dir && r->level == 1 && !strcmp(what, "chunk"))
		*e = (struct entry) { DAXCOW_ENTRY_DATA, 1, 0 };
	else if (!r->dir && !r->level && !strcmp(what, "block"))
		*e = (struct entry) { DAXCOW_ENTRY_DATA, 0, 0 };
	else
		return false;
	return true;
}

static int line_entry(struct restore *r, const char *line)
{
	unsigned long long block;
	unsigned int first, last, i;
	char what[8];
	struct entry e;

	if (!r->block)
		return bad_line(r, "an entry, and no table before it");
	if (sscanf(line, "%u-%u %7s %llu", &first, &last, what, &block) != 4) {
		if (sscanf(line, "%u %7s %llu", &first, what, &block) != 3)
			return bad_line(r, "not as in \"INDEX[-INDEX] WHAT BLOCK\"");
		last = first;
	}
	if (!entry_of(r, what, &e))
		return bad_line(r, "that cannot be in a table of this kind and level");
	if (last < first || last >= DAXCOW_NODE_ENTRIES ||
	    (last > first && strcmp(what, "block")) ||
	    !legal_block(r, block) || !legal_block(r, block + last - first) ||
	    (is_chunk(e) && !legal_block(r, block + DAXCOW_CHUNK_BLOCKS - 1)))
		return bad_line(r, "an index or a block is out of range");
	if (e.type != DAXCOW_ENTRY_DATA && !test_bit(r->tables, block))
		return bad_line(r, "names a block that is not before it");
	for (i = first; i <= last; i++) {
		e.block = block + i - first;
		r->word[i] = cpu_to_le64(entry_encode(&r->crc,
						      slot_of(r->block, i), e));
	}
	if (e.type != DAXCOW_ENTRY_DATA)
		return EXIT_DONE;
	note_data(r, block, is_chunk(e) ? DAXCOW_CHUNK_BLOCKS :
					  last - first + 1);
	return EXIT_DONE;
}

static bool get_root(struct restore *r, const char *line, u64 block, __le64 *root)
{
	const char *p = value_of(line, "root");
	unsigned long long at;
	struct entry e = { .type = DAXCOW_ENTRY_NODE };
	unsigned int level;

	*root = 0;
	if (!p)
		return false;
	if (*p == '-')
		return true;
	if (sscanf(p, "%llu/%u", &at, &level) != 2 || !legal_block(r, at) ||
	    level > DAXCOW_MAX_LEVEL || !test_bit(r->tables, at))
		return false;
	e.block = at;
	e.level = level;
	*root = cpu_to_le64(entry_encode(&r->crc, root_slot(block), e));
	return true;
}

static int line_volume(struct restore *r, const char *line)
{
	struct daxcow_record v = { .magic = cpu_to_le64(DAXCOW_RECORD_MAGIC) };
	u64 id, origin = DAXCOW_NO_ORIGIN, size, created, domain;
	const char *p = value_of(line, "origin");
	unsigned long long block;

	write_table(r);
	if (sscanf(line, "volume %llu", &block) != 1 || !legal_block(r, block) ||
	    !get_number(line, "id", &id) || id > DAXCOW_MAX_ID || !p ||
	    (*p != '-' && (!get_number(line, "origin", &origin) ||
			   origin > DAXCOW_MAX_ID)) ||
	    !get_number(line, "size", &size) || size > DAXCOW_MAX_VOLUME_BLOCKS ||
	    !get_number(line, "created", &created) ||
	    !get_number(line, "domain", &domain) || domain > UINT32_MAX ||
	    !get_uuid(line, v.uuid) ||
	    !get_text(line, "name", v.name, sizeof(v.name)) ||
	    !get_root(r, line, block, &v.root))
		return bad_line(r, "not as in \"volume BLOCK id=N origin=N|- size=N created=N domain=N uuid=U name=TEXT root=BLOCK/LEVEL|-\"");
	v.id = cpu_to_le32(id);
	v.origin = cpu_to_le32(origin);
	v.size = cpu_to_le64(size);
	v.created = cpu_to_le64(created);
	v.domain = cpu_to_le32(domain);
	v.crc = cpu_to_le32(crc32c(~0U, &v, DAXCOW_RECORD_FIXED));
	put_block(r, block, &v);
	return EXIT_DONE;
}

static int line_root(struct restore *r, const char *line)
{
	struct entry e = {
		.type = DAXCOW_ENTRY_DIR, .level = DAXCOW_DIR_LEVEL,
	};
	unsigned long long block;

	write_table(r);
	if (!strncmp(line, "root -", 6))
		return EXIT_DONE;
	if (sscanf(line, "root %llu", &block) != 1 || !legal_block(r, block) ||
	    !test_bit(r->tables, block))
		return bad_line(r, "no block that is before it");
	e.block = block;
	r->super.directory = cpu_to_le64(entry_encode(&r->crc, DIR_SLOT, e));
	return EXIT_DONE;
}

static int read_line(struct restore *r, const struct args *a, const char *line)
{
	line += strspn(line, " \t");
	if (*line == '#' || *line == '\n')
		return EXIT_DONE;
	if (r->ended)
		return bad_line(r, "something after the end");
	if (!strncmp(line, "pool ", 5))
		return line_pool(r, a, line);
	if (!r->open)
		return bad_line(r, "not the line of the pool");
	if (*line >= '0' && *line <= '9')
		return line_entry(r, line);
	if (!strncmp(line, "node ", 5))
		return line_table(r, line, false);
	if (!strncmp(line, "dir ", 4))
		return line_table(r, line, true);
	if (!strncmp(line, "volume ", 7))
		return line_volume(r, line);
	if (!strncmp(line, "root ", 5))
		return line_root(r, line);
	r->ended = !strncmp(line, "end", 3);
	return r->ended ? EXIT_DONE : bad_line(r, "not understood");
}

static int read_text(struct restore *r, const struct args *a)
{
	char *line = NULL;
	size_t cap = 0;
	int rc = EXIT_DONE;

	for (r->line = 1; !rc && getline(&line, &cap, r->text) > 0; r->line++) {
		if (r->line == 1)
			rc = strncmp(line, "daxcow-dump 1\n", 14) ?
			     bad_line(r, "not a dump of this version") : EXIT_DONE;
		else
			rc = read_line(r, a, line);
	}
	free(line);
	if (!rc && !r->ended)
		rc = bad_line(r, "cut off");
	return rc;
}

static int restore(const struct args *a, struct restore *r)
{
	struct json_object *o;
	int rc = read_text(r, a);

	if (!rc)
		rc = check_stage(r);
	if (!rc)
		rc = copy_data(r, false);
	if (!rc)
		rc = newpool_begin(&r->target, !r->has_data);
	if (!rc)
		rc = copy_data(r, true);
	if (rc)
		return rc;
	copy_tables(r);
	o = json_object_new_object();
	json_set_text(o, "source", r->path);
	json_set_text(o, "target", a->word[1]);
	rc = newpool_finish(&r->target, &r->super, o);
	if (!rc)
		return print_record(a, "restore", o, columns);
	json_object_put(o);
	return rc;
}

int cmd_restore(const struct args *a)
{
	struct restore *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return fail_errno(ENOMEM, "%s", a->word[0]);
	r->path = a->word[0];
	rc = storage_distinct(r->path, a->word[1]);
	if (!rc && a->data)
		rc = storage_distinct(a->data, a->word[1]);
	if (rc)
		goto out_free;
	r->text = fopen(r->path, "re");
	if (!r->text) {
		rc = fail_errno(errno, "%s", r->path);
		goto out_free;
	}
	if (a->data)
		rc = media_open(&r->data, a->data, 0);
	r->has_data = a->data && !rc;
	if (!rc)
		rc = restore(a, r);
	if (r->open)
		newpool_close(&r->target);
	if (r->has_data)
		media_close(&r->data);
	fclose(r->text);
out_free:
	media_close(&r->stage);
	free(r->tables);
	free(r->copied);
	free(r);
	return rc;
}
