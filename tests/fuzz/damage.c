// SPDX-License-Identifier: GPL-2.0
/*
 * An input is a list of changes, 10 bytes each: which block of the tables, which
 * of its first words, how (see transform()), and a number (7). It means something
 * for any pool; a word that is changed twice is changed from what it was in the good
 * one.
 */
#include "damage.h"
#include "salvage.h"

#define CHANGE	10
/* more than superblock, record and a small node have */
#define WORDS	80

static int note_table(void *ctx, const struct salvage_node *n)
{
	struct damage_tables *t = ctx;

	/* two are for the superblocks */
	if (t->nr == DAMAGE_TABLES - 2)
		return -E2BIG;
	t->block[t->nr++] = n->block;
	return 0;
}

static int read_sector(void *ctx, u64 block, unsigned int sector, void *buf)
{
	const struct damage_tables *t = ctx;

	memcpy(buf, t->good + block * DAXCOW_BLOCK_SIZE + sector * 512, 512);
	return 0;
}

int damage_tables(struct damage_tables *t, const char *good, u64 nr_blocks)
{
	static const struct salvage_ops ops = { .node = note_table };
	struct salvage_source src = {
		.read = read_sector, .ctx = t, .nr_blocks = nr_blocks,
	};
	struct daxcow_report report;
	struct salvage *s;
	int ret;

	t->good = good;
	t->nr = 0;
	entry_crc_init(&t->crc, ((const struct daxcow_super *)good)->uuid);
	if (salvage_open(&s, &src, &report))
		return -EINVAL;
	ret = salvage_walk(s, &ops, t);
	salvage_close(s);
	t->block[t->nr++] = DAXCOW_SUPER_BLOCK;
	t->block[t->nr++] = DAXCOW_BACKUP_BLOCK;
	return ret;
}

static u64 good_word(const struct damage_tables *t, unsigned int table,
		     unsigned int word)
{
	u64 v;

	memcpy(&v, t->good + t->block[table % t->nr] * DAXCOW_BLOCK_SIZE + word * 8,
	       8);
	return v;
}

/* An accident: check bits and all. */
static u64 transform(const struct damage_tables *t, u64 old, u8 how, u64 value)
{
	switch (how) {
	case 0:
		return 0;
	case 1:
		return ~0ULL;
	case 2:
		return old ^ 1ULL << value % 64;
	case 3:
		return old + value % 256;
	case 4:
		return old - value % 256;
	case 5:
		return value << 8;
	case 6:	/* another entry of these tables */
		return good_word(t, value, value / 256 % WORDS);
	case 7:
		return old ^ value;
	case 8:
		return old & ~(0xffULL << value % 57);
	default:
		return old ^ 3ULL << value % 63;
	}
}

/* Intent: an entry that says something else, with the right check. */
static u64 forge(const struct damage_tables *t, u64 slot, u64 old, u8 how, u64 value)
{
	struct entry e = entry_decode(old);

	switch (how) {
	case 10:
		e.block = value;
		break;
	case 11:
		e.block = t->block[value % t->nr];
		break;
	case 12:
		e.block += value % 16 - 8;
		break;
	case 13:
		e.level = value % 8;
		break;
	case 14:
		e.type = value % 8;
		break;
	default:
		e = (struct entry) {
			.block = t->block[value % t->nr] + value / 256 % 4,
			.level = value / 1024 % 4,
			.type = 1 + value / 4096 % 6,
		};
	}
	e.block &= DAXCOW_ENTRY_BLOCK_MASK;
	return entry_encode(&t->crc, slot, e);
}

struct damage {
	void (*fn)(void *ctx, u64 word, u64 value);
	void *ctx;
};

/*
 * A word of the fixed part of a superblock or a record, with the checksum put right;
 * of the superblock also in the backup.
 */
static void forge_fixed(const struct damage_tables *t, u64 block, unsigned int at,
			u64 value, const struct damage *c)
{
	const unsigned int last = DAXCOW_SUPER_FIXED / 8;
	u64 fixed[DAXCOW_SUPER_FIXED / 8 + 1];
	u32 crc;

	memcpy(fixed, t->good + block * DAXCOW_BLOCK_SIZE, sizeof(fixed));
	fixed[at] = value;
	crc = crc32c(~0U, fixed, DAXCOW_SUPER_FIXED);
	memcpy((char *)fixed + DAXCOW_SUPER_FIXED, &crc, sizeof(crc));
	if (at == last)
		return;
	c->fn(c->ctx, block * DAXCOW_NODE_SLOTS + at, fixed[at]);
	c->fn(c->ctx, block * DAXCOW_NODE_SLOTS + last, fixed[last]);
	if (block == DAXCOW_SUPER_BLOCK)
		forge_fixed(t, DAXCOW_BACKUP_BLOCK, at, value, c);
}

_Static_assert(DAXCOW_SUPER_FIXED == DAXCOW_RECORD_FIXED, "one function for both");

static bool is_fixed(const struct damage_tables *t, u64 block, unsigned int at)
{
	u64 magic;

	memcpy(&magic, t->good + block * DAXCOW_BLOCK_SIZE, 8);
	return at <= DAXCOW_SUPER_FIXED / 8 &&
		(magic == DAXCOW_SUPER_MAGIC || magic == DAXCOW_RECORD_MAGIC);
}

void damage(const struct damage_tables *t, const u8 *data, size_t size,
	    void (*fn)(void *ctx, u64 word, u64 value), void *ctx)
{
	const struct damage c = { .fn = fn, .ctx = ctx };

	for (; size >= CHANGE; data += CHANGE, size -= CHANGE) {
		u64 block = t->block[data[0] % t->nr], value = 0;
		unsigned int at = data[1] % WORDS;
		u64 slot = slot_of(block, at), old = good_word(t, data[0], at);
		u8 how = data[2] % 20;

		memcpy(&value, data + 3, 7);
		if (how < 10)
			fn(ctx, slot, transform(t, old, how, value));
		else if (is_fixed(t, block, at))
			forge_fixed(t, block, at, transform(t, old, how - 10, value),
				    &c);
		else
			fn(ctx, slot, forge(t, slot, old, how, value));
	}
}
