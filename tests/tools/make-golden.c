// SPDX-License-Identifier: GPL-2.0
/*
 * The golden images: pools as they are, and as they must not be.
 *
 *   make-golden --list        the names
 *   make-golden NAME FILE     make one, the same each time
 *
 * All have three volumes, but for "empty":
 *
 *   id 1 "root"  8 MiB, blocks 0..99 and a whole chunk written
 *   id 2 "snap"  snapshot of root, block 5 written since
 *   id 3         4 MiB, no name, empty
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "internal.h"

#define BLOCKS	(DAXCOW_MIN_BLOCKS + 3)
#define BYTES	(BLOCKS * DAXCOW_BLOCK_SIZE)
#define FRESH	(BLOCKS - 9)	/* a block that nobody uses */

static u8 *base;
static struct entry_crc crc;

static void must(int ret, const char *what)
{
	if (ret < 0)
		errx(1, "%s: %s", what, strerror(-ret));
}

/* ---- a good one ---- */

static void provision(struct daxcow_pool *pool, u32 id, u64 vblk, u64 nr)
{
	struct daxcow_volume *vol;
	u64 block;
	long n;

	must(daxcow_open(pool, id, &vol), "open");
	for (; nr; nr -= n, vblk += n) {
		n = daxcow_provision(vol, vblk, nr, &block);
		must(n, "provision");
	}
	daxcow_close(vol);
}

static void make_volumes(void)
{
	struct daxcow_volume_desc d[3] = {
		{ .id = 1, .size = 2048, .uuid = (const u8 *)"rootrootrootroot",
		  .name = "root" },
		{ .id = 2, .origin = 1, .uuid = (const u8 *)"snapsnapsnapsnap",
		  .name = "snap" },
		{ .id = 3, .size = 1024, .uuid = (const u8 *)"voidvoidvoidvoid" },
	};
	struct daxcow_pool *pool;

	must(daxcow_load(&pool, base, BLOCKS, 0, NULL, NULL), "load");
	must(daxcow_create(pool, &d[0]), "create");
	provision(pool, 1, 0, 100);
	provision(pool, 1, DAXCOW_CHUNK_BLOCKS, DAXCOW_CHUNK_BLOCKS);
	must(daxcow_snapshot(pool, &d[1], 1), "snapshot");
	provision(pool, 2, 5, 1);
	must(daxcow_create(pool, &d[2]), "create");
	while (daxcow_reclaim_prepare(pool))
		while (daxcow_reclaim_run(pool))
			;
	daxcow_unload(pool);
}

/* ---- where things are ---- */

static struct daxcow_super *super(void)
{
	return (struct daxcow_super *)base;
}

static u64 *word(u64 slot)
{
	return (u64 *)base + slot;
}

static u64 below(u64 slot)
{
	return entry_decode(le64_to_cpu(*word(slot))).block;
}

static u64 directory_slot(u32 id)
{
	u64 slot = slot_of(DAXCOW_SUPER_BLOCK, DAXCOW_SLOT_DIRECTORY);
	int level;

	for (level = DAXCOW_DIR_LEVEL; level >= 0; level--)
		slot = slot_of(below(slot), id >> (DAXCOW_NODE_SHIFT * level) &
					    (DAXCOW_NODE_ENTRIES - 1));
	return slot;
}

static u64 volume_root(u32 id)
{
	return slot_of(below(directory_slot(id)), DAXCOW_SLOT_ROOT);
}

/* of the whole chunk of id 1: in its node of level 1 */
static u64 chunk_slot(void)
{
	return slot_of(below(volume_root(1)), 1);
}

/* of block 0 of id 1 */
static u64 leaf_slot(void)
{
	return slot_of(below(slot_of(below(volume_root(1)), 0)), 0);
}

static void set(u64 slot, unsigned int type, unsigned int level, u64 block)
{
	struct entry e = { .block = block, .level = level, .type = type };

	*word(slot) = cpu_to_le64(entry_encode(&crc, slot, e));
}

static void fix_super(void)
{
	struct daxcow_super *s = super();

	s->crc = cpu_to_le32(crc32c(~0U, s, DAXCOW_SUPER_FIXED));
	memcpy(base + DAXCOW_BACKUP_BLOCK * DAXCOW_BLOCK_SIZE, s,
	       DAXCOW_SUPER_FIXED + 4);
}

/* ---- what can be wrong ---- */

static void nothing(void) {}

static void magic(void) { super()->magic ^= 1; }

static void version(void)
{
	super()->version = cpu_to_le32(DAXCOW_VERSION + 1);
	fix_super();
}

static void feature(void)
{
	super()->incompat = cpu_to_le64(1ULL << 40);
	fix_super();
}

