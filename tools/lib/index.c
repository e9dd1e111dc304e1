// SPDX-License-Identifier: GPL-2.0
/*
 * Which block has the content with a hash.
 *
 * Buckets overflow into the next one. Each counts the entries that passed it by,
 * so a search ends at the first one that nothing has passed, and an entry that is
 * removed leaves no trace.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "index.h"

/**
 * struct index_bucket - one cache line
 * @passed:	entries that found it full and lie further on
 * @low:	lower 32 bits of the block
 * @tag:	56 bits of the key, and the upper 8 of the block
 */
struct index_bucket {
	u32 passed;
	u32 low[INDEX_ENTRIES];
	u64 tag[INDEX_ENTRIES];
};

_Static_assert(sizeof(struct index_bucket) == INDEX_BUCKET, "not a cache line");

/* In front of the buckets of a part: a page, so that these stay aligned. */
#define HEAD_SIZE	4096
#define BLOCK_BITS	8
#define BLOCK_MASK	0xffULL

/* Planned are 25 blocks for 6 buckets: of 30 entries, five stay free. */
u64 index_buckets(u64 blocks, unsigned int parts)
{
	u64 each = (blocks + parts - 1) / parts;

	/* parts are not filled quite evenly, and small ones less so */
	return each / 25 * 6 + (parts > 1 ? each / 500 + 64 : 0) + 8;
}

size_t index_part_size(u64 buckets)
{
	return HEAD_SIZE + buckets * INDEX_BUCKET;
}

static size_t part_stride(const struct index *x)
{
	return (index_part_size(x->buckets) + HEAD_SIZE - 1) & -(size_t)HEAD_SIZE;
}

int index_open(struct index *x, const char *path, u64 buckets,
	       unsigned int parts, bool fresh)
{
	struct stat st;
	size_t size;
	int err = 0;

	*x = (struct index) { .buckets = buckets, .parts = parts, .fd = -1 };
	/* whatever else may have that file keeps it */
	if (fresh && unlink(path) && errno != ENOENT)
		return -errno;
	x->fd = open(path, O_RDWR | O_CLOEXEC | (fresh ? O_CREAT | O_EXCL : 0),
		     0600);
	if (x->fd < 0)
		return -errno;
	size = part_stride(x) * parts;
	if (fresh)
		/* what is not there when it is written to would kill us */
		err = -posix_fallocate(x->fd, 0, size);
	else if (fstat(x->fd, &st))
		err = -errno;
	else if ((u64)st.st_size != size)
		err = -ENOENT;
	if (err)
		index_close(x);
	return err;
}

static void unmap(struct index *x)
{
	if (x->head)
		munmap(x->head, index_part_size(x->buckets));
	x->head = NULL;
	x->bucket = NULL;
}

void index_close(struct index *x)
{
	unmap(x);
	if (x->fd >= 0)
		close(x->fd);
	x->fd = -1;
}

int index_map(struct index *x, unsigned int part)
{
	void *p;

	if (x->head && x->part == part)
		return 0;
	unmap(x);
	p = mmap(NULL, index_part_size(x->buckets), PROT_READ | PROT_WRITE,
		 MAP_SHARED, x->fd, part * part_stride(x));
	if (p == MAP_FAILED)
		return -errno;
	/* neighbours of what is looked at are not what is looked at next */
	madvise(p, index_part_size(x->buckets), MADV_RANDOM);
	x->head = p;
	x->bucket = (void *)((char *)p + HEAD_SIZE);
	x->part = part;
	return 0;
}

u64 index_entries(const struct index *x)
{
	return *x->head;
}

/* Of the keys of a part, what lies behind the point is as good as new. */
static u64 home_of(const struct index *x, const struct index_key *key)
{
	u64 rest = key->hi * x->parts;

	return (__uint128_t)rest * x->buckets >> 64;
}

static u64 next_of(const struct index *x, u64 nr)
{
	return nr + 1 < x->buckets ? nr + 1 : 0;
}

static u64 block_at(const struct index_bucket *b, unsigned int i)
{
	return (b->tag[i] & BLOCK_MASK) << 32 | b->low[i];
}

static bool is_tagged(const struct index_bucket *b, unsigned int i,
		      const struct index_key *key)
{
	return (b->tag[i] ^ key->lo) >> BLOCK_BITS == 0 && block_at(b, i);
}

void index_prefetch(const struct index *x, const struct index_key *key)
{
	__builtin_prefetch(&x->bucket[home_of(x, key)], 1);
}

u64 index_find(const struct index *x, const struct index_key *key, u64 after)
{
	u64 nr = home_of(x, key), seen;
	unsigned int i;

	for (seen = 0; seen < x->buckets; seen++, nr = next_of(x, nr)) {
		const struct index_bucket *b = &x->bucket[nr];

		for (i = 0; i < INDEX_ENTRIES; i++) {
			if (!is_tagged(b, i, key))
				continue;
			if (!after)
				return block_at(b, i);
			if (block_at(b, i) == after)
				after = 0;
		}
		if (!b->passed)
			break;
	}
	return 0;
}

/* The bucket with that entry, and its place there; NULL when there is none. */
static struct index_bucket *find_entry(const struct index *x,
				       const struct index_key *key, u64 block,
				       unsigned int *i)
{
	u64 nr = home_of(x, key), seen;

	for (seen = 0; seen < x->buckets; seen++, nr = next_of(x, nr)) {
		struct index_bucket *b = &x->bucket[nr];

		for (*i = 0; *i < INDEX_ENTRIES; ++*i)
			if (is_tagged(b, *i, key) && block_at(b, *i) == block)
				return b;
		if (!b->passed)
			break;
	}
	return NULL;
}

bool index_has(const struct index *x, const struct index_key *key, u64 block)
{
	unsigned int i;

	return find_entry(x, key, block, &i);
}

static int free_entry(const struct index_bucket *b)
{
	unsigned int i;

	for (i = 0; i < INDEX_ENTRIES; i++)
		if (!block_at(b, i))
			return i;
	return -1;
}

int index_insert(struct index *x, const struct index_key *key, u64 block)
{
	u64 nr = home_of(x, key);
	struct index_bucket *b;
	int i;

	if (*x->head >= x->buckets * INDEX_ENTRIES / 16 * 15 + 1)
		return -ENOSPC;
	/*
	 * Counted before it is there: killed in between, a search goes on in vain. The
	 * other way round the entry would be lost.
	 */
	for (b = &x->bucket[nr]; (i = free_entry(b)) < 0; b = &x->bucket[nr]) {
		WRITE_ONCE(b->passed, b->passed + 1);
		nr = next_of(x, nr);
	}
	WRITE_ONCE(b->tag[i], (key->lo & ~BLOCK_MASK) | block >> 32);
	WRITE_ONCE(b->low[i], block);
	WRITE_ONCE(*x->head, *x->head + 1);
	return 0;
}

void index_remove(struct index *x, const struct index_key *key, u64 block)
{
	u64 nr = home_of(x, key);
	struct index_bucket *b;
	unsigned int i;

	b = find_entry(x, key, block, &i);
	if (!b)
		return;
	WRITE_ONCE(b->low[i], 0);
	WRITE_ONCE(b->tag[i], 0);
	WRITE_ONCE(*x->head, *x->head - 1);
	for (; &x->bucket[nr] != b; nr = next_of(x, nr))
		WRITE_ONCE(x->bucket[nr].passed, x->bucket[nr].passed - 1);
}
