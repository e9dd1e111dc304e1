// SPDX-License-Identifier: GPL-2.0
/*
 * daxcow pack and unpack: the tables of a pool, without the data.
 *
 * For bug reports and tests: what decides whether a pool loads, damaged as it
 * is, in a small file. Unpacked it is a pool whose data read as zero.
 *
 * A pack is compressed by zlib. It begins with struct pack_head; then come, in any
 * order, numbers of blocks (8 bytes, little endian), each with the 4096 bytes of
 * the block; then PACK_END. Blocks that are not there are zero.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <json-c/json.h>
#include <daxcow/pmem.h>
#include "daxcow.h"
#include "media.h"
#include "newfile.h"
#include "salvage.h"
#include "storage.h"

#define PACK_MAGIC	0x4b43415043584144ULL	/* "DAXCPACK" */
#define PACK_VERSION	1
#define PACK_END	(~0ULL)

/**
 * struct pack_head - the beginning of a pack
 * @magic:	PACK_MAGIC
 * @version:	PACK_VERSION
 * @nr_blocks:	of the device
 */
struct pack_head {
	__le64 magic;
	__le64 version;
	__le64 nr_blocks;
};

static const struct column columns[] = {
	{ "file", "File", COLUMN_TEXT },
	{ "device_size", "Device size", COLUMN_BYTES },
	{ "blocks", "Blocks", COLUMN_NUMBER },
	{ "complete", "Complete", COLUMN_TEXT },
	{ }
};

static int print(const struct args *a, const char *file, u64 nr_blocks,
		 u64 blocks, bool complete)
{
	struct json_object *o = json_object_new_object();

	json_set_text(o, "file", file);
	json_set_number(o, "device_size", nr_blocks << DAXCOW_BLOCK_SHIFT);
	json_set_number(o, "blocks", blocks);
	json_set_bool(o, "complete", complete);
	return print_record(a, "pack", o, columns);
}

/**
 * struct packer - a pack that is being written
 * @blocks:	written
 * @complete:	nothing was damaged or unreadable
 */
struct packer {
	struct media_reader reader;
	gzFile out;
	u64 blocks;
	bool complete;
};

/* As it is on the medium; what cannot be read is zero. */
static int pack_block(struct packer *p, u64 block)
{
	char content[DAXCOW_BLOCK_SIZE] = "";
	__le64 number = cpu_to_le64(block);
	unsigned int i;

	for (i = 0; i < sizeof(content) / 512; i++)
		if (media_read_sector(&p->reader, block, i, content + i * 512))
			p->complete = false;
	if (gzwrite(p->out, &number, sizeof(number)) != sizeof(number) ||
	    gzwrite(p->out, content, sizeof(content)) != sizeof(content))
		return -EIO;
	p->blocks++;
	if (!(p->blocks % 4096))
		progress("%llu blocks", (unsigned long long)p->blocks);
	return 0;
}

static int pack_node(void *ctx, const struct salvage_node *n)
{
	return pack_block(ctx, n->block);
}

static int incomplete(void *ctx, const struct daxcow_report *r, u64 vblk, u64 nr)
{
	((struct packer *)ctx)->complete = false;
	return 0;
}

static int incomplete_volumes(void *ctx, const struct daxcow_report *r, u32 id,
			      u64 nr)
{
	((struct packer *)ctx)->complete = false;
	return 0;
}

/* The zero chunk is not part of the tables, unless it is damaged. */
static int pack_zero_chunk(struct packer *p, const struct daxcow_super *super)
{
	static const char zero[512];
	u64 first = le64_to_cpu(super->chunk_offset) + DAXCOW_CHUNK_BLOCKS, b;
	char buf[512];
	unsigned int i;
	int err = 0;

	for (b = first; b < first + DAXCOW_CHUNK_BLOCKS && !err; b++) {
		for (i = 0; i < DAXCOW_BLOCK_SIZE / 512; i++) {
			if (!media_read_sector(&p->reader, b, i, buf) &&
			    !memcmp(buf, zero, sizeof(buf)))
				continue;
			err = pack_block(p, b);
			break;
		}
	}
	return err;
}

static int pack_tables(struct packer *p, u64 nr_blocks)
{
	static const struct salvage_ops ops = {
		.node = pack_node,
		.lost = incomplete,
		.lost_volumes = incomplete_volumes,
	};
	struct salvage_source source = {
		.read = media_read_sector, .ctx = &p->reader,
		.nr_blocks = nr_blocks,
	};
	struct pack_head head = {
		.magic = cpu_to_le64(PACK_MAGIC),
		.version = cpu_to_le64(PACK_VERSION),
		.nr_blocks = cpu_to_le64(nr_blocks),
	};
	__le64 end = cpu_to_le64(PACK_END);
	struct daxcow_report report;
	struct salvage *s;
	int err;

	if (gzwrite(p->out, &head, sizeof(head)) != sizeof(head))
		return -EIO;
	err = pack_block(p, DAXCOW_SUPER_BLOCK);
	if (!err && nr_blocks > DAXCOW_BACKUP_BLOCK)
		err = pack_block(p, DAXCOW_BACKUP_BLOCK);
	if (err)
		return err;
	if (salvage_open(&s, &source, &report)) {
		p->complete = false;
	} else {
		err = salvage_walk(s, &ops, p);
		if (!err)
			err = pack_zero_chunk(p, salvage_super(s));
		salvage_close(s);
	}
	if (!err && gzwrite(p->out, &end, sizeof(end)) != sizeof(end))
		err = -EIO;
	return err;
}

