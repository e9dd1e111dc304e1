/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A pool for tests of daxcow dedupe, in two files: what it contains, and who owns
 * that. It lives on while programs that have it mapped are killed. Whoever reads or
 * changes it has it locked.
 *
 * There is one volume. Each of its blocks has the hash of what was last written to
 * it, by which is seen whether a merge has changed it.
 */
#ifndef FAKE_POOL_H
#define FAKE_POOL_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "platform.h"
#include <daxcow/format.h>

#define FAKE_CHUNK	DAXCOW_CHUNK_BLOCKS

/**
 * struct fake_block - of the pool
 * @owners:	blocks of the volume, from @first on
 * @chunk:	mapped by 2 MiB
 */
struct fake_block {
	u32 owners, first, generation, domain;
	u8 chunk, hot, pinned, bad;
};

/**
 * struct fake_owner - block of the volume
 * @block:	of the pool, 0 when it is unmapped
 * @next:	another owner of that, or ~0
 * @hash:	of what it must contain
 */
struct fake_owner {
	u32 block, next;
	u64 hash;
};

/**
 * struct fake_pool - what is in the file before the blocks and the owners
 * @used:	the current generation was given to a block
 * @reads:	blocks that were read
 * @twice:	how many of them were read more often than that
 * @change:	of 1,000 pairs, before how many one of their blocks changes
 * @fail:	of 1,000 pairs, how many fail because of something else
 * @rested:	blocks that were made to rest
 */
struct fake_pool {
	u64 blocks, volume, instance, random;
	u32 generation, used;
	u64 reads, pairs, calls;
	u32 change, fail, rested, delay;
	struct fake_block block[];
};

/**
 * struct fake - a pool that is open
 * @lock:	the file that is locked
 */
struct fake {
	struct fake_pool *p;
	struct fake_owner *owner;
	char *data;
	int lock;
};

static inline u64 fake_random(struct fake_pool *p, u64 n)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return n ? p->random % n : 0;
}

/* Not the one under test. */
static inline u64 fake_hash(const void *data)
{
	const u64 *w = data;
	u64 h = 0;
	int i;

	for (i = 0; i < 512; i++)
		h = (h ^ w[i]) * 0x100000001b3ULL + (h >> 29);
	return h;
}

static inline char *fake_data(const struct fake *f, u64 block)
{
	return f->data + (block << DAXCOW_BLOCK_SHIFT);
}

/* With @lock the file stays open. */
static inline void *fake_map(const char *dir, const char *name, size_t size, int *lock)
{
	char path[4096];
	struct stat st;
	void *at;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | (size ? O_CREAT : 0), 0600);
	if (fd < 0 || (size && ftruncate(fd, size)) || fstat(fd, &st))
		return NULL;
	at = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (lock)
		*lock = fd;
	else
		close(fd);
	return at == MAP_FAILED ? NULL : at;
}

/*
 * The lock belongs to the open file: a process and its children have it together, and it
 * goes with the last of them.
 */
static inline void fake_lock(const struct fake *f)
{
	while (flock(f->lock, LOCK_EX) && errno == EINTR)
		;
}

static inline void fake_unlock(const struct fake *f)
{
	flock(f->lock, LOCK_UN);
}

/* With @blocks a new one, of which all blocks are free. */
static inline bool fake_open(struct fake *f, const char *dir, u64 blocks,
			     u64 volume)
{
	size_t size = sizeof(*f->p) + blocks * sizeof(struct fake_block) +
		      volume * sizeof(struct fake_owner);

	f->p = fake_map(dir, "owners", blocks ? size : 0, &f->lock);
	f->data = fake_map(dir, "content", blocks << DAXCOW_BLOCK_SHIFT, NULL);
	if (!f->p || !f->data)
		return false;
	if (blocks) {
		f->p->blocks = blocks;
		f->p->volume = volume;
	}
	f->owner = (void *)&f->p->block[f->p->blocks];
	return true;
}

static inline void fake_own(struct fake *f, u32 owner, u32 block)
{
	struct fake_block *b = &f->p->block[block];

	f->owner[owner].block = block;
	f->owner[owner].next = b->owners++ ? b->first : ~0U;
	b->first = owner;
}

static inline void fake_disown(struct fake *f, u32 owner)
{
	struct fake_block *b = &f->p->block[f->owner[owner].block];
	u32 *link = &b->first;

	if (!f->owner[owner].block)
		return;
	while (*link != owner)
		link = &f->owner[*link].next;
	*link = f->owner[owner].next;
	b->owners--;
	b->chunk = b->owners ? b->chunk : 0;
	f->owner[owner].block = 0;
}

/* Whoever has the chunk of a block has its blocks one by one from now on. */
static inline void fake_split(struct fake *f, u32 block)
{
	u32 first = block - block % FAKE_CHUNK, i;

	for (i = 0; i < FAKE_CHUNK; i++)
		f->p->block[first + i].chunk = 0;
}

static inline void fake_touch(struct fake *f, u32 block)
{
	f->p->block[block].generation = f->p->generation;
	f->p->used = 1;
}

/* A write to the volume; false when the pool is full. */
static inline bool fake_write(struct fake *f, u32 owner, const void *data,
			      u32 domain)
{
	u32 block = f->owner[owner].block, i;

	if (!block || f->p->block[block].owners > 1) {
		fake_disown(f, owner);
		for (i = f->p->blocks - 1; i && f->p->block[i].owners; i--)
			;
		if (!i)
			return false;
		block = i;
		f->p->block[i].chunk = 0;
		fake_own(f, owner, i);
	}
	memcpy(fake_data(f, block), data, DAXCOW_BLOCK_SIZE);
	f->p->block[block].domain = domain;
	f->owner[owner].hash = fake_hash(data);
	fake_touch(f, block);
	return true;
}

/* In place of the C library's, by the linker's --wrap: see fake-dedupe.c. */
int __real_clock_gettime(clockid_t id, struct timespec *t);
int __real_nanosleep(const struct timespec *t, struct timespec *left);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_nanosleep(const struct timespec *t, struct timespec *left);

#endif /* FAKE_POOL_H */
