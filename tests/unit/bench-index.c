// SPDX-License-Identifier: GPL-2.0
/*
 * What daxcow dedupe does with the blocks that it has read, on one processor: hash
 * and look up, beside the hash alone. Both in the same run, alternating, best of many
 * rounds.
 *
 * Enough is half of the hash's rate, or 6 GB/s when that is less.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>
#include <unistd.h>
#include <daxcow/format.h>
#include "dedupe-hash.h"

#define BYTES	(512ULL << 20)
#define BLOCKS	(BYTES >> DAXCOW_BLOCK_SHIFT)
#define AHEAD	64
#define ROUNDS	60	/* at most; the first that are good end it */
#define ENOUGH	5
#define FAST	6e9

static struct hasher hasher;
static struct index index_;
static char *data;
static volatile u64 sum;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

/* A quarter is there twice. */
static void fill(void)
{
	u64 *word = (u64 *)data, i, x = 88172645463325252ULL;

	for (i = 0; i < BYTES / sizeof(*word); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		word[i] = x;
	}
	for (i = 0; i < BLOCKS / 4; i++)
		memcpy(data + (i << DAXCOW_BLOCK_SHIFT),
		       data + ((BLOCKS - 1 - i) << DAXCOW_BLOCK_SHIFT),
		       DAXCOW_BLOCK_SIZE);
}

static double hash_only(void)
{
	double t = now();
	u64 i;

	for (i = 0; i < BLOCKS; i++)
		sum += hash_block(&hasher, data + (i << DAXCOW_BLOCK_SHIFT), 0).lo;
	return BYTES / (now() - t);
}

/* As dedupe-scan.c does it, with a table that is empty at first. */
static double hash_and_index(void)
{
	char path[] = "/dev/shm/daxcow-bench-XXXXXX";
	struct index_key key[AHEAD];
	u64 at, i, found = 0;
	int fd = mkstemp(path);
	double t;

	must(fd >= 0, path);
	must(!index_open(&index_, path, index_buckets(BLOCKS, 1), 1, true) &&
	     !index_map(&index_, 0), "index");
	unlink(path);
	close(fd);
	t = now();
	for (at = 0; at < BLOCKS; at += AHEAD) {
		for (i = 0; i < AHEAD; i++) {
			key[i] = hash_block(&hasher, data + ((at + i) <<
					    DAXCOW_BLOCK_SHIFT), 0);
			index_prefetch(&index_, &key[i]);
		}
		for (i = 0; i < AHEAD; i++) {
			if (is_zero(data + ((at + i) << DAXCOW_BLOCK_SHIFT)))
				continue;
			if (index_find(&index_, &key[i], 0))
				found++;
			else
				must(!index_insert(&index_, &key[i], at + i + 1),
				     "insert");
		}
	}
	t = now() - t;
	must(found == BLOCKS / 4, "duplicates");
	index_close(&index_);
	return BYTES / t;
}

int main(void)
{
	double hash = 0, both = 0, want = 0, load[1];
	int i;

	data = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(data != MAP_FAILED, "memory");
	hash_init(&hasher, 0x123456789abcdefULL);
	fill();
	for (i = 0; i < ROUNDS && (i < ENOUGH || both < want); i++) {
		hash = max(hash, hash_only());
		both = max(both, hash_and_index());
		want = min(hash / 2, FAST);
	}
	printf("hash and index: %.1f GB/s; hash alone: %.1f GB/s; ratio %.2f (wanted: %.1f GB/s)\n",
	       both / 1e9, hash / 1e9, both / hash, want / 1e9);
	if (both >= want)
		return 0;
	if (getloadavg(load, 1) == 1 && load[0] > 1.0) {
		printf("load %.1f: too busy to judge\n", load[0]);
		return 77;
	}
	return 1;
}