/* one that may be read, and one that does not matter: no damage */
static void feature_ro(void)
{
	super()->ro_compat = cpu_to_le64(1);
	super()->compat = cpu_to_le64(1);
	fix_super();
}

static void geometry_node(void)
{
	super()->node_shift = cpu_to_le16(DAXCOW_NODE_SHIFT + 1);
	fix_super();
}

static void geometry_offset(void)
{
	super()->chunk_offset = cpu_to_le64(DAXCOW_CHUNK_BLOCKS);
	fix_super();
}

static void geometry_label(void)
{
	memset(super()->label, 'x', DAXCOW_NAME_SIZE);
	fix_super();
}

static void super_crc(void) { super()->label[0] ^= 4; }

static void truncated(void)
{
	set(DAXCOW_SLOT_SIZE, DAXCOW_ENTRY_SIZE, 0, BLOCKS + 1);
}

static void too_small(void)
{
	set(DAXCOW_SLOT_SIZE, DAXCOW_ENTRY_SIZE, 0, 1);
}

static void size_type(void)
{
	set(DAXCOW_SLOT_SIZE, DAXCOW_ENTRY_TRANS, 0, BLOCKS);
}

static void trans_check(void) { *word(DAXCOW_SLOT_TRANS) ^= 1ULL << 13; }

static void backup(void) { base[DAXCOW_BACKUP_BLOCK * DAXCOW_BLOCK_SIZE + 77]++; }

static void zero(void)
{
	base[2 * DAXCOW_CHUNK_BLOCKS * DAXCOW_BLOCK_SIZE - 1] = 1;
}

static void check_leaf(void) { *word(leaf_slot()) ^= 2; }
static void check_root(void) { *word(volume_root(2)) ^= 1ULL << 47; }
static void check_directory(void) { *word(directory_slot(2)) ^= 1ULL << 63; }

/* an entry of the next slot: right there, wrong here */
static void misplaced(void) { *word(leaf_slot()) = *word(leaf_slot() + 1); }

static void type_leaf(void)
{
	set(leaf_slot(), DAXCOW_ENTRY_NODE, 0, below(leaf_slot()));
}

static void type_directory(void)
{
	set(directory_slot(2), DAXCOW_ENTRY_DATA, 0, below(directory_slot(2)));
}

static void level_node(void)
{
	u64 slot = slot_of(below(volume_root(1)), 0);

	set(slot, DAXCOW_ENTRY_NODE, 1, below(slot));
}

static void level_root(void)
{
	set(volume_root(1), DAXCOW_ENTRY_NODE, 7, below(volume_root(1)));
}

/* The check of a value that no entry has: try them all. */
static void reserved(void)
{
	u64 slot = leaf_slot(), v = le64_to_cpu(*word(slot)), c;

	v = (v & DAXCOW_ENTRY_VALUE_MASK) | 1ULL << 42;
	for (c = 0; c < 0x10000; c++)
		if (entry_check(&crc, slot, v | c << DAXCOW_ENTRY_CHECK_SHIFT))
			*word(slot) = cpu_to_le64(v | c << DAXCOW_ENTRY_CHECK_SHIFT);
}

static void range_end(void) { set(leaf_slot(), DAXCOW_ENTRY_DATA, 0, BLOCKS); }

static void range_huge(void)
{
	set(leaf_slot(), DAXCOW_ENTRY_DATA, 0, DAXCOW_ENTRY_BLOCK_MASK);
}

static void range_super(void)
{
	set(leaf_slot(), DAXCOW_ENTRY_DATA, 0, DAXCOW_SUPER_BLOCK);
}

static void range_zero(void)
{
	set(leaf_slot(), DAXCOW_ENTRY_DATA, 0, DAXCOW_CHUNK_BLOCKS);
}

static void range_chunk(void)
{
	/* the last chunk is cut short by the end of the pool */
	set(chunk_slot(), DAXCOW_ENTRY_DATA, 1, DAXCOW_MIN_BLOCKS);
}

static void align(void)
{
	set(chunk_slot(), DAXCOW_ENTRY_DATA, 1, below(chunk_slot()) + 1);
}

/* data that is a node, a node that is its own, and one of another level */
static void reuse_data(void)
{
	set(leaf_slot(), DAXCOW_ENTRY_DATA, 0, slot_block(leaf_slot()));
}

static void reuse_cycle(void)
{
	u64 top = below(volume_root(1));

	set(slot_of(top, 0), DAXCOW_ENTRY_NODE, 0, top);
}

static void reuse_directory(void)
{
	u64 slot = slot_of(DAXCOW_SUPER_BLOCK, DAXCOW_SLOT_DIRECTORY);

	slot = slot_of(below(slot), 1);
	set(slot, DAXCOW_ENTRY_DIR, 1, slot_block(slot));
}

