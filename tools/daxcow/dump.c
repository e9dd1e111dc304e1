// SPDX-License-Identifier: GPL-2.0
/*
 * daxcow dump: the tables of a pool as text, for people who want to see or
 * change them, and for daxcow restore.
 *
 * A line for each thing, and one for each entry of a table, or for entries in a
 * row that name blocks in a row. What is named stands before it.
 *
 *   daxcow-dump 1
 *   pool blocks=N chunk_offset=N created=N transaction=N uuid=U label=TEXT
 *   node BLOCK LEVEL		a table of a volume
 *     INDEX[-INDEX] block BLOCK	data; the first of them
 *     INDEX chunk BLOCK
 *     INDEX node BLOCK
 *   volume BLOCK id=N origin=N|- size=N created=N domain=N uuid=U name=TEXT root=BLOCK/LEVEL|-
 *   dir BLOCK LEVEL		a table of volumes
 *     INDEX dir BLOCK
 *     INDEX volume BLOCK
 *   root BLOCK|-
 *   end
 *
 * BLOCK is where it lies in the pool. In TEXT, all but letters, digits, ".", "_",
 * "+" and "-" is %XX. Empty lines and those that begin with # do not count.
 */
#include <ctype.h>
#include <stdio.h>
#include <uuid/uuid.h>
#include "internal.h"
#include "daxcow.h"
#include "media.h"
#include "salvage.h"

static void put_text(const char *key, const u8 *text, size_t size)
{
	size_t i;

	printf(" %s=", key);
	for (i = 0; i < size && text[i]; i++) {
		if (isalnum(text[i]) || strchr("._+-", text[i]))
			putchar(text[i]);
		else
			printf("%%%02x", text[i]);
	}
}

static void put_number(const char *key, u64 number)
{
	printf(" %s=%llu", key, (unsigned long long)number);
}

static void put_uuid(const u8 *uuid)
{
	char text[UUID_STR_LEN];

	uuid_unparse_lower(uuid, text);
	printf(" uuid=%s", text);
}

static void dump_super(const struct daxcow_super *s)
{
	printf("daxcow-dump 1\npool");
	put_number("blocks", entry_decode(le64_to_cpu(s->size)).block);
	put_number("chunk_offset", le64_to_cpu(s->chunk_offset));
	put_number("created", le64_to_cpu(s->created));
	put_number("transaction", entry_decode(le64_to_cpu(s->trans)).block);
	put_uuid(s->uuid);
	put_text("label", s->label, sizeof(s->label));
	putchar('\n');
}

static void dump_record(u64 block, const struct daxcow_record *r)
{
	struct entry root = entry_decode(le64_to_cpu(r->root));
	u32 origin = le32_to_cpu(r->origin);

	printf("volume %llu id=%u", (unsigned long long)block, le32_to_cpu(r->id));
	if (origin == DAXCOW_NO_ORIGIN)
		printf(" origin=-");
	else
		put_number("origin", origin);
	put_number("size", le64_to_cpu(r->size));
	put_number("created", le64_to_cpu(r->created));
	put_number("domain", le32_to_cpu(r->domain));
	put_uuid(r->uuid);
	put_text("name", r->name, sizeof(r->name));
	if (root.type == DAXCOW_ENTRY_NONE)
		printf(" root=-\n");
	else
		printf(" root=%llu/%u\n", (unsigned long long)root.block,
		       root.level);
}

/* How many entries in a row name blocks in a row. */
static unsigned int run_of(const __le64 *word, unsigned int i, struct entry e)
{
	unsigned int n;

	if (e.type != DAXCOW_ENTRY_DATA || e.level)
		return 1;
	for (n = 1; i + n < DAXCOW_NODE_ENTRIES; n++) {
		struct entry next = entry_decode(le64_to_cpu(word[i + n]));

		if (next.type != DAXCOW_ENTRY_DATA || next.level ||
		    next.block != e.block + n)
			break;
	}
	return n;
}