static int pack(const struct args *a, struct media *m, struct newfile *file)
{
	struct packer p = {
		.reader = { .media = m, .block = DAXCOW_HOLE },
		.complete = true,
	};
	u64 nr_blocks = m->size >> DAXCOW_BLOCK_SHIFT;
	int err, rc, fd;

	/* gzclose() closes what it has, and the file is not done then */
	fd = dup(file->fd);
	p.out = fd < 0 ? NULL : gzdopen(fd, "wb9");
	if (!p.out) {
		if (fd >= 0)
			close(fd);
		return fail_errno(ENOMEM, "%s", file->path);
	}
	err = pack_tables(&p, nr_blocks);
	if (gzclose(p.out) != Z_OK && !err)
		err = -EIO;
	if (err)
		return fail_errno(-err, "%s: cannot write", file->path);
	rc = newfile_commit(file);
	return rc ? rc : print(a, a->word[1], nr_blocks, p.blocks, p.complete);
}

int cmd_pack(const struct args *a)
{
	struct newfile file;
	struct media m;
	int rc;

	rc = storage_distinct(a->word[0], a->word[1]);
	if (rc)
		return rc;
	rc = media_open(&m, a->word[0], a->force ? MEDIA_SHARED : 0);
	if (rc)
		return rc;
	rc = newfile_create(&file, a->word[1], a->force);
	if (!rc) {
		rc = pack(a, &m, &file);
		newfile_close(&file);
	}
	media_close(&m);
	return rc;
}

/* ---- unpack ---- */

static int read_head(gzFile in, const char *path, u64 *nr_blocks)
{
	struct pack_head head;

	if (gzread(in, &head, sizeof(head)) != sizeof(head) ||
	    le64_to_cpu(head.magic) != PACK_MAGIC)
		return fail(EXIT_DAMAGED, "%s: not a pack", path);
	if (le64_to_cpu(head.version) != PACK_VERSION)
		return fail(EXIT_DAMAGED, "%s: made by another version", path);
	*nr_blocks = le64_to_cpu(head.nr_blocks);
	if (*nr_blocks >> DAXCOW_ENTRY_BLOCK_BITS)
		return fail(EXIT_DAMAGED, "%s: damaged", path);
	return EXIT_DONE;
}

static int unpack_blocks(gzFile in, const char *path, int fd, const char *file,
			 u64 nr_blocks, u64 *blocks)
{
	char content[DAXCOW_BLOCK_SIZE];
	__le64 number;
	u64 block;

	for (;;) {
		if (gzread(in, &number, sizeof(number)) != sizeof(number))
			break;
		block = le64_to_cpu(number);
		if (block == PACK_END)
			return EXIT_DONE;
		if (block >= nr_blocks ||
		    gzread(in, content, sizeof(content)) != sizeof(content))
			break;
		if (pwrite(fd, content, sizeof(content),
			   block << DAXCOW_BLOCK_SHIFT) != sizeof(content))
			return fail_errno(errno, "%s: cannot write", file);
		++*blocks;
	}
	return fail(EXIT_DAMAGED, "%s: damaged, or cut off", path);
}

static int unpack(const struct args *a, gzFile in, struct newfile *file)
{
	const char *path = a->word[0], *name = a->word[1];
	u64 nr_blocks = 0, blocks = 0;
	int rc;

	rc = read_head(in, path, &nr_blocks);
	if (!rc)
		rc = newfile_create(file, name, a->force);
	if (rc)
		return rc;
	if (ftruncate(file->fd, nr_blocks << DAXCOW_BLOCK_SHIFT))
		rc = fail_errno(errno, "%s: cannot make it as large as the pool",
				name);
	if (!rc)
		rc = unpack_blocks(in, path, file->fd, name, nr_blocks, &blocks);
	if (!rc)
		rc = newfile_commit(file);
	newfile_close(file);
	return rc ? rc : print(a, name, nr_blocks, blocks, true);
}

int cmd_unpack(const struct args *a)
{
	const char *path = a->word[0];
	struct newfile file;
	gzFile in;
	int rc;

	rc = storage_distinct(path, a->word[1]);
	if (rc)
		return rc;
	in = gzopen(path, "rb");
	if (!in)
		return fail_errno(errno ? errno : ENOMEM, "%s", path);
	rc = unpack(a, in, &file);
	gzclose(in);
	return rc;
}