static void reuse_chunk(void)
{
	set(chunk_slot(), DAXCOW_ENTRY_DATA, 1,
	    below(leaf_slot()) & ~(DAXCOW_CHUNK_BLOCKS - 1ULL));
}

static void record(void)
{
	((struct daxcow_record *)word(slot_of(below(directory_slot(2)), 0)))->name[0]++;
}

static void record_huge(void)
{
	struct daxcow_record *r = (void *)word(slot_of(below(directory_slot(2)), 0));

	r->size = cpu_to_le64(DAXCOW_MAX_VOLUME_BLOCKS + 1);
	r->crc = cpu_to_le32(crc32c(~0U, r, DAXCOW_RECORD_FIXED));
}

static void record_id(void)
{
	u64 slot = directory_slot(3);

	set(slot + 1, DAXCOW_ENTRY_RECORD, 0, below(slot));
	*word(slot) = 0;
}

/* the directory has room for more ids than there are */
static void record_beyond(void)
{
	u64 record = below(directory_slot(3)), slot;
	const u32 id = DAXCOW_MAX_ID + 1;
	struct daxcow_record *r;
	int level;

	slot = slot_of(below(slot_of(DAXCOW_SUPER_BLOCK, DAXCOW_SLOT_DIRECTORY)),
		       id >> (DAXCOW_NODE_SHIFT * DAXCOW_DIR_LEVEL));
	for (level = DAXCOW_DIR_LEVEL - 1; level >= 0; level--) {
		memset(base + (FRESH + level) * DAXCOW_BLOCK_SIZE, 0,
		       DAXCOW_BLOCK_SIZE);
		set(slot, DAXCOW_ENTRY_DIR, level, FRESH + level);
		slot = slot_of(FRESH + level, 0);
	}
	*word(directory_slot(3)) = 0;
	set(slot, DAXCOW_ENTRY_RECORD, 0, record);
	r = (void *)word(slot_of(record, 0));
	r->id = cpu_to_le32(id);
	r->crc = cpu_to_le32(crc32c(~0U, r, DAXCOW_RECORD_FIXED));
}

/* two names for one record */
static void record_twice(void)
{
	set(directory_slot(4), DAXCOW_ENTRY_RECORD, 0, below(directory_slot(3)));
}

static void record_garbage(void)
{
	set(directory_slot(4), DAXCOW_ENTRY_RECORD, 0, FRESH);
	memset(base + FRESH * DAXCOW_BLOCK_SIZE, 0x5a, DAXCOW_BLOCK_SIZE);
}

static const struct {
	const char *name;
	void (*fn)(void);
} kinds[] = {
	{ "empty", NULL },
	{ "volumes", nothing },
	{ "feature-ro", feature_ro },
#define KIND(x) { #x, x }
	KIND(magic), KIND(version), KIND(feature), KIND(geometry_node),
	KIND(geometry_offset), KIND(geometry_label), KIND(super_crc),
	KIND(truncated), KIND(too_small), KIND(size_type), KIND(trans_check),
	KIND(backup), KIND(zero), KIND(check_leaf), KIND(check_root),
	KIND(check_directory), KIND(misplaced), KIND(type_leaf),
	KIND(type_directory), KIND(level_node), KIND(level_root),
	KIND(reserved), KIND(range_end), KIND(range_huge), KIND(range_super),
	KIND(range_zero), KIND(range_chunk), KIND(align), KIND(reuse_data),
	KIND(reuse_cycle), KIND(reuse_directory), KIND(reuse_chunk),
	KIND(record), KIND(record_huge), KIND(record_id), KIND(record_twice),
	KIND(record_garbage), KIND(record_beyond),
};

static void make(unsigned int i, const char *file)
{
	struct daxcow_params p = {
		.uuid = (const u8 *)"goldengoldengold", .label = "golden",
		.created = 1700000000,
	};
	int fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0666);

	if (fd < 0 || ftruncate(fd, BYTES))
		err(1, "%s", file);
	base = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		err(1, "%s", file);
	must(daxcow_format(base, BLOCKS, &p), "format");
	entry_crc_init(&crc, p.uuid);
	if (kinds[i].fn) {
		make_volumes();
		kinds[i].fn();
	}
	if (msync(base, BYTES, MS_SYNC))
		err(1, "%s", file);
}

int main(int argc, char **argv)
{
	bool list = argc == 2 && !strcmp(argv[1], "--list");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (list)
			puts(kinds[i].name);
		if (argc != 3 || strcmp(argv[1], kinds[i].name))
			continue;
		make(i, argv[2]);
		return 0;
	}
	if (!list)
		errx(2, "usage: make-golden --list | NAME FILE");
	return 0;
}