static const char *target_name(struct entry e)
{
	switch (e.type) {
	case DAXCOW_ENTRY_DATA:
		return e.level ? "chunk" : "block";
	case DAXCOW_ENTRY_NODE:
		return "node";
	case DAXCOW_ENTRY_DIR:
		return "dir";
	default:
		return "volume";
	}
}

static void dump_entries(const __le64 *word)
{
	unsigned int i, n;

	for (i = 0; i < DAXCOW_NODE_ENTRIES; i += n) {
		struct entry e = entry_decode(le64_to_cpu(word[i]));

		n = 1;
		if (!word[i])
			continue;
		n = run_of(word, i, e);
		printf("  %u", i);
		if (n > 1)
			printf("-%u", i + n - 1);
		printf(" %s %llu\n", target_name(e), (unsigned long long)e.block);
	}
}

static int dump_node(void *ctx, const struct salvage_node *n)
{
	u64 *count = ctx;

	if (n->kind == SALVAGE_RECORD) {
		dump_record(n->block, n->content);
	} else {
		printf("%s %llu %d\n", n->kind == SALVAGE_DIR ? "dir" : "node",
		       (unsigned long long)n->block, n->level);
		dump_entries(n->content);
	}
	if (!(++*count % 4096))
		progress("%llu tables", (unsigned long long)*count);
	return ferror(stdout) ? -EIO : 0;
}

static int note_lost(void *ctx, const struct daxcow_report *r, u64 vblk, u64 nr)
{
	printf("# lost of volume id:%u, offset %llu, %llu bytes: %s (block %llu, word %u)\n",
	       r->volume, (unsigned long long)vblk << DAXCOW_BLOCK_SHIFT,
	       (unsigned long long)nr << DAXCOW_BLOCK_SHIFT,
	       daxcow_bad_text(r->bad), (unsigned long long)r->block, r->index);
	return 0;
}

static int note_lost_volumes(void *ctx, const struct daxcow_report *r, u32 id,
			     u64 nr)
{
	printf("# lost volumes id:%u to id:%llu: %s (block %llu, word %u)\n", id,
	       (unsigned long long)id + nr - 1, daxcow_bad_text(r->bad),
	       (unsigned long long)r->block, r->index);
	return 0;
}

static int dump(const struct media *m, struct salvage *s)
{
	static const struct salvage_ops ops = {
		.node = dump_node,
		.lost = note_lost,
		.lost_volumes = note_lost_volumes,
	};
	struct entry root;
	u64 count = 0;
	int err;

	dump_super(salvage_super(s));
	err = salvage_walk(s, &ops, &count);
	if (err)
		return fail_errno(-err, "%s", m->path);
	root = entry_decode(le64_to_cpu(salvage_super(s)->directory));
	if (root.type == DAXCOW_ENTRY_NONE)
		printf("root -\nend\n");
	else
		printf("root %llu\nend\n", (unsigned long long)root.block);
	return EXIT_DONE;
}

int cmd_dump(const struct args *a)
{
	struct daxcow_report bad = { .level = -1, .volume = ~0U };
	struct media m;
	struct media_reader reader = { .media = &m, .block = DAXCOW_HOLE };
	struct salvage_source source = {
		.read = media_read_sector, .ctx = &reader,
	};
	struct salvage *s;
	int rc, err;

	rc = media_open(&m, a->word[0], a->force ? MEDIA_SHARED : 0);
	if (rc)
		return rc;
	source.nr_blocks = m.size >> DAXCOW_BLOCK_SHIFT;
	err = salvage_open(&s, &source, &bad);
	if (err) {
		rc = bad.bad ? fail(EXIT_DAMAGED, "%s: %s", m.path,
				    daxcow_bad_text(bad.bad)) :
			       fail_errno(-err, "%s", m.path);
	} else {
		rc = dump(&m, s);
		salvage_close(s);
	}
	media_close(&m);
	return rc;
}
