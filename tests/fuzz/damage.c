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

static u64 transform(const struct damage_tables *t, u64 old, u8 how, u64 value)
{
	switch (how % 10) {
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
		return value << 8 | (how >> 4);
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

void damage(const struct damage_tables *t, const u8 *data, size_t size,
	    void (*fn)(void *ctx, u64 word, u64 value), void *ctx)
{
	for (; size >= CHANGE; data += CHANGE, size -= CHANGE) {
		unsigned int at = data[1] % WORDS;
		u64 value = 0, old = good_word(t, data[0], at);

		memcpy(&value, data + 3, 7);
		fn(ctx, t->block[data[0] % t->nr] * DAXCOW_NODE_SLOTS + at,
		   transform(t, old, data[2], value));
	}
}
