// SPDX-License-Identifier: GPL-2.0
/*
 * Random insertions and removals in an index, in one or several parts, compared with
 * a list of what is in it. Keys are made to collide: whole ones, those of a bucket,
 * and those of the last bucket, behind which the first one is. In between the table is
 * closed and opened again.
 *
 * usage: index [SEED [ROUNDS]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "index.h"

#define ENTRIES 3000

/**
 * struct entry - what must be in the table
 */
struct entry {
	struct index_key key;
	u64 block;
};

static u64 rng;
static struct index x;
static struct entry entry[ENTRIES];
static u64 nr, found;
static char path[32] = "/tmp/daxcow-index-XXXXXX";

static u64 rnd(u64 n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % n;
}

static void must(bool good, const char *what)
{
	if (good)
		return;
	printf("FAILED: %s\n", what);
	unlink(path);
	exit(1);
}

static struct index_key some_key(void)
{
	struct index_key key = { rnd(~0ULL), rnd(~0ULL) };

	switch (rnd(8)) {
	case 0:
		return nr ? entry[rnd(nr)].key : key;
	case 1:
		/* the last bucket of a part */
		key.hi = ~0ULL / x.parts * (1 + rnd(x.parts)) - 1;
		break;
	case 2:
		key.hi = nr ? entry[rnd(nr)].key.hi : 0;
		break;
	case 3:
		/* what is not kept of a key */
		key = nr ? entry[rnd(nr)].key : key;
		key.lo ^= 1ULL << (8 + rnd(56));
		break;
	}
	return key;
}

static bool same(const struct index_key *a, const struct index_key *b)
{
	return a->hi == b->hi && a->lo >> 8 == b->lo >> 8;
}

static void map(const struct index_key *key)
{
	must(!index_map(&x, index_part(&x, key)), "map");
}

static void add(void)
{
	struct entry e = { .key = some_key(), .block = 1 + rnd(INDEX_MAX_BLOCK) };
	u64 i;

	if (nr == ENTRIES)
		return;
	/* as blocks of a pool: each has one content */
	for (i = 0; i < nr; i++)
		if (entry[i].block == e.block)
			return;
	map(&e.key);
	if (index_insert(&x, &e.key, e.block))
		must(index_entries(&x) >= x.buckets * 4, "full too early");
	else
		entry[nr++] = e;
}

static void drop(void)
{
	u64 i = nr ? rnd(nr) : 0;

	if (!nr)
		return;
	map(&entry[i].key);
	must(index_has(&x, &entry[i].key, entry[i].block), "has");
	index_remove(&x, &entry[i].key, entry[i].block);
	must(!index_has(&x, &entry[i].key, entry[i].block), "has it still");
	entry[i] = entry[--nr];
}

/* All blocks of a key, each once. */
static void look(void)
{
	struct index_key key = some_key();
	u64 block = 0, want = 0, got = 0, i;

	map(&key);
	for (i = 0; i < nr; i++)
		want += same(&entry[i].key, &key);
	index_prefetch(&x, &key);
	while ((block = index_find(&x, &key, block))) {
		for (i = 0; i < nr && entry[i].block != block; i++)
			;
		/* buckets are those of the whole key: others may lie near */
		must(i < nr && entry[i].key.lo >> 8 == key.lo >> 8, "found another one");
		got++;
		must(got <= nr, "does not end");
	}
	must(got >= want, "not found");
	found += got;
}

static void reopen(unsigned int parts)
{
	u64 buckets = x.buckets, sum = 0;
	unsigned int i;

	index_close(&x);
	must(index_open(&x, path, buckets + 64, parts, false) == -ENOENT,
	     "opened another size");
	must(!index_open(&x, path, buckets, parts, false), "open");
	for (i = 0; i < parts; i++) {
		must(!index_map(&x, i), "map");
		sum += index_entries(&x);
	}
	must(sum == nr, "count");
}

static void random_round(unsigned int parts)
{
	int i;

	nr = 0;
	must(!index_open(&x, path, index_buckets(ENTRIES / 2, parts), parts,
			 true), "make");
	for (i = 0; i < 20000; i++) {
		if (!rnd(5000))
			reopen(parts);
		else if (rnd(100) < 40)
			look();
		else if (rnd(100) < (i / 4000 % 2 ? 30 : 70))
			add();
		else
			drop();
	}
	while (nr)
		drop();
	/* nothing was left behind: a search ends in its first bucket */
	for (i = 0; i < (int)parts; i++) {
		must(!index_map(&x, i) && !index_entries(&x), "not empty");
		must(*(u32 *)x.bucket == 0, "a trace of what was removed");
	}
	index_close(&x);
}

/* What is said of its size: 16 bytes a block, and room for all of them. */
static void sizes(void)
{
	u64 blocks;
	u32 parts;

	for (blocks = 1 << 17; blocks < 1ULL << 36; blocks = blocks * 3 / 2)
		for (parts = 1; parts == 1 || blocks / parts > 1 << 20;
		     parts = parts * 3 + 1) {
			u64 buckets = index_buckets(blocks, parts);

			must(index_part_size(buckets) * parts <= blocks * 16,
			     "more than 16 bytes a block");
			must(buckets * parts * INDEX_ENTRIES / 16 * 15 > blocks,
			     "too small");
		}
}

int main(int argc, char **argv)
{
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	u64 rounds = argc > 2 ? strtoull(argv[2], NULL, 0) : 12, i;
	int fd = mkstemp(path);

	must(fd >= 0, "no temporary file");
	close(fd);
	rng = seed * 2 + 1;
	sizes();
	for (i = 0; i < rounds; i++)
		random_round(1 + i % 4);
	unlink(path);
	printf("%llu rounds, %llu found\n", (unsigned long long)rounds,
	       (unsigned long long)found);
	return 0;
}
